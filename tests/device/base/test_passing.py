"""Modules that are forgotten after use, with their packages; what was there stays."""

import sys

from firmware.base.passing import passing, whole
from shortage import shortages

HEAP = "512K"


def test_what_a_function_imports_is_forgotten():
    def use(year):
        from firmware.times import calendar, zone_rule

        assert calendar and "firmware.times.zone_rule" in sys.modules
        return zone_rule.read("UTC0"), calendar.days(year, 1)

    for _ in range(2):
        assert passing(use, 1970) == ((0, 0, None, None), 0)
        assert not [name for name in sys.modules if name.startswith("firmware.times")]


def test_what_was_there_stays_and_so_does_what_is_not_the_firmwares():
    from firmware import points

    def use():
        import hashlib

        from firmware.points import ring

        return hashlib, ring

    _, ring = passing(use)
    assert ring.Ring and not hasattr(points, "ring")
    assert "firmware.points" in sys.modules and "firmware.points.ring" not in sys.modules


def test_a_failure_leaves_nothing_behind():
    def use():
        from firmware.times import zone_rule

        return zone_rule.read("?")

    try:
        passing(use)
        raise AssertionError
    except ValueError:
        pass
    assert "firmware.times.zone_rule" not in sys.modules


def test_where_memory_is_short_no_module_stays_half_made():
    def use(_=None):
        from firmware.times import calendar, zone_rule

        return zone_rule.read("CET-1CEST,M3.5.0,M10.5.0/3")[:2], calendar.days(1970, 1)

    def check(_, n):
        kept = [name for name in sys.modules if name.startswith("firmware.times")]
        assert n is None or not kept, (n, kept)
        assert passing(use) == ((3600, 7200), 0), n

    def begin():
        """Nothing of it is there."""
        for name in list(sys.modules):
            if name.startswith("firmware.times"):
                del sys.modules[name]

    def check_whole(_, n):
        assert whole(use) == ((3600, 7200), 0), n

    assert shortages(int, lambda _: passing(use), check) >= 20
    assert shortages(begin, lambda _: whole(use), check_whole) >= 20
