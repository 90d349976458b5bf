"""The lamp on its pin: what the whole device shows of how it fares."""

import asyncio

from test_safe_mode import CONFIG

from firmware import app, config
from firmware.base import files
from firmware.board import board
from firmware.config.trial import Trial

HEAP = "1M"


class Failover:
    def __init__(self, state, carrier):
        self.state = state
        self.carrier = carrier


class Uplink:
    def __init__(self, state, carrier):
        self.failover = Failover(state, carrier)

    def stop(self):
        pass


def made(tree=CONFIG):
    files.replace_json("config.json", tree)
    built = app.App(config.last_good(), Trial())
    asyncio.new_event_loop()
    return built


def shown(built, seconds=24):
    """What its lamp shows in the next seconds, from the beginning of a cycle: # is on."""
    services, seen = built._services, ""
    for _ in range(seconds):
        services.blink(0)
        services.tick(0)
        seen += "#" if board.outputs[25].on else "."
    return seen


def test_each_state_of_the_device_is_shown():
    built = made()
    services = built._services
    assert shown(built) == 6 * "#..."
    services._ticks = 240
    for link, pattern in (
        (None, 4 * "#.#..."),
        (("wifi", "none"), 4 * "#.#..."),
        (("wifi", "https"), 4 * "#.#..."),
        (("waiting", "none"), 3 * "#.#.#..."),
        (("mqtt", "none"), 3 * "#.#.#..."),
        (("mqtt", "mqtt"), 24 * "."),
        (("https", "https"), 24 * "."),
    ):
        services._uplink = link and Uplink(*link)
        services._ticks = 240
        assert shown(built) == pattern, link
    thermostat = built._regulation.thermostat
    thermostat.fault = "stuck"
    services._ticks = 240
    assert shown(built, 20) == 2 * "#.#.#.#..."
    services._device.put("identify", 300)
    assert shown(built, 20) == 10 * "#."
    built.stop()
    assert not board.outputs[25].on, "dark at the end"


def test_without_a_lamp_nothing_is_shown():
    board.outputs.clear()
    built = made(dict(CONFIG, device=dict(CONFIG["device"], led=None)))
    built._services.blink(0)
    built._services._device.put("identify", 5)
    built._services.blink(0)
    assert list(board.outputs) == [26]


def test_it_is_there_before_the_commands_and_without_them():
    real = app.Services.make_commands

    def fails(self):
        raise OSError(5)

    app.Services.make_commands = fails
    try:
        built = made()
    finally:
        app.Services.make_commands = real
    assert shown(built, 4) == "#..."
