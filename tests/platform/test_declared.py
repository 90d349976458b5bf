"""The properties that the stand-in declares at first are those that the firmware has."""

import json
import subprocess

import pytest

from tools import ROOT, micropython
from tools.declared import TYPES
from tools.platform.control import Control

# Runs inside MicroPython.
_PRINT_NAMES = """
import json
from firmware.commands import table
from firmware.control.heating import Regulation
from firmware.supervision import health

class Output:
    def set(self, on):
        pass

pin = {"pin": 1, "active": "high"}
section = dict.fromkeys(
    ("jump", "stale_after_s", "stuck_after_s", "min_on_s", "min_off_s", "max_on_s", "hysteresis",
     "dead_band", "frost", "cut_out", "setpoint", "setpoint_cool"), 1)
section.update(dict.fromkeys(("relay", "stage2", "cooler"), pin))
section.update({"mode": "heat", "regulator": "hysteresis", "failsafe": None})
regulation = Regulation(section, lambda *pin: Output(), None, 0)
print(json.dumps({
    "commands": {row[0]: [row[1], row[2]] for row in table.rows()},
    "reported": [name for name, value in regulation.state()] + health.names(),
}))
"""
# What the stand-in has beside: sensors that a config.json may name.
_SENSORS = {"temperature", "humidity", "counter"}


@pytest.fixture(scope="module")
def firmware() -> dict:
    done = subprocess.run(
        micropython.command("-c", _PRINT_NAMES),
        env=micropython.environment([ROOT]),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.fixture
def declared(tmp_path) -> dict:
    return Control(tmp_path).properties


def test_all_that_the_firmware_reports_is_declared_and_nothing_else(firmware, declared):
    has = {*firmware["commands"], *firmware["reported"], "lastcommand"}
    assert has <= set(declared), has - set(declared)
    assert set(declared) - has == _SENSORS


def test_a_command_is_declared_with_its_type_and_its_limits(firmware, declared):
    for name, (kind, limits) in firmware["commands"].items():
        ours = declared[name]
        assert ours.type == TYPES[kind], name
        assert (ours.access, ours.publish) == ("public", "always"), name
        if ours.type == "number":
            assert [ours.min, ours.max] == limits, name
        elif ours.type == "enum":
            assert list(ours.values) == limits, name


def test_what_is_only_reported_takes_no_commands(firmware, declared):
    for name in [*firmware["reported"], "lastcommand"]:
        assert (declared[name].access, declared[name].publish) == ("protected", "never"), name
