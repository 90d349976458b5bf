"""No bytes, no state and no fault of another part breaks the door."""

import random

from door import T0, Door, fresh
from firmware.commands import table
from firmware.control.program import Program
from firmware.times.calendar import iso

BAD_COMMANDS = 1000


def test_a_handler_that_raises_answers_with_a_refusal_and_poisons_nothing():
    class Broken(Program):
        error = None

        def put(self, name, value, utc_s=None):
            if self.error:
                raise self.error
            super().put(name, value, utc_s)

    door = Door(program=Broken)
    for error, reason in (
        (RuntimeError("a bug"), "RuntimeError: a bug"),
        (MemoryError(), "there is not enough memory for it"),
        (ValueError("words"), "words"),
        (ValueError(), ""),
        (KeyError("x"), "KeyError: x"),
        (OSError(28), "OSError: 28"),
    ):
        before = door.thermostat.setpoint
        door.program.error = error
        assert door.handle("setpoint", b"22") is False
        assert door.answers[0] == ("setpoint", before)
        last = door.take()[1][1]
        assert not last["ok"] or not reason, last
        assert last["reason"].startswith(reason), last
        door.program.error = None
        assert door.handle("setpoint", b"22") is True
        door.take()
        door.pass_s(4)


def test_a_property_that_cannot_be_read_poisons_nothing():
    class Broken(Program):
        error = None

        def put(self, name, value, utc_s=None):
            if not self.error:
                super().put(name, value, utc_s)

        def get(self, name):
            if self.error and name == "setpoint":
                raise self.error
            return super().get(name)

    for error in (RuntimeError("a bug"), AttributeError("x"), OSError(5)):
        door = fresh(program=Broken)
        door.handle("setpoint", b"20")
        door.take()
        door.program.error = error
        assert door.handle("setpoint", b"22") is False
        door.pass_s(3)
        refusals = [value for _, value in door.take()]
        assert [refusal["ok"] for refusal in refusals] == [False], "only what became of it is told"
        door.pass_s(60)
        ms = door.clock.now()
        for _ in range(3):
            door.recover(("setpoint", 23.0, ms), ("preset", None, 0), ("setpoint", 9.0, T0 - 9))
        door.pass_s(5)
        refusals = [value for name, value in door.take() if name == "lastcommand"]
        assert [(refusal["ok"], refusal["time"]) for refusal in refusals] == [(False, iso(ms))]
        door.commands.changed(("setpoint", "preset"))
        door.program.error = None
        assert door.again().thermostat.setpoint == 20, "what was kept stays"
        assert door.handle("setpoint", b"22") is True
        assert door.thermostat.setpoint == 22


def test_a_program_that_fails_refuses_what_was_missed():
    door = Door()

    def fails(utc_s, now_ms):
        raise RuntimeError("a bug")

    door.pass_s(60)
    door.program.catch_up = fails
    for _ in range(2):
        door.recover(("setpoint", 23.0, T0 + 1000), ("mode", "off", T0 + 2000))
    verdicts = [value["property"] for name, value in door.take() if name == "lastcommand"]
    assert verdicts == ["setpoint", "mode"]


def test_what_is_missed_waits_for_memory():
    class Short(Program):
        short = True

        def rewind(self, name, value, utc_s):
            if self.short:
                raise MemoryError
            return super().rewind(name, value, utc_s)

    door = Door(utc_ms=T0 + 60000, program=Short)
    door.recover("setpoint", 22.0, T0 + 5000)
    door.handle("mode", b'"off"')
    door.pass_s(10)
    assert door.thermostat.setpoint == 21.0 and door.thermostat.mode == "off"
    door.program.short = False
    door.pass_s(4)
    assert door.thermostat.setpoint == 22.0


def test_a_thousand_malformed_commands_change_nothing_and_the_next_one_is_obeyed():
    random.seed(5)
    door = Door()
    door.proposal = ValueError("x: unknown key")
    names = [row[0] for row in table.rows()]
    bad = (
        b"",
        b"nul",
        b"{",
        b"[" * 1024,
        b'{"a":' * 300,
        b"99999",
        b"-1",
        b'"\\ud800"',
        b'"' + b"x" * 1000 + b'"',
        b"\xff" * 40,
        b" " * 3000,
        b"[[[[]]]]",
        b'{"x": 1}',
        b"1e400",
    )
    for n in range(BAD_COMMANDS):
        door.handle(names[n % len(names)], bad[n % len(bad)])
        if n % 50 == 0:
            door.pass_s(1)
    assert len(door.log.warnings) == BAD_COMMANDS, len(door.log.warnings)
    assert door.log.infos == [] and door.log.errors == []
    assert (door.thermostat.setpoint, door.thermostat.mode) == (21.0, "heat")
    assert door.restarts == 0 and door.identified == []
    door.take()
    door.pass_s(10)
    door.take()
    assert door.handle("setpoint", b"22.5") is True
    assert door.values() == [("setpoint", 22.5)]


def test_no_bytes_break_it_or_get_an_unfit_value_in():
    """Random bytes, and mutations of what is valid, to each command."""
    door = Door()
    accepted = 0
    names = [row[0] for row in table.rows() if row[1] != "object"]
    random.seed(20260101)
    seeds = (
        b"21.5",
        b'"heat"',
        b'"off"',
        b'"away"',
        b"[1,2]",
        b'{"a":{"b":[null,true]}}',
        b'"\\u00e9"',
        b'["daily 06:30 home"]',
        b'[{"days":"mon-fri","at":"06:30","setpoint":21}]',
        b'"2026-12-24T18:00:00Z"',
    )
    for round_ in range(2000):
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
        name = random.choice(names + ["MODE", "x", "", "a/b", "°", "\ud800"])
        door.time.ms += 5000
        accepted += door.handle(name, bytes(payload))
        told = [told for told, _ in door.take()]
        assert "lastcommand" in told, (name, payload)
        assert (name.lower() in told) == (name.lower() in names), (name, payload)
        assert len(door.log.warnings) + len(door.log.infos) == 1, (name, payload)
        assert not door.log.errors, door.log.errors
        for lines in (door.log.warnings, door.log.infos):
            lines.clear()
        assert 5 <= door.thermostat.setpoint <= 35, payload
        assert door.thermostat.mode in ("off", "heat"), payload
        assert type(door.thermostat.setpoint) in (int, float), payload
        if round_ % 500 == 0:
            door = door.again()
    assert accepted > 20, "the mutations left too little valid for this to be a test"


def test_no_state_breaks_it():
    door = Door()
    deep = []
    for _ in range(500):
        deep = [deep]
    deepest = {}
    for _ in range(500):
        deepest = {"a": deepest}
    at = door.clock.now()
    for row in table.rows():
        for value in (None, True, 0, -1, 1e300, "", "x" * 2000, [], deep, {}, deepest, [None]):
            at += 1
            if row[0] != "restart":
                door.recover(row[0], value, at)
    door.pass_s(5)
    assert (door.thermostat.setpoint, door.thermostat.mode) == (21.0, "heat")
    assert not door.log.errors, door.log.errors


def test_deeply_nested_payloads_are_refused_before_they_are_parsed():
    for name in ("setpoint", "schedule", "config"):
        for payload in (
            b"[" * 512 + b"]" * 512,
            b'{"a":' * 150 + b"1" + b"}" * 150,
            b"[" * 1024,
            b'{"a":' * 200,
        ):
            door = Door()
            assert door.handle(name, payload) is False
            assert door.log.warnings[0].endswith("got brackets within brackets")
        for payload in (b'{"a":1', b'[{"days":"mon","at":"01:00"}'):
            door = Door()
            assert door.handle(name, payload) is False
            assert door.log.warnings[0].endswith(", which is not JSON")
    # Brackets in texts, and those beside each other, are none.
    door = Door()
    door.handle("mode", b'"[[[[[[[[[[["')
    assert door.log.warnings[0].endswith('got "[[[[[[[[[[["')
    assert door.handle(
        "schedule",
        b'[{"days":"mon","at":"00:00","preset":"home"}%s]'
        % b"".join(b',{"days":"mon","at":"01:%02d","preset":"home"}' % i for i in range(10)),
    )
