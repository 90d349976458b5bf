"""How long the flash lives: erases counted by the chip, while readings are spilled without end.

The file system is an ESP32's. That of MicroPython's own image has 2 MB, a fifth of it taken by the
firmware, which does not move. That of this project's image has 960 KiB, and no firmware in it.
Littlefs wears blocks evenly by going round through those that are free, and moves metadata after
100 erases. So a block is ahead of the mean by some hundreds of erases, however long it goes on: a
short run shows the spread as too large, never as too small, and the life that is computed here
from the most erased block is a lower bound.
"""

import gc
import os
import sys

import firmware.points.journal
from flash import Flash, formatted, mount, umount
from model import T0, Time, known_clock, make_queue

HEAP = "32M"
TIMEOUT_S = 600

_BLOCKS = 512
_MODULES = 50  # of two blocks each
_IMAGE_BLOCKS = 240  # of `vfs` in image/CSIPIO_THERMOSTAT/partitions.csv
_CYCLES = 100000
_YEAR_S = 31556952


def wear(spills, readings, every_ms, blocks=_BLOCKS, modules=_MODULES):
    """Spill that often at the default settings; returns (seconds, erases of each block)."""
    flash = Flash(blocks, formatted(blocks))
    mount(flash)
    log = sys.modules["firmware.base.log"]
    log.print = lambda *args: None
    try:
        os.chdir("/flash")
        for n in range(modules):
            with open("module%d.mpy" % n, "wb") as f:
                f.write(bytes(8000))
        flash.erases = [0] * blocks
        time = Time()
        firmware.points.journal.new_era = lambda: 7  # every run is the same
        queue = make_queue(
            time, slots=384, max_points=100, flash_kib=512, clock=known_clock(time, T0)
        )
        done = 0
        before = flash.operations
        while done < spills:
            for _ in range(readings):
                queue.put(0, 20.5)
            time.ms += every_ms
            queue.tick()
            if flash.operations != before:
                done += 1
                before = flash.operations
            if not done & 63:
                gc.collect()
        return time.ms // 1000, flash.erases
    finally:
        del log.print
        os.chdir("/")
        umount()


def report(name, seconds, erases):
    mean = sum(erases) / len(erases)
    most = max(erases)
    years = seconds * _CYCLES / most / _YEAR_S
    even = seconds * _CYCLES / mean / _YEAR_S
    print(
        "%s: %d s, %d erases, mean %.1f, most %d (%.2f of the mean): %.0f years, evenly %.0f"
        % (name, seconds, sum(erases), mean, most, most / mean, years, even)
    )
    return years, most / mean


def test_the_flash_lives_for_fifteen_years_of_spilling():
    years, spread = report("a reading in 5 s", *wear(80000, 1, 5000))
    assert years >= 15
    assert spread <= 2.5


def test_that_of_the_projects_own_image_lives_for_ten():
    worn = wear(40000, 1, 5000, _IMAGE_BLOCKS, 0)
    years, spread = report("a reading in 5 s, 960 KiB", *worn)
    assert years >= 10
    assert spread <= 2.5
