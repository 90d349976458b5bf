"""The ring that a queue has by default, as small as it may be: no reading is lost by that, a long
text fits, and the flash is written no more often.
"""

import os

from firmware.points import journal
from firmware.points.intake import make_queue
from flash import Flash, formatted, mount, umount
from model import Time, known_clock
from spilling import Ticks, counters, delivered, elsewhere, values

HEAP = "32M"
_FEED = {"format": "plain", "max_points": 100, "max_age_s": 10}


journal.time = Ticks  # sixteen readings are written in 2 ms, in every run


class Device:
    """Sensors that are read every so many ms, and a buffer that is looked after as it asks for."""

    def __init__(self, sensors, every_ms, ram_points=None, spill_after_s=30):
        self.time = Time()
        self.count = 0
        self.writes = 0
        self._sensors = sensors
        self._every_ms = every_ms
        self._tick_ms = 0
        buffer = {
            "ram_points": ram_points,
            "flash_kib": 512,
            "spill_after_s": spill_after_s,
            "when_full": "oldest",
        }
        columns = [("p%d" % n, 2) for n in range(sensors)]
        clock = known_clock(self.time)
        a_second = sensors * 1000 / every_ms
        self.queue = make_queue(columns, a_second, clock, _FEED, buffer, False, 0)

    def run(self, seconds):
        queue = self.queue
        for _ in range(20 * seconds):
            ms = self.time.ms
            if ms % self._every_ms == 0:
                for n in range(self._sensors):
                    queue.put(n, self.count)
                    self.count += 1
            if ms >= self._tick_ms:
                before = queue.in_ram
                self._tick_ms = ms + queue.tick()
                self.writes += queue.in_ram < before
            self.time.ms += 50

    def all_in(self):
        """Is every reading delivered, and none counted as gone?"""
        found = []
        for _ in range(100):  # until what is on its way to flash is there
            found += values(delivered(self.queue))
            self.queue.tick()
        return counters(self.queue) == {} and set(found) == set(range(self.count))


def test_an_outage_loses_nothing():
    for sensors, every_ms in ((24, 100), (24, 1000), (3, 5000)):
        elsewhere()
        device = Device(sensors, every_ms)
        device.run(90)
        assert device.queue.spilled
        assert device.all_in(), (sensors, every_ms)


def test_a_file_system_that_fails_twice_loses_nothing():
    for sensors, every_ms, spill_after_s in ((24, 5000, 30), (15, 1000, 30), (24, 800, 1)):
        for fails_at in range(20, 31, 2):
            flash = Flash(192, formatted(192))
            mount(flash)
            os.chdir("/flash")
            try:
                device = Device(sensors, every_ms, None, spill_after_s)
                # An outage that was long ago begun, and has left nothing for early writes.
                device.queue._backlog._paid_ms = 1 << 29
                device.run(fails_at)
                flash.failing = True
                device.run(19)
                flash.failing = False
                device.run(40)
                assert device.all_in(), (sensors, every_ms, fails_at)
            finally:
                os.chdir("/")
                umount()


def test_the_flash_is_written_as_often_as_with_a_large_ring():
    for sensors, every_ms, spill_after_s in (
        (1, 5000, 30),
        (24, 5000, 30),
        (8, 1000, 30),
        (15, 1000, 30),
        (2, 1000, 300),
    ):
        writes = []
        for ram_points in (None, 8192):
            elsewhere()
            device = Device(sensors, every_ms, ram_points, spill_after_s)
            device.run(1800)
            writes.append(device.writes)
        assert writes[0] == writes[1] > 0, (sensors, every_ms, spill_after_s, writes)


def test_the_longest_text_fits_and_is_not_written_to_flash():
    device = Device(2, 5000)
    queue = device.queue
    text = "x" * 1022
    queue.put(0, text)
    for n in range(30):
        queue.put(1, n)
    queue.tick()
    assert "journal" not in os.listdir()
    assert values(delivered(queue)) == [text] + list(range(30))
    # Nor is it lost where there are more of them.
    for _ in range(5):
        queue.put(0, text)
    assert values(delivered(queue)) == 5 * [text]
    assert counters(queue) == {}
