"""The command `config`: put on trial, answered without its secrets, and what is set beside it."""

from door import T0, Door, fresh, verdict


def test_a_configuration_is_answered_without_its_secrets_and_then_the_device_restarts():
    door = Door()
    shown = {"wifi": [{"ssid": "home", "password": "(hidden)"}]}
    door.proposal = shown, True
    secret = b'{"wifi": [{"ssid": "home", "password": "geheim"}]}'
    assert door.handle("config", secret)
    assert door.restarts == 1
    assert door.take() == [("config", shown), ("lastcommand", verdict("config"))]
    # Its own answer is no command, whenever it was written.
    door.recover("config", shown, door.clock.now() + 1000)
    door.recover("config", {}, door.clock.now() + 2000)
    assert door.restarts == 1 and door.take() == []
    with open("settings.json") as file:
        assert "geheim" not in file.read()
    said = door.log.infos + door.log.warnings
    assert not any("geheim" in line for line in said), said


def test_what_is_written_of_a_broken_configuration_is_not_repeated():
    door = Door()
    for payload in (
        b'{"wifi": [{"password": "geheim"',
        b'"geheim"',
        b'["geheim"]',
        b"geheim" * 500,
    ):
        assert not door.handle("config", payload)
        answers = door.values()
        assert answers == [("config", {})]
    assert not any("geheim" in line for line in door.log.warnings), door.log.warnings


def test_a_configuration_that_is_refused_says_why():
    door = Door()
    door.proposal = ValueError("mqtt.ulr: unknown key")
    assert not door.handle("config", b'{"mqtt": {"ulr": "x"}}')
    assert door.restarts == 0
    assert door.take() == [
        ("config", {}),
        ("lastcommand", verdict("config", "mqtt.ulr: unknown key")),
    ]


def test_a_configuration_is_recovered():
    door = Door()
    door.proposal = {"health": {"every_s": 5}}, True
    at = door.clock.now() - 60000
    door.recover("config", {"health": {"every_s": 5}}, at)
    assert door.restarts == 1
    door.recover("config", {"health": {"every_s": 5}}, at + 1)
    assert door.restarts == 1


def test_a_configuration_that_was_missed_is_obeyed_though_some_of_it_is_empty():
    door = Door()
    part = {"thermostat": {"failsafe": {}}}
    door.recover("config", part, T0 + 500)
    assert door.proposed == [part]
    # Nothing of it changed, and nothing is known of it at the next look.
    assert door.restarts == 0 and door.take()[-1] == (
        "lastcommand",
        verdict("config", "", T0 + 500),
    )


def test_what_came_of_a_trial_is_told():
    door = Door()
    door.handle("setpoint", b"19")
    door.handle("mode", b'"off"')
    again = door.again(failed="nobody answered")
    assert again.take() == [
        ("config", {}),
        ("lastcommand", verdict("config", "nobody answered", again.clock.now())),
    ]
    assert again.thermostat.setpoint == 19
    # On trial, what it says of a set point is in force; told, and kept, only when it is kept.
    again = door.again(tried=["setpoint", "preset", "relay"])
    assert again.take() == []
    assert (again.thermostat.setpoint, again.thermostat.mode) == (21.0, "off")
    again.commands.configured()
    assert again.values() == [("setpoint", 21.0), ("preset", "manual")]
    assert again.store.get("setpoint") is None, "the configuration has it"
    assert again.store.time("setpoint") > T0
    assert again.again().thermostat.setpoint == 21.0


def test_what_is_set_after_a_configuration_came_holds_over_it():
    """Last writer wins: before the restart, on trial, and when it is kept."""
    tried = ["setpoint", "preset", "mode"]
    for missed in (False, True):
        door = fresh()
        door.proposal = {"thermostat": {"setpoint": 24}}, True
        door.handle("setpoint", b"19")
        door.handle("mode", b'"off"')
        door.pass_s(60)
        at = door.clock.now() - 500
        if missed:
            door.recover(("setpoint", 25.5, at), ("config", {"thermostat": {"setpoint": 24}}, at))
        else:
            door.handle("config", b'{"thermostat": {"setpoint": 24}}')
            door.handle("setpoint", b"25.5")
        assert door.restarts == 1
        for _ in range(2):
            door = door.again(tried=tried)
            door.proposal = ValueError("another one is on trial")
            assert (door.thermostat.setpoint, door.thermostat.mode) == (25.5, "heat")
            # What is refused sets nothing, and moves nothing.
            assert not door.handle("config", b'{"thermostat": {"setpoint": 24}}')
            assert not door.handle("mode", b'"cool"')
            door.pass_s(5)
        door.take()
        door.commands.configured()
        assert door.values() == [("mode", "heat")]
        door = door.again()
        assert (door.thermostat.setpoint, door.thermostat.mode) == (25.5, "heat")
        # The next one is another one.
        door.proposal = {"thermostat": {"setpoint": 22}}, True
        door.handle("config", b'{"thermostat": {"setpoint": 22}}')
        door = door.again(tried=tried)
        assert door.thermostat.setpoint == 21.0, "as the configuration says"
        # On trial, too.
        door.handle("setpoint", b"18")
        assert door.again(tried=tried).thermostat.setpoint == 18


def test_what_is_set_on_trial_holds_where_it_was_lost_that_there_is_one():
    door = Door(tried=["setpoint"])
    door.handle("setpoint", b"18")
    door = door.again(tried=["setpoint"])
    assert door.thermostat.setpoint == 18
    door.take()
    door.commands.configured()
    assert door.again().thermostat.setpoint == 18
