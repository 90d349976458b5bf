"""The door for commands: what gets in, what does not, and that nothing can break it."""

import random

from firmware.control.commands import COMMANDS, Commands
from firmware.control.thermostat import Thermostat


class Lines:
    """A log that remembers; its text must fit its values, as the real one's must."""

    def __init__(self):
        self.infos = []
        self.warnings = []

    def info(self, text, *values):
        self.infos.append(text % values)

    def warning(self, text, *values):
        self.warnings.append(text % values)


class Door:
    """Commands with a thermostat behind them, and what came out."""

    def __init__(self):
        self.thermostat = Thermostat(
            {
                "mode": "heat",
                "setpoint": 21.0,
                "hysteresis": 0.5,
                "frost": 5.0,
                "stale_after_s": 120,
            }
        )
        self.log = Lines()
        self.answers = []
        commands = Commands(self.thermostat, lambda *answer: self.answers.append(answer), self.log)
        self.handle = commands.handle

    def assert_refused(self, name, payload, reason):
        before = self.thermostat.setpoint, self.thermostat.mode
        assert self.handle(name, payload) is False
        assert (self.thermostat.setpoint, self.thermostat.mode) == before
        assert self.log.warnings.pop() == "command %s refused: %s" % (name, reason)
        assert self.answers.pop() == (name, getattr(self.thermostat, name))


def test_a_setpoint_is_put_in_force_and_answered():
    door = Door()
    assert door.handle("setpoint", b"22.5") is True
    assert door.thermostat.setpoint == 22.5
    assert door.answers == [("setpoint", 22.5)]
    assert door.log.infos == ["command setpoint: 22.5 is now in force"]
    assert door.log.warnings == []


def test_the_limits_themselves_are_accepted():
    door = Door()
    for payload, value in ((b"5", 5), (b"35", 35), (b" 35.0 ", 35.0)):
        assert door.handle("setpoint", payload) is True
        assert door.thermostat.setpoint == value


def test_a_mode_is_put_in_force_and_answered():
    door = Door()
    assert door.handle("mode", b'"off"') is True
    assert door.thermostat.mode == "off"
    assert door.answers == [("mode", "off")]


def test_names_compare_in_lower_case():
    door = Door()
    assert door.handle("SetPoint", b"19") is True
    assert door.answers == [("setpoint", 19)]


def test_a_number_out_of_range_is_refused_with_what_was_expected():
    Door().assert_refused("setpoint", b"99", "expected 5 to 35 °C, got 99")
    Door().assert_refused("setpoint", b"4.99", "expected 5 to 35 °C, got 4.99")


def test_what_is_no_number_is_no_setpoint():
    for payload, got in (
        (b"true", "true"),
        (b"null", "null"),
        (b'"21"', '"21"'),
        (b"[21]", "a list"),
        (b'{"v":21}', "an object"),
        (b"1e999", "inf"),
        (b"-1e999", "-inf"),
        (b"NaN", "NaN, which is not JSON"),
        (b"Infinity", "Infinity, which is not JSON"),
        (b"", "nothing, which is not JSON"),
        (b"21,5", "21,5, which is not JSON"),
        (b"21.5\xff", "21.5., which is not JSON"),
        (b'"\xff\xfe"', '"..", which is not JSON'),
    ):
        Door().assert_refused("setpoint", payload, "expected 5 to 35 °C, got " + got)


def test_an_unknown_mode_is_refused():
    Door().assert_refused("mode", b'"cool"', 'expected "off" or "heat", got "cool"')
    Door().assert_refused("mode", b'"Heat"', 'expected "off" or "heat", got "Heat"')
    Door().assert_refused("mode", b"1", 'expected "off" or "heat", got 1')


def test_a_long_value_is_shown_short():
    door = Door()
    door.handle("mode", b'"' + b"x" * 500 + b'"')
    assert door.log.warnings[0].endswith("xxx…"), door.log.warnings
    assert len(door.log.warnings[0]) < 120
    door.handle("mode", b"x" * 500)
    assert door.log.warnings[1].endswith("x…, which is not JSON"), door.log.warnings
    assert len(door.log.warnings[1]) < 120


def test_a_large_payload_is_refused_before_it_is_parsed():
    door = Door()
    door.assert_refused("setpoint", b" " * 1023 + b"21", "expected 5 to 35 °C, got 1025 bytes")
    assert door.handle("setpoint", b" " * 1022 + b"22") is True


def test_another_property_is_refused_and_not_answered():
    door = Door()
    assert door.handle("temperature", b"21") is False
    assert door.answers == []
    assert door.log.warnings == ["command temperature refused: this device takes no such command"]


def test_a_device_without_thermostat_refuses_all():
    log = Lines()
    commands = Commands(None, None, log)
    assert commands.handle("setpoint", b"21") is False
    assert log.warnings == ["command setpoint refused: this device takes no such command"]


def test_no_bytes_break_it_or_get_an_unfit_value_in():
    """Random bytes, and mutations of what is valid, to each command."""
    door = Door()
    accepted = 0
    names = [row[0] for row in COMMANDS]
    random.seed(20260101)
    seeds = (b"21.5", b'"heat"', b'"off"', b"[1,2]", b'{"a":{"b":[null,true]}}', b'"\\u00e9"')
    for round_ in range(4000):
        payload = bytearray(random.choice(seeds) if round_ % 4 else bytes(8))
        for _ in range(random.randint(0, 4)):
            where = random.randint(0, len(payload))
            what = random.getrandbits(2)
            if what == 0:
                payload = payload[:where] + bytes([random.getrandbits(8)]) + payload[where:]
            elif what == 1:
                payload = payload[:where]
            elif what == 2 and where < len(payload):
                payload[where] = random.choice(b'0123456789eE+-."[]{}:,\\ntfu \x00\xff')
            else:
                payload = payload + payload[:where]
        name = random.choice(("setpoint", "mode", "MODE", "x", "", "a/b", "°", "\ud800"))
        accepted += door.handle(name, bytes(payload))
        assert len(door.answers) == (name.lower() in names), (name, payload)
        assert len(door.log.warnings) + len(door.log.infos) == 1, (name, payload)
        for lines in (door.answers, door.log.warnings, door.log.infos):
            lines.clear()
        assert 5 <= door.thermostat.setpoint <= 35, payload
        assert door.thermostat.mode in ("off", "heat"), payload
        assert type(door.thermostat.setpoint) in (int, float), payload
    assert accepted > 30, "the mutations left too little valid for this to be a test"


def test_deeply_nested_payloads_are_refused():
    for payload in (b"[" * 1024, b'{"a":' * 200, b"[" * 512 + b"]" * 512):
        assert Door().handle("setpoint", payload) is False
