"""Where there is plenty of memory, as with PSRAM, what was loaded from a file stays."""

import sys

from firmware.base.passing import passing

HEAP = "16M"


def test_what_a_function_imports_stays():
    def use():
        from firmware.times import zone_rule

        return zone_rule

    there = passing(use)
    assert sys.modules["firmware.times.zone_rule"] is there
    assert passing(use) is there


def test_a_failure_leaves_nothing_behind_all_the_same():
    def use():
        from firmware.base import url

        url.parse_url("no url")

    sys.modules.pop("firmware.base.url", None)
    try:
        passing(use)
    except ValueError:
        pass
    assert "firmware.base.url" not in sys.modules
