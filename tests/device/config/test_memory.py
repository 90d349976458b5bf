"""What the check of a configuration, and of a part from afar, ask of the heap."""

import gc
import json
import os

from example import EXAMPLE
from firmware.config import check, load
from firmware.config.proposal import propose
from firmware.config.trial import Trial
from firmware.control import schedule
from firmware.times import zone_rule
from tried import read, write

HEAP = "512K"

# They stay: to compile them from their sources would take more than what is measured here.
READERS = (schedule, zone_rule)

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def fill(size, places):
    """Take all memory in blocks of that size, but for what the list of them needs."""
    blocks = [None] * places
    try:
        for i in range(places):
            blocks[i] = bytearray(size)
    except MemoryError:
        pass
    return blocks


def holes():
    """What holds all memory but for blocks of 2 KiB, until it is cleared."""
    blocks = fill(2048, 300)
    for i in range(0, 300, 2):
        blocks[i] = None
    gc.collect()
    larger = fill(2100, 20)
    assert larger[-1] is None, "what is larger is taken, too"
    return [blocks, larger]


def test_a_check_needs_little_beside_the_settings():
    given = json.loads(EXAMPLE)
    check.check(given)  # the driver's module stays
    gc.collect()
    before = gc.mem_alloc()
    settings, problems = check.check(given)
    assert not problems
    gc.collect()
    size = gc.mem_alloc() - before
    settings = None
    gc.collect()
    blocks = fill(256, 2000)
    # Blocks that lie side by side, as many as the settings and 10 KiB take; of a word of 64 bits.
    # The first ones filled holes of all kinds.
    last = blocks.index(None)
    for i in range((size + 10240) // 256):
        blocks[last - 1 - i] = None
    settings, problems = check.check(given)
    blocks = None
    assert settings and not problems
    assert size < 8192, size


def test_a_check_for_problems_alone_keeps_what_is_compared():
    sizes = []
    for only in (None, check.COMPARED):
        check.check(json.loads(EXAMPLE), only)
        given = json.loads(EXAMPLE)
        gc.collect()
        before = gc.mem_alloc()
        settings, problems = check.check(given, only)
        gc.collect()
        sizes.append(gc.mem_alloc() - before)
        assert not problems and settings["thermostat"]["setpoint"] == 21
        given["mqtt"]["keepalive_s"] = 1
        given["nobody"] = given["thermostat"]["sensor"] = "nobody"
        settings, problems = check.check(given, only)
        assert settings is None and len(problems) == 2, problems
        settings = None
    assert sizes[1] < 0.5 * sizes[0], sizes


def test_what_is_spent_is_let_go_while_it_is_checked():
    sizes = []
    for spent in (False, True):
        check.check(json.loads(EXAMPLE))
        gc.collect()
        before = gc.mem_alloc()
        given = json.loads(EXAMPLE)
        settings, problems = check.check(given, None, spent)
        gc.collect()
        sizes.append(gc.mem_alloc() - before)
        assert not problems and settings["thermostat"]["relay"]["pin"] == 26
        given = settings = None
    assert sizes[1] < 0.75 * sizes[0], sizes


def test_no_block_is_larger_than_two_kib():
    write("config.json", json.loads(EXAMPLE))
    trial = Trial()
    entries = ["%s 0%d:00 home" % (day, hour) for day in DAYS for hour in range(6)]
    part = {
        "wifi": [{"ssid": "home%d" % i, "password": "p" * 60} for i in range(8)],
        "thermostat": {"schedule": entries},
        "time": {"zone": "CET-1CEST,M3.5.0,M10.5.0/3"},
    }
    assert 1500 < len(json.dumps(part)) < 2048
    gc.collect()
    held = holes()
    hidden, changes = propose(trial, part, ["mqtt"])
    trial = Trial()
    settings, problems = load.load_good(trial)
    held.clear()
    assert changes and hidden["time"] == "(long)"
    assert not problems and trial.pending()
    assert read()["wifi"] == part["wifi"]
    assert len(settings["thermostat"]["schedule"]) == 42


def test_a_broken_file_is_told_without_a_large_block():
    with open("config.json", "w") as file:
        file.write('{"a": 1}')
        for _ in range(3000):
            file.write("    \n")
        file.write("x")
    assert os.stat("config.json")[6] > 15000
    gc.collect()
    held = holes()
    settings, problems = load.load("config.json")
    held.clear()
    assert settings is None and "not JSON at line 3001" in problems[0], problems
