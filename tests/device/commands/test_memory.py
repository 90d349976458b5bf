"""What the door keeps while commands come, and how large the blocks are that it asks for."""

import gc
import json

from door import T0, Door
from firmware.commands.store import Store

HEAP = "512K"

ENTRIES = [
    {"days": day, "at": "%02d:0%d" % (hour, hour), "preset": "sleep"}
    for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    for hour in range(6)
]
COMMANDS = (
    ("setpoint", b"21.5"),
    ("setpoint", b"99"),
    ("preset", b'"away"'),
    ("preset", b'"' + b"x" * 1000 + b'"'),
    ("mode", b'"off"'),
    ("schedule", json.dumps(["%(days)s %(at)s %(preset)s" % entry for entry in ENTRIES]).encode()),
    ("hold_until", b'"2027-12-24T18:00:00Z"'),
    ("report_every", b"5"),
    ("identify", b"5"),
    ("config", b'{"mqtt": {"url": "x"}}'),
    ("config", range(5000)),
    ("unheard_of", b"1"),
)


def two_hundred(door):
    """Bytes that are alive after two hundred commands in a row."""
    for n in range(200):
        door.handle(*COMMANDS[n % len(COMMANDS)])
        if n % 40 == 39:
            for lines in (door.answers, door.times, door.proposed, door.identified):
                lines.clear()
            for lines in (door.log.infos, door.log.warnings):
                lines.clear()
    gc.collect()
    return gc.mem_alloc()


def test_commands_leave_nothing_behind():
    door = Door()
    gc.collect()
    before = gc.mem_alloc()
    first = two_hundred(door)
    # The schedule's modules with their code, what is kept and the verdicts that wait, of 64 bits.
    assert first - before < 20000, first - before
    for _ in range(3):
        assert two_hundred(door) - first < 1000
    door.pass_s(10)
    door.take()
    gc.collect()
    assert gc.mem_alloc() < first


def fill(blocks, size):
    """Take all blocks of that size, and hold them in a list's places; how many there were."""
    count = 0
    try:
        for i in range(len(blocks)):
            if blocks[i] is None:
                blocks[i] = bytearray(size)
                count += 1
    except MemoryError:
        pass
    return count


def test_no_block_is_larger_than_two_kib():
    two_hundred(Door())  # so that the modules are there, which are compiled here
    door = Door(utc_ms=T0)
    store = Store("other.json")
    payloads = [data for _, data in COMMANDS]
    gc.collect()
    blocks = [None] * 600
    fill(blocks, 2000)
    for i in range(0, len(blocks), 2):
        blocks[i] = None
    gc.collect()
    assert fill(blocks, 2100) < 10, "what is larger is taken, too"
    assert fill([None] * 100, 2000) > 50, "there is memory"
    for (name, _), payload in zip(COMMANDS, payloads):
        door.handle(name, payload)
    for i in range(10):
        store.put("schedule%d" % i, "x" * 300, T0 + i)
    store.flush()
    kept = Store("other.json")
    door.store.flush()
    after = Store()
    blocks = None
    assert not door.log.errors, door.log.errors
    assert not any("memory" in line for line in door.log.warnings), door.log.warnings
    assert [len(kept.get("schedule%d" % i)[0]) for i in range(10)] == [300] * 10
    assert len(after.get("schedule")[0].split(";")) == 42
