"""The pace of answers, and what becomes of those that wait."""

from door import T0, Door, fresh
from firmware.times.calendar import iso


def test_answers_that_come_too_fast_are_put_together():
    door = Door()
    for n in range(200):
        door.handle("setpoint", b"%d" % (10 + n % 20))
        door.time.ms += 1
    assert len(door.answers) <= 17
    assert door.thermostat.setpoint == 29
    door.take()
    door.pass_s(3)
    at = door.answers.index(("setpoint", 29))
    told = door.answers[at], door.times[at]
    assert door.answers[-1][1]["property"] == "setpoint" and door.answers[-1][1]["ok"]
    door.take()
    door.pass_s(60)
    assert door.take() == []
    # What was told late is no command either.
    door.recover(*told[0], told[1])
    assert door.take() == []


def test_each_command_is_answered_or_counted():
    for count, told, left_out in ((8, 8, 0), (16, 16, 0), (17, 16, 1), (40, 16, 24)):
        door = fresh()
        for i in range(count):
            door.handle("schedule", b'["bad%d"]' % i)
        assert len(door.answers) <= 16
        for _ in range(10):
            before = len(door.answers)
            door.pass_s(1)
            assert len(door.answers) - before <= 4, "the readings' buffer is not filled with them"
        verdicts = [value for name, value in door.take() if name == "lastcommand"]
        assert len(verdicts) == told, count
        assert sum([verdict.get("left_out", 0) for verdict in verdicts]) == left_out
        assert verdicts[-1].get("left_out", 0) == left_out
        for verdict in verdicts:
            assert not verdict["ok"] and verdict["time"] == iso(T0), verdict
        # The next one is answered as the first one was.
        assert door.handle("setpoint", b"22")
        verdicts = [value for name, value in door.take() if name == "lastcommand"]
        assert len(verdicts) == 1 and "left_out" not in verdicts[0]


def test_answers_come_in_the_order_of_their_commands():
    door = Door()
    for i in range(20):
        door.handle("setpoint", b"%d" % (10 + i % 2 * 50))
        door.time.ms += 100
    door.pass_s(10)
    times = [value["time"] for name, value in door.take() if name == "lastcommand"]
    assert times == sorted(times) and len(times) > 15


def test_what_waits_goes_before_a_restart():
    door = Door()
    for i in range(12):
        door.handle("mode", b'"bad%d"' % i)
    door.handle("restart", b"true")
    assert door.restarts == 1
    told = [value["property"] for name, value in door.take() if name == "lastcommand"]
    assert told[-1] == "restart" and len(told) == 13


def test_a_verdict_waits_for_the_clock():
    door = Door(known=False)
    for _ in range(2):
        door.commands.restore(failed="the platform was not reached with it in time")
        door.pass_s(5)
    door.time.ms += 55000
    assert dict(door.take()) == {"config": {}}
    door.clock.set(T0 + 65000, door.time.ms)
    door.pass_s(1)
    times = [value["time"] for name, value in door.take() if name == "lastcommand"]
    assert times == [iso(T0), iso(T0 + 5000)]


def test_an_answer_that_cannot_be_buffered_is_no_harm():
    def full(name, value, utc_ms=None):
        raise ValueError("a value of 1500 bytes is too long to be buffered")

    door = Door(answer=full)
    assert door.handle("setpoint", b"22.5") is True
    assert door.thermostat.setpoint == 22.5
    assert door.log.errors[0].startswith("setpoint is not told: ValueError: a value of 1500")
