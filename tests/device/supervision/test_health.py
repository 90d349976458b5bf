"""What is reported of the device's health, and what is said of its memory at the start."""

import gc

from firmware import VERSION
from firmware.board import board, unix
from firmware.supervision import health
from firmware.supervision.health import Health, names
from logs import Logged


class Part:
    """Stands for any owner: each attribute is its own name, or a method that returns it."""

    def __init__(self, *methods):
        self._methods = methods

    def __len__(self):
        return 0  # an empty queue is there all the same

    def __getattr__(self, name):
        return (lambda: name) if name in self._methods else name


def owners(**changes):
    parts = {name: Part() for name in ("queue", "uplink", "failover", "supervisor", "heater")}
    parts["wifi"] = Part("rssi")
    parts["loop_meter"] = Part("take")
    parts["board"] = board
    parts["services"] = Part("lastfault")
    parts.update(changes)
    return parts


class Has:
    def __init__(self, asked):
        self.asked = asked

    def __call__(self, name):
        return name in self.asked


class Told(dict):
    def __call__(self, name, value):
        assert name not in self, name
        self[name] = value


def reported(parts, asked):
    told = Told()
    Health(parts, Has(asked), told).report()
    return told


class Board:
    """A board whose memory is what a test says."""

    def __init__(self, *memory):
        self._memory = memory or None

    def memory(self):
        return self._memory

    def reset_cause(self):
        return "power-on"


def with_board(stand_in, call):
    """What a call returns, and the lines that it logs."""
    health.board = stand_in
    try:
        with Logged() as lines:
            return call(), lines
    finally:
        health.board = board


def test_each_row_finds_its_value_at_its_owner():
    told = reported(owners(), names())
    # The unix port has no memory beside the heap.
    assert set(told) == set(names()) - {"freeidf", "largestidf"}, told
    for name, value in (
        ("waiting", 0),
        ("spilled", "spilled"),
        ("rejected", "rejected"),
        ("rssi", "rssi"),
        ("looppause", "take"),
        ("relayseconds", "on_s"),
        ("relaycycles", "cycles"),
        ("resetcause", unix.reset_cause()),
        ("firmware", VERSION),
    ):
        assert told[name] == value, (name, told[name])
    assert 0 < told["lowheap"] <= told["freeheap"] <= gc.mem_free() + gc.mem_alloc()
    assert told["uptime"] >= 0


def test_only_what_is_asked_for_is_reported():
    assert set(reported(owners(), ("uptime", "rssi"))) == {"uptime", "rssi"}
    assert reported(owners(), ()) == {}


def test_what_a_device_does_not_have_is_not_reported():
    told = reported(owners(heater=None), names())
    assert "relayseconds" not in told and "relaycycles" not in told and "restarts" in told


def test_none_is_not_reported():
    class Away:
        def rssi(self):
            return None

    assert "rssi" not in reported(owners(wifi=Away()), names())


class Gc:
    """A collector that finds so much free after each collection."""

    def __init__(self, *free):
        self._free = list(free)
        self._found = None
        self.thresholds = []

    def collect(self):
        self._found = self._free.pop(0)

    def threshold(self, amount):
        self.thresholds.append(amount)

    def mem_free(self):
        return self._found


def test_the_free_heap_is_measured_after_a_collection_and_its_lowest_is_kept():
    told = []
    health.gc = Gc(5000, 4000, 1000, 3000)  # the first one at the start
    try:
        made = Health(owners(), Has(("lowheap", "freeheap")), lambda *pair: told.append(pair[1]))
        for _ in range(3):
            made.report()
    finally:
        health.gc = gc
    assert told == [4000, 4000, 1000, 1000, 3000, 1000], told


def test_garbage_may_take_an_eighth_of_what_is_free_within_bounds():
    collector = health.gc = Gc(20000, 100000, 4000000)
    try:
        made = Health(owners(), Has(()), None)
        for _ in range(2):
            made.report()
        assert collector.thresholds == [2500, 12500, 131072]
        # What the heap of a board could still grow by is for TLS.
        collector = health.gc = Gc(100000)
        with_board(Board(72704, 38912), lambda: Health(owners(), Has(()), None))
        assert collector.thresholds == [(100000 - 38912) // 8]
    finally:
        health.gc = gc


def test_the_memory_of_a_board_is_reported():
    told, _ = with_board(Board(72704, 38912), lambda: reported(owners(), names()))
    assert (told["freeidf"], told["largestidf"]) == (72704, 38912)


def memory_lines(memory, tls=True):
    def log():
        Health(owners(), Has(()), None).log_memory(tls)

    return [line[13:] for line in with_board(Board(*memory), log)[1]]


def test_the_memory_at_the_start_is_one_line():
    (line,) = memory_lines((72704, 38912))
    words = line.split(" ")
    assert words[:4] == ["I", "health:", "memory:", "heap"] and words[5] == "of", line
    assert 0 < int(words[4]) <= int(words[6]), line
    assert line.endswith(" KiB, ESP-IDF 71 KiB free, largest block 38 KiB"), line
    (line,) = memory_lines(())
    assert line.startswith("I health: memory: heap ") and line.endswith(" KiB"), line
    assert "ESP-IDF" not in line


def test_too_little_memory_for_tls_is_told_with_a_remedy():
    for memory in ((29 * 1024, 20 * 1024), (90 * 1024, 16 * 1024)):
        _, warning = memory_lines(memory)
        assert warning.startswith("W health: memory: too little for TLS, which needs 30 KiB")
        assert "lower buffer.ram_points" in warning
        assert len(memory_lines(memory, tls=False)) == 1
    assert len(memory_lines((30 * 1024, 17 * 1024))) == 1
