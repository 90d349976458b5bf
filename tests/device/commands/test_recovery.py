"""Commands are found in the platform's state, each is obeyed once, and answers are none."""

from door import T0, Door, fresh, verdict


def test_a_missed_command_is_recovered():
    door = Door()
    door.handle("setpoint", b"22.5")
    door.take()
    door = door.again()
    at = door.clock.now() - 2000
    door.recover("setpoint", 19.0, at)
    assert door.thermostat.setpoint == 19.0
    # The answer is just after the command, so that it hides nothing that was written since.
    assert door.times == [at + 1, door.clock.now()] or door.times[0] == at + 1
    assert door.take() == [
        ("setpoint", 19.0),
        ("lastcommand", verdict("setpoint", "", at)),
    ]
    # Its own answer, and the command itself again: nothing happens.
    for value, when in ((19.0, at + 1), (19.0, at)):
        door.recover("setpoint", value, when)
    assert door.take() == []


def test_the_last_one_to_write_wins():
    door = Door()
    door.handle("setpoint", b"22.5")
    now = door.clock.now()
    door.take()
    door.recover("setpoint", 19.0, now - 1)
    assert door.thermostat.setpoint == 22.5 and door.take() == []
    door.recover("setpoint", 19.0, now + 1)
    assert door.thermostat.setpoint == 19.0
    door.time.ms += 5000
    door.handle("setpoint", b"23")
    door.recover("setpoint", 18.0, now + 2)
    assert door.thermostat.setpoint == 23


def test_what_the_program_changed_beats_what_is_older():
    entries = ["daily 10:41 away"]  # T0 is 10:40
    door = Door(entries=entries)
    door.pass_s(1)
    door.handle("setpoint", b"22.5")
    door.pass_s(70)
    assert door.thermostat.setpoint == 16.0
    due = T0 // 60000 * 60000 + 60000
    told = dict(zip([name for name, _ in door.answers], door.times))
    assert told["preset"] == due + 1, told
    door.take()
    door.recover("setpoint", 23.0, due - 1)
    assert door.thermostat.setpoint == 16.0
    door.recover("setpoint", 23.0, due + 2)
    assert door.thermostat.setpoint == 23.0


def test_a_command_after_what_was_due_while_the_device_was_off():
    entries = ["daily 10:41 away"]
    door = Door(entries=entries)
    door.pass_s(1)
    door.handle("setpoint", b"22.5")
    door.clock.set(T0 + 600000, door.time.ms)
    door = door.again(entries=entries)
    door.pass_s(1)
    assert door.thermostat.setpoint == 16.0, "it was due while the device was off"
    due = T0 // 60000 * 60000 + 60000
    door.recover("setpoint", 23.0, due + 5000)
    assert door.thermostat.setpoint == 23.0


def test_the_order_in_which_the_state_comes_does_not_matter():
    found = [
        ("setpoint", 23.0, T0 + 3000),
        ("preset", "away", T0 + 5000),
        ("mode", "off", T0 + 4000),
    ]
    for order in (found, found[::-1], found[1:] + found[:1]):
        door = fresh(utc_ms=T0 + 60000)
        door.recover(*order)
        assert (door.program.preset, door.thermostat.setpoint) == ("away", 16.0), order
        assert door.thermostat.mode == "off"
    later = [("setpoint", 23.0, T0 + 5000), ("preset", "away", T0 + 3000)]
    for order in (later, later[::-1]):
        door = fresh(utc_ms=T0 + 60000)
        door.recover(*order)
        assert (door.program.preset, door.thermostat.setpoint) == ("manual", 23.0), order


def test_no_loop_of_answers():
    """The platform's state, with the device's own answers in it, read again and again."""
    door = Door()
    state = {}

    def write():
        for (name, value), utc_ms in zip(door.answers, door.times):
            if utc_ms >= state.get(name, (0, 0))[1]:
                state[name] = (value, utc_ms)
        door.take()

    for name, payload in (
        ("setpoint", b"22.5"),
        ("preset", b'"away"'),
        ("schedule", b'["daily 06:30 home"]'),
        ("hold_until", b'"2027-12-24T18:00:00Z"'),
        ("restart", b"true"),
        ("identify", b"5"),
        ("report_every", b"5"),
        ("mode", b'"cool"'),
    ):
        door.handle(name, payload)
        door.pass_s(2)
        write()

    def nothing_happens():
        door.recover(*[(name,) + state[name] for name in state])
        assert door.take() == []

    def nothing_ever_happens():
        for _ in range(3):
            door.pass_s(30)
            nothing_happens()

    assert (door.restarts, door.identified) == (1, [5])
    nothing_ever_happens()
    door = door.again()
    nothing_ever_happens()
    # A client writes what is in force once more: that is a command, answered once.
    for name, (value, _) in state.items():
        state[name] = (value, door.clock.now())
    door.recover(*[(name,) + state[name] for name in state])
    door.pass_s(5)
    assert (door.program.preset, door.thermostat.setpoint) == ("home", 21.0)
    told = dict(door.answers)
    assert told["lastcommand"]["ok"]
    for name in ("preset", "schedule", "hold_until", "mode", "report_every"):
        assert told[name] == state[name][0], name
    write()
    nothing_ever_happens()
    door = door.again()
    nothing_ever_happens()
    assert door.restarts == 0 and door.identified == []


def test_a_malformed_one_in_the_state_is_refused_once():
    door = Door()
    at = door.clock.now() - 5000
    for _ in range(3):
        door.recover("setpoint", 99, at)
        door.recover("mode", ["off"], at)
        door.recover("schedule", {"entries": ["never"]}, at)
    assert [name for name, _ in door.take()] == [
        "setpoint",
        "lastcommand",
        "mode",
        "lastcommand",
        "schedule",
        "lastcommand",
    ]
    # Nobody knows whether the answer still waits in the buffer: it is told once more.
    door = door.again()
    for _ in range(3):
        door.recover("setpoint", 99, at)
    assert door.times == [at + 2] and door.take() == [("setpoint", 21.0)]


def test_what_lasts_a_moment_is_recovered_only_if_it_came_after_the_start():
    door = Door()
    start = door.clock.now() - door.time.ms
    door.recover("restart", True, start - 1)
    door.recover("identify", 60, start - 1)
    assert door.restarts == 0 and door.identified == []
    assert door.take() == [("restart", False), ("identify", 0)]
    door.recover("identify", 60, start + 100)
    assert door.identified == [60]
    door.recover("restart", True, start + 100)
    assert door.restarts == 1
    door.recover("restart", True, start + 100)
    assert door.restarts == 1
    door.recover("restart", False, start + 200)
    assert door.restarts == 1


def test_what_lasts_a_moment_takes_effect_as_if_it_had_come_in_time():
    door = Door()
    door.pass_s(100)
    now = door.clock.now()
    door.recover("identify", 60, now - 20500)
    assert door.identified == [40]
    assert door.values() == [("identify", 0)]
    for value, at, reason in ((310, now - 20000, "310"), (-5, now - 19000, "-5")):
        door.recover("identify", value, at)
        reason = "expected a whole number 0 to 300 seconds, got " + reason
        assert door.take()[-1] == ("lastcommand", verdict("identify", reason, at))
    # Over by now: there is nothing to be done but to say so.
    at = now - 10000
    for _ in range(2):
        door.recover("identify", 9, at)
        assert door.identified == [40]
    assert door.times == [at + 1] and door.take() == [("identify", 0)]


def test_what_lasts_a_moment_is_obeyed_once_where_the_platform_s_clock_is_ahead():
    for ahead_ms in (6000, 1500, 300):
        door = Door(utc_ms=T0 - 600000 * ahead_ms)
        door.pass_s(60)
        written_ms = door.clock.now() + ahead_ms
        door.handle("identify", b"30")
        door.pass_s(600)
        door.recover("identify", 30, written_ms)
        assert door.identified == [30]
        written_ms = door.clock.now() + ahead_ms
        door.handle("restart", b"true")
        door = door.again()  # it starts after four seconds
        door.pass_s(3)
        for _ in range(2):
            door.recover("restart", True, written_ms)
        assert door.restarts == 0, ahead_ms
        assert door.answers == [("restart", False)], (ahead_ms, door.answers)
        # And one that is news.
        door.recover("restart", True, written_ms + 11000)
        assert door.restarts == 1
    door.handle("restart", b"false")
    door.recover("restart", True, door.clock.now() + 500)
    assert door.restarts == 1, "none was obeyed before"


def test_a_property_that_was_never_written_is_told_once():
    door = Door()
    for _ in range(2):
        for name in ("setpoint", "mode", "preset", "hold_until", "temperature"):
            door.recover(name, None, 0)
    assert door.take() == [
        ("setpoint", 21.0),
        ("mode", "heat"),
        ("preset", "manual"),
        ("hold_until", ""),
    ]


def test_what_changes_before_the_clock_is_known_is_dated_afterwards():
    door = Door(known=False)
    door.handle("preset", b'"boost"')
    door.pass_s(3602)  # it ends, and nobody knows when that is
    assert door.program.preset == "manual"
    door.take()
    door.time.ms += 600000
    door.clock.set(T0, door.time.ms)
    ended = T0 - 600000
    door.recover("preset", "away", ended - 5000)
    assert door.program.preset == "manual"
    door.recover("preset", "away", ended + 5000)
    assert door.program.preset == "away"


def test_names_of_the_state_that_are_none_of_ours_are_nothing():
    door = Door()
    for name in ("temperature", "", "lastcommand", "active"):
        door.recover(name, 5, door.clock.now())
    assert door.take() == [] and door.log.warnings == []
