"""`csipio size`: what each room of the firmware costs, in flash and in RAM.

Each module is compiled and imported by itself, in an order in which each comes after what it
imports, so that a room's figure is its own. What a board loads are units of them all
(tools/linker), which take less: that is the last line. RAM is that of the interpreter which
measures ($MICROPYTHON); where a word has 32 bits, as on an ESP32, it is a little more than half of
what it is with 64.

That last line has a budget. What grows past it fails: make it smaller, or raise the budget in the
same change and say there why.
"""

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tools import ROOT, ToolError, linker, micropython
from tools.build import Built, build, compile_to, romfs, sources
from tools.build import linked as build_units

# Runs inside MicroPython: mounts a ROMFS image, and tells what each import leaves in the heap.
_MEASURE = """
import gc, json, sys, vfs
with open(%r, "rb") as file:
    image = bytearray(%d)
    file.readinto(image)
vfs.mount(vfs.VfsRom(image), "/rom")
sys.path[:] = ["/rom", "/rom/lib", ".frozen"]
import asyncio, ssl, socket, select, hashlib, umqtt.simple
def alive():
    gc.collect()
    return gc.mem_alloc()
for name in %r:
    before = alive()
    try:
        __import__(name)
        print(json.dumps([name, alive() - before]))
    except ImportError:
        print(json.dumps([name, None]))
"""

# Bytes that the units of a typical device may take: of flash; and of heap, by bytes of a word.
# What is rare is apart: a tenth more of flash for a fifth less of heap.
FLASH_BUDGET = 227_000
HEAP_BUDGETS = {4: 28_000, 8: 52_000}

# What a thermostat with a thermometer and a journal loads: the roots of its units.
_TYPICAL = (
    "firmware.app",
    "firmware.control.program",
    "firmware.points.spill",
    "firmware.sensors.room",
)


@dataclass
class Room:
    """The figures of one room: bytes, None where they cannot be measured on this machine."""

    name: str
    modules: int = 0
    flash: int = 0
    heap: int = 0
    unknown: int = 0  # modules that only a board can import


def rooms(root: Path = ROOT) -> list[Room]:
    """Every room's figures, in the order of their names. Raises ToolError."""
    texts = sources(root)
    own = {path: text for path, text in texts.items() if path.startswith(f"{linker.PACKAGE}/")}
    with tempfile.TemporaryDirectory(prefix="csipio-size-") as folder:
        made = Built(Path(folder))
        flash = {}
        for unit in linker.link(own, apart=True):
            target = (made.files / unit.path).with_suffix(".mpy")
            compile_to(target, unit.name, unit.source, unit)
            flash[unit.name] = target.stat().st_size
        for path, text in texts.items():
            if path.startswith("lib/"):
                compile_to((made.files / path).with_suffix(".mpy"), path, text)
        made.image.write_bytes(romfs(made.files))
        heap = _measured(made.image, flash)
    folders = [path.name for path in (root / linker.PACKAGE).iterdir() if path.is_dir()]
    found: dict[str, Room] = {}
    for name, size in flash.items():
        key = next(
            (room for room in folders if name.startswith(f"{linker.PACKAGE}.{room}")), "app"
        )
        room = found.setdefault(key, Room(key))
        room.modules += 1
        room.flash += size
        room.heap += heap.get(name) or 0
        room.unknown += heap.get(name) is None
    return [found[name] for name in sorted(found)]


def linked(root: Path = ROOT) -> tuple[int, int]:
    """(bytes of the ROMFS image, bytes of heap) of the units that a typical device loads."""
    built = build(root)
    units = {unit.root: unit.name for unit in build_units(sources(root), divide=True).values()}
    heap = _measured(built.image, [units[module] for module in _TYPICAL])
    # The meanings of all keys, for setup.help, are in no room's modules.
    meanings = (built.files / linker.PACKAGE / "reference.mpy").stat().st_size
    return built.image.stat().st_size - meanings, sum(size or 0 for size in heap.values())


def too_much(flash: int, heap: int, word: int) -> list[str]:
    """What of those units is past its budget, in words; word: bytes of the interpreter's words."""
    found = (("flash", flash, FLASH_BUDGET), ("heap", heap, HEAP_BUDGETS[word]))
    return [
        f"a typical device takes {size:,} bytes of {what}; its budget is {budget:,}: make it "
        f"smaller, or raise the budget in tools/size.py and say why"
        for what, size, budget in found
        if size > budget
    ]


def _word() -> int:
    """The bytes of a word of the interpreter that measures."""
    code = "import struct; print(struct.calcsize('P'))"
    command = micropython.command("-c", code)
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _measured(image: Path, names) -> dict[str, int | None]:
    code = _MEASURE % (str(image), image.stat().st_size, list(names))
    done = subprocess.run(
        micropython.command("-c", code, heap="8M"),
        env=micropython.environment([]),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise ToolError(f"the firmware could not be measured:\n{done.stdout}{done.stderr}")
    return dict(json.loads(line) for line in done.stdout.splitlines())


def main() -> None:
    """Print the table. Raises ToolError where the whole is past its budget."""
    console = Console()
    table = Table(title="What the firmware costs, in bytes", title_justify="left")
    table.add_column("room")
    for heading in ("modules", "flash", "heap"):
        table.add_column(heading, justify="right")
    every = rooms()
    for room in every:
        mark = f" (without {room.unknown} of a board)" if room.unknown else ""
        table.add_row(room.name, str(room.modules), f"{room.flash:,}", f"{room.heap:,}{mark}")
    table.add_section()
    total = [sum(getattr(room, key) for room in every) for key in ("modules", "flash", "heap")]
    table.add_row("all of them, apart", *(f"{figure:,}" for figure in total))
    flash, heap = linked()
    word = _word()
    table.add_row("a typical device, linked", "", f"{flash:,}", f"{heap:,}")
    table.add_row("its budget", "", f"{FLASH_BUDGET:,}", f"{HEAP_BUDGETS[word]:,}")
    console.print(table)
    problems = too_much(flash, heap, word)
    if problems:
        raise ToolError("\n".join(problems))
