"""The pace of answers, and what becomes of those that wait."""

from door import T0, Door, fresh, shown, state
from firmware.base import files
from firmware.commands import store
from firmware.commands.store import Store
from firmware.times.calendar import iso


def test_answers_that_come_too_fast_are_put_together():
    door = Door()
    for n in range(200):
        door.handle("setpoint", b"%d" % (10 + n % 20))
        door.time.ms += 1
    assert len(door.answers) <= 17
    assert door.thermostat.setpoint == 29
    door.take()
    door.pass_s(6)
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
        for second in range(1, 11):
            door.pass_s(1)
            many = "the readings' buffer is not filled with them"
            assert len(door.answers) <= 16 + 4 * second, many
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


class Flash:
    """Stands for the files of the store: notes what is written, and fails as it is told."""

    def __init__(self):
        self.written = 0
        self.errors = []

    def replace(self, path, write):
        self.written += 1
        if self.errors:
            raise self.errors.pop(0)
        files.replace(path, write)

    def __enter__(self):
        store.files = self
        return self

    def __exit__(self, *_):
        store.files = files


def test_what_is_answered_is_on_flash():
    """The power may be cut after any answer: what it says is in force after that, too."""
    with Flash() as flash:
        door = fresh(entries=["daily 10:41 away"])
        answer = door.answer
        answered = []

        def checked(name, value, utc_ms=None):
            kept = Store()
            if name == "lastcommand":
                name, value = value["property"], None
            assert kept.time(name) == door.store.time(name) != 0, name
            if value is not None and name not in ("identify", "restart", "config"):
                assert kept.get(name)[0] == value, (name, value)
            answered.append(name)
            answer(name, value, utc_ms)

        door.answer = checked
        door.commands._answers._send = checked
        for n in range(40):
            door.handle("setpoint", b"%d" % (10 + n % 20))
            if n % 7 == 0:
                door.handle("mode", (b'"off"', b'"heat"')[n & 1])
                door.handle("identify", b"5")
            door.time.ms += 250
            if n % 4 == 0:
                door.pass_s(1)
        door.pass_s(100)
        assert Store().get("setpoint")[0] == door.thermostat.setpoint == 16, "the schedule's"
        assert "preset" in answered and "mode" in answered and "identify" in answered
        # Flash lasts: eight writings at once, and then one in five seconds.
        assert flash.written <= 8 + 120 // 5, flash.written


def test_three_set_points_in_two_seconds_and_then_the_power_goes():
    for spacing_ms in (0, 700, 1000):
        door = fresh()
        for payload in (b"22", b"22.5", b"23"):
            assert door.handle("setpoint", payload)
            door.time.ms += spacing_ms
        told = [value for name, value in door.take() if name == "setpoint"]
        assert told == [22, 22.5, 23], "so few are answered at once"
        assert Door(utc_ms=T0 + 5000).thermostat.setpoint == 23


def test_a_value_that_does_not_change_is_not_written_again():
    with Flash() as flash:
        door = fresh()
        for payload in (b"22.5", b"22.5", b"22.50"):
            door.handle("setpoint", payload)
            door.pass_s(10)
            assert len(door.take()) == 2, "it is answered all the same"
        assert flash.written == 1
        # When it ends depends on when it was last asked for.
        for written in (2, 3):
            door.handle("preset", b'"boost"')
            door.pass_s(10)
            assert flash.written == written
        # What the device said last is no command after a power cut, though its time was not kept.
        door.handle("preset", b'"away"')
        door.pass_s(10)
        door.handle("preset", b'"away"')
        door.pass_s(10)
        said = shown(door)
        restarted = Door(utc_ms=T0 + 600000)
        restarted.recover(*[(name, said[name][0], said[name][1]) for name in said])
        assert state(restarted) == ("away", 16.0, 30.0)


def test_answers_do_not_wait_for_flash_for_ever():
    with Flash() as flash:
        door = fresh()
        flash.errors = [OSError(5), MemoryError()]
        door.handle("setpoint", b"22.5")
        assert door.take() == [], "it is not on flash"
        door.pass_s(1)
        door.pass_s(5)
        assert door.values() == [("setpoint", 22.5)]
        assert Store().get("setpoint")[0] == 22.5
        flash.errors = [OSError(5)] * 100
        door.handle("setpoint", b"23")
        assert door.take() == []
        door.pass_s(30)
        assert door.values() == [("setpoint", 23)], "the file system does not work: it is logged"
        door.handle("setpoint", b"24")
        assert ("setpoint", 24) in door.take()


def test_an_answer_for_which_there_was_no_memory_once_comes_later():
    door = Door()
    answer = door.answer
    for failures in (1, 2):
        left = [failures]

        def short(name, value, utc_ms=None, left=left):
            if left[0]:
                left[0] -= 1
                raise MemoryError
            answer(name, value, utc_ms)

        door.commands._answers._send = short
        door.handle("setpoint", b"%d" % (20 + failures))
        door.pass_s(3)
        assert [name for name, _ in door.take()] == ["setpoint", "lastcommand"]
        assert not door.log.errors
