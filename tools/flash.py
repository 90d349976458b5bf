"""Write MicroPython's image to a board with esptool, and with it, if wanted, its first files.

esptool runs as a program of its own. It tells its progress itself, and it checks what it wrote by
the hash that the chip computes of its flash.
"""

import re
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.prompt import Confirm

from tools import ROOT, ToolError, vfs
from tools.board import Board, BoardError, no_such
from tools.deploy import configuration_files
from tools.facts import Facts

_BAUD = 460800
_PROMPT_S = 30  # from the reset to MicroPython's prompt; its first start makes a file system

# ESP-IDF's esp_app_format.h, "esp_chip_id_t", and where the ROM of each looks for a bootloader.
CHIPS = {
    0: ("ESP32", 0x1000),
    2: ("ESP32-S2", 0x1000),
    5: ("ESP32-C3", 0),
    9: ("ESP32-S3", 0),
    12: ("ESP32-C2", 0),
    13: ("ESP32-C6", 0),
    16: ("ESP32-H2", 0),
    18: ("ESP32-P4", 0x2000),
}
_IMAGE_MAGIC = 0xE9
_CHIP_ID_AT = 12
_TABLE_AT = 0x8000  # the partition table, in flash
_TABLE_MAGIC = b"\xaa\x50"
_ENTRY = struct.Struct("<2sBBII16sI")
_MIB = 1 << 20


class FlashError(ToolError):
    """Nothing was written, or not all of it; the text says what to do."""


@dataclass(frozen=True)
class Image:
    """A whole image: bootloader, partition table and program."""

    path: Path
    chip: str
    start: int  # in flash
    size: int
    partitions: dict[str, tuple[int, int]]
    """(start, size) of each partition by its label."""

    @property
    def end(self) -> int:
        """How much flash it needs, its file system included."""
        ends = [start + size for start, size in self.partitions.values()]
        return max(ends, default=self.start + self.size)


@dataclass(frozen=True)
class Chip:
    """What a board says of itself before anything is written."""

    kind: str
    name: str
    features: str
    flash: int

    def described(self) -> str:
        psram = re.search(r"Embedded PSRAM \S+", self.features)
        told = psram[0] if psram else "no PSRAM in the chip; a module may have one beside it"
        return f"{self.name}, {self.flash // _MIB} MB of flash, {told}"


def read_image(path: Path) -> Image:
    """What an image is for. Raises FlashError for what is none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FlashError(f"{path}: cannot be read: {error.strerror}") from error
    what = "expected MicroPython's image for an ESP32, a .bin file"
    if len(data) < _ENTRY.size or data[0] != _IMAGE_MAGIC:
        raise FlashError(f"{path}: is no image; {what}")
    chip, start = CHIPS.get(int.from_bytes(data[_CHIP_ID_AT : _CHIP_ID_AT + 2], "little"), ("", 0))
    if not chip:
        raise FlashError(f"{path}: is for a chip that this tool does not know; {what}")
    partitions = _partitions(data[_TABLE_AT - start :])
    if not partitions:
        raise FlashError(
            f"{path}: is a program alone, as for an update; {what} with bootloader and partition "
            "table, which is the larger file of a release"
        )
    return Image(path, chip, start, len(data), partitions)


def _partitions(table: bytes) -> dict[str, tuple[int, int]]:
    found = {}
    while table[:2] == _TABLE_MAGIC and len(table) >= _ENTRY.size:
        _, _, _, start, size, label, _ = _ENTRY.unpack_from(table)
        found[label.rstrip(b"\0").decode("ascii", "replace")] = start, size
        table = table[_ENTRY.size :]
    return found


def flash(
    port: str,
    path: Path,
    *,
    erase: bool = False,
    config: Path | None = None,
    sure: bool = False,
    stub: bool = True,
    wait: bool = True,
    root: Path = ROOT,
    console: Console | None = None,
) -> None:
    """Write the image at `path` to the board on `port`. Raises ToolError.

    With `erase`, all of the flash is erased first, which is asked for unless `sure`. With
    `config`, that configuration and its certificates become the file system. Without `stub`,
    esptool speaks to the chip's own loader, which is slower. With `wait`, it returns when
    MicroPython answers.
    """
    console = Console() if console is None else console
    image = read_image(path)
    files = None if config is None else _file_system(image, configuration_files(config, root))
    chip = ask(port, stub)
    console.print(f"{port}: {chip.described()}")
    if chip.kind != image.chip:
        raise FlashError(
            f"{path}: is for an {image.chip}, and the board on {port} is an {chip.kind}; "
            "take the image of that chip. Nothing was written"
        )
    if image.end > chip.flash:
        raise FlashError(
            f"{path}: needs {image.end / _MIB:g} MB of flash, and the board on {port} has "
            f"{chip.flash / _MIB:g} MB. Nothing was written"
        )
    if erase and not sure:
        _ask_to_erase(port, console)
    elif files is not None and not sure:
        _ask_to_erase(port, console, "The file system is made anew: ")
    if erase and not stub:
        # The chip's own loader erases a part of the flash only, which may be all of it.
        _esptool(port, stub, "erase-region", "0", f"{chip.flash:#x}")
        erase = False
    _write(port, image, files, erase, stub, console)
    console.print("Written and verified.")
    if wait:
        facts = _at_the_prompt(port, console)
        step = "deploy" if facts.frozen is None else "configure" if files is None else "monitor"
        console.print(f"{facts.machine} answers. Next: csipio {step} {port}")


def ask(port: str, stub: bool = True) -> Chip:
    """What the board on a port is. Raises FlashError."""
    said = _esptool(port, stub, "flash-id", quiet=True)
    kind = re.search(r"^Connected to (ESP32\S*)", said, re.MULTILINE)
    name = re.search(r"^Chip type:\s+(.+)$", said, re.MULTILINE)
    features = re.search(r"^Features:\s+(.+)$", said, re.MULTILINE)
    size = re.search(r"^Detected flash size:\s+(\d+)(KB|MB)", said, re.MULTILINE)
    if not (kind and size):
        raise FlashError(f"{port}: the board does not say what it is:\n{said.strip()}")
    unit = _MIB if size[2] == "MB" else 1024
    return Chip(
        kind[1],
        name[1].strip() if name else kind[1],
        features[1] if features else "",
        int(size[1]) * unit,
    )


def _file_system(image: Image, files: dict[str, bytes]) -> tuple[int, bytes]:
    """Where the file system begins in flash, and what it is to be."""
    if "vfs" not in image.partitions:
        raise FlashError(f"{image.path}: has no partition `vfs` to put files in")
    start, size = image.partitions["vfs"]
    return start, vfs.image(files, size)


def _ask_to_erase(port, console, why=""):
    console.print(
        f"{why}this takes the readings that wait on the board, what was set there, and its "
        f"configuration with it. `csipio backup {port} DIR` keeps them."
    )
    try:
        sure = Confirm.ask(f"Go on with {port}?", default=False, console=console)
    except (KeyboardInterrupt, EOFError):
        console.print()
        sure = False
    if not sure:
        raise FlashError("nothing was written; where nobody can answer, --yes does")


def _write(port, image, files, erase, stub, console):
    pieces = [f"{image.start:#x}", str(image.path)]
    with tempfile.TemporaryDirectory() as folder:
        if files is not None:
            start, data = files
            path = Path(folder) / "vfs.bin"
            path.write_bytes(data)
            pieces += [f"{start:#x}", str(path)]
        options = ["--erase-all"] if erase else []
        options += [] if console.is_terminal else ["--no-progress"]
        console.print(
            f"Writing {image.size / _MIB:.1f} MB. Ctrl-C leaves a board without a program."
        )
        _esptool(port, stub, "write-flash", "--flash-size", "detect", *options, *pieces)


def _esptool(port, stub, *arguments, quiet=False) -> str:
    """Run esptool; what it says, where that is not shown to the user. Raises FlashError."""
    if "://" not in port and not Path(port).exists():
        raise FlashError(no_such(port))
    command = [sys.executable, "-m", "esptool", "--port", port, "--baud", str(_BAUD)]
    if not stub:
        command.append("--no-stub")
    try:
        done = subprocess.run(
            [*command, *arguments],
            stdout=subprocess.PIPE if quiet else None,
            stderr=subprocess.STDOUT if quiet else None,
            text=True,
        )
    except KeyboardInterrupt:
        raise FlashError(f"{port}: broken off; flash the board again before it is used") from None
    said = done.stdout or ""
    if done.returncode:
        reason = "".join(f"\n  {line}" for line in said.strip().splitlines()[-4:])
        left = (
            "Is it the right port, and is no other program using it?"
            if quiet
            else "It did not write all, so what is on the board may be half written: "
            "flash it again, by the same command, with another cable if it stays so."
        )
        raise FlashError(
            f"{port}: esptool ended with {done.returncode}.{reason}\n{left} Many boards need "
            "their button BOOT held down while EN is pressed."
        )
    return said


def _at_the_prompt(port, console) -> Facts:
    """What MicroPython says of the board, as soon as it answers. Raises FlashError."""
    console.print("Waiting for MicroPython's prompt …")
    until = time.monotonic() + _PROMPT_S
    while True:
        try:
            board = Board(port)
            try:
                return board.facts()
            finally:
                board.close()
        except BoardError as error:
            if time.monotonic() >= until:
                raise FlashError(
                    f"{port}: it is written and verified, but MicroPython does not answer: {error}"
                ) from error
            time.sleep(1)
