"""What the whole firmware makes first, what it reports, and that nothing keeps the settings."""

import asyncio
import os

from firmware import app
from firmware.board import board
from firmware.config import load
from firmware.config.trial import Trial
from firmware.points import queue as queue_module
from logs import logged
from settings import alone
from settings import settings as checked_settings

HEAP = "1M"


class Order:
    """A board that notes what is made of it, in its order."""

    def __init__(self, made):
        self.made = made

    def __getattr__(self, name):
        self.made.append(name)
        return getattr(board, name)


def settings(**changes):
    return checked_settings(**alone(health={"every_s": 1}, **changes))


def made_by(**changes):
    """The App, and in which order it used the board and made the buffer."""
    made = []
    real = queue_module.Queue.__init__

    def init(self, *arguments, **named):
        made.append("Queue")
        real(self, *arguments, **named)

    app.board = Order(made)
    queue_module.Queue.__init__ = init
    try:
        built = app.App(settings(**changes), Trial())
    finally:
        app.board = board
        queue_module.Queue.__init__ = real
    return built, made


def test_the_relay_is_first_then_the_radio_and_then_whatever_needs_memory():
    _, made = made_by()
    assert made[:2] == ["Output", "Wifi"], made
    assert made.index("Queue") > 1


def test_the_radio_is_first_where_nothing_is_regulated():
    _, made = made_by(thermostat=None)
    assert made[0] == "Wifi" and "Output" not in made, made


def ring_by_default(count, every_s, health_s=300, **buffer):
    """Slots of the ring of so many sensors, and how many properties there are."""
    sensors = [
        {"prop": "p%d" % n, "driver": "counter", "file": "p%d.txt" % n, "every_s": every_s}
        for n in range(count)
    ]
    health = {"every_s": health_s}
    given = alone(sensors=sensors, health=health, buffer=buffer, thermostat=None)
    queue = app.App(checked_settings(**given), Trial())._services._queue
    return queue._ring.slots, len(queue.properties.names)


def test_the_ring_is_as_large_as_what_is_read_needs_it():
    for count, every_s in ((0, 5), (1, 5), (24, 5), (1, 86400), (4, 1)):
        assert ring_by_default(count, every_s)[0] == 384, (count, every_s)
    for count, every_s in ((24, 0.1), (24, 1), (2, 0.1)):
        assert ring_by_default(count, every_s)[0] == 1024, (count, every_s)
    for spill_after_s, seconds in ((30, 65), (45, 85), (15, 45)):
        slots, properties = ring_by_default(10, 1, spill_after_s=spill_after_s)
        assert 384 < slots < 1024
        assert slots == round(properties + seconds * (10 + 24 / 300)), (spill_after_s, slots)
    # A report of the health is as good as a reading of 24 sensors.
    slots, properties = ring_by_default(1, 5, health_s=2)
    assert slots == round(properties + 65 * (1 / 5 + 24 / 2))
    assert ring_by_default(4, 1, health_s=0)[0] == 384


def test_without_flash_the_ring_is_large():
    for count, every_s in ((1, 5), (24, 0.1)):
        assert ring_by_default(count, every_s, flash_kib=0)[0] == 1024


def test_a_ring_that_the_configuration_names_is_that_large():
    for ram_points in (16, 1024, 5000):
        for flash_kib in (0, 64):
            buffer = {"ram_points": ram_points, "flash_kib": flash_kib}
            for count, every_s in ((1, 5), (24, 0.1)):
                assert ring_by_default(count, every_s, **buffer)[0] == ram_points


def run_for(built, ms):
    """Run its tasks for so long; what they log."""

    async def main():
        running = asyncio.create_task(built.main())
        await asyncio.sleep_ms(ms)
        running.cancel()
        try:
            await running
        except asyncio.CancelledError:
            pass

    try:
        return logged(lambda: asyncio.run(main()), 13)
    finally:
        built.safe()
        asyncio.new_event_loop()


def test_nothing_needs_the_settings_once_everything_is_built():
    given = settings()
    built = app.App(given, Trial())
    given.clear()
    lines = run_for(built, 1500)
    assert any("loop: relay on" in line for line in lines), lines
    wrong = [line for line in lines if "died" in line or "KeyError" in line or "reading:" in line]
    assert not wrong, lines


def test_the_number_of_readings_that_only_ram_has_outlives_the_process():
    built = app.App(settings(), Trial())
    assert board.Retained().get() == 0
    run_for(built, 700)
    kept = board.Retained().get()
    assert kept >= 3, kept
    lines = logged(lambda: app.App(settings(), Trial()), 13)
    words = "%d readings that were only in RAM are lost (or earlier ones, not yet reported)"
    assert "W intake: " + words % kept in lines, lines


def test_what_is_in_ram_goes_to_flash_at_the_end():
    built = app.App(settings(), Trial())
    run_for(built, 500)
    built.stop()
    assert board.Retained().get() == 0
    assert any(name.endswith(".seg") for name in os.listdir("journal"))


def test_the_memory_is_told_at_the_start():
    lines = logged(lambda: app.App(settings(), Trial()), 13)
    assert any(line.startswith("I health: memory: heap ") for line in lines), lines


def test_the_default_configuration_runs():
    """As the first example of docs/configuration.md has it, but for the driver."""
    with open("config.json", "w") as file:
        file.write(
            '{"device": {"id": "_dev_1", "key_id": "_key_1", "key_secret": "s"},'
            ' "sensors": [{"prop": "temperature", "driver": "room"}]}'
        )
    found, problems = load.load_good(Trial())
    assert not problems, problems
    app.App(found, Trial())
