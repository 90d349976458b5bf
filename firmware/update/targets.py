"""Where an image goes, and how the next start is told to run it.

A target has `name`; `room()` raises ValueError where the image is too large; `got()` bytes are
there already, at a multiple of 4 KiB; `write(at, data)` adds to them, or goes back to such a
multiple; `settle()` is called at the end of 4 KiB, all of which are there;
`read_into(at, buffer)` reads flash back; `prepare()`, a coroutine, is called once that is checked;
`discard()` takes away what nobody needs. They raise OSError, and GivenUp, with words.
"""

import asyncio
import os
import sys

from micropython import const

try:
    from typing import Any
except ImportError:  # the board has no typing, and asks for no types
    Any = None

from firmware.base import files
from firmware.update.fetch import GivenUp

NEXT = "firmware.next"  # what the next start runs, and boot.py removes; see there
SET = "firmware.set"  # what each start runs; where it is missing, what was deployed
_SETS = ("firmware.a", "firmware.b")
_HALVES = ("slot.a", "slot.b")  # of the ROMFS partition; what is deployed lies in the first
_PART = "update.part"
_GOT = "update.got"  # how much of a slot is written, at least
_NOTED = const(65536)  # bytes from one note of that to the next
_BLOCK = const(4096)
_SPARE = const(65536)  # bytes that stay free for readings and settings
_BLOCK_COUNT = const(4)  # operations of a block device
_ERASE = const(6)
_FOLDER = const(0x4000)


def kind() -> str:
    """What this device runs from."""
    place = _place()
    if ".frozen" in place:
        return "app"
    return "romfs" if place[:5] in ("/rom/", "/slot") else "files"


def _place() -> str:
    """Where the firmware was found, such as `/rom/firmware`."""
    path: Any = sys.modules["firmware"].__path__
    return path


def chip(board) -> str:
    return board.chip()[0].replace("-", "") if sys.platform == "esp32" else "unix"


def make(kind: str, size: int, board):
    """The target of an image of that kind, which is what this device runs from."""
    if kind == "app":
        partition = board.partition()
        slot = partition(partition.RUNNING).get_next_update()
        return _Slot(size, slot, 0, slot.ioctl(_BLOCK_COUNT, 0), slot.info()[4])
    here = running(board)
    if kind == "files":
        return _Files(size, _SETS[here == _SETS[0]], True)
    name = _HALVES[here != _HALVES[1]]
    try:
        partition = board.partition()
    except OSError:  # the unix port's halves are files
        return _Files(size, name, False)
    (slot,) = partition.find(partition.TYPE_DATA, label="romfs")
    half = slot.ioctl(_BLOCK_COUNT, 0) // 2
    begin = half if name == _HALVES[1] else 0
    return _Slot(size, slot, begin, half, name)


def running(board) -> str:
    """The name of the target that this start runs from."""
    if kind() == "app":
        partition = board.partition()
        return partition(partition.RUNNING).info()[4]
    place = _place().lstrip("/").partition("/")[0]
    return place if place in _SETS + _HALVES else ""


def arm(name: str, board) -> None:
    """Run the target of that name at the next start alone."""
    files.replace(NEXT, lambda file: file.write(name))
    if name not in _SETS + _HALVES:
        board.partition()(name).set_boot()


def confirm(name: str, board) -> None:
    """Run it at each start from now on."""
    if name in _SETS + _HALVES:
        files.replace(SET, lambda file: file.write(name))
    else:
        board.partition().mark_app_valid_cancel_rollback()


class _Slot:
    """The passive of the two slots for applications, or of the halves for ROMFS images."""

    def __init__(self, size: int, slot, begin: int, blocks: int, name: str):
        """slot: a partition; it is written from block `begin` on, `blocks` of them."""
        self._size = size
        self._slot = slot
        self._begin = begin
        self._room = blocks * _BLOCK
        self.name = name

    def room(self) -> None:
        if self._size > self._room:
            text = "the image has %d bytes, and the slot for it %d; leave something out of it"
            raise ValueError(text % (self._size, self._room))
        if self._begin:
            head = bytearray(8)
            self._slot.readblocks(0, head, 0)
            deployed = _rom_size(head)
            if deployed > self._room:
                text = "the ROMFS image that runs has %d bytes, and half of its partition %d; use"
                raise ValueError((text + " `csipio deploy`") % (deployed, self._room))

    def got(self) -> int:
        try:
            with open(_GOT) as file:
                return min(int(file.read()), self._size)
        except (OSError, ValueError):
            return 0

    def write(self, at: int, data) -> None:
        if at % _NOTED == 0:  # a slot does not know how far it was written
            files.replace(_GOT, lambda file: file.write(str(at)))
        if at % _BLOCK == 0:
            self._slot.ioctl(_ERASE, self._begin + at // _BLOCK)
        self._slot.writeblocks(self._begin + at // _BLOCK, data, at % _BLOCK)

    def settle(self) -> None:
        pass

    def read_into(self, at: int, buffer) -> int:
        self._slot.readblocks(self._begin + at // _BLOCK, buffer, at % _BLOCK)
        return min(len(buffer), self._size - at)

    async def prepare(self) -> None:
        files.remove(_GOT)

    def discard(self) -> None:
        files.remove(_GOT)


def _rom_size(head) -> int:
    """Bytes of a ROMFS image that begins so: three of its mark, its length in sevens of bits."""
    size = 0
    for at in range(3, len(head)):
        size = size << 7 | head[at] & 0x7F
        if not head[at] & 0x80:
            return at + 1 + size
    return 0


class _Files:
    """The set of files that does not run, or the ROMFS image in a file. What is fetched is kept
    beside it until all is there.
    """

    def __init__(self, size: int, name: str, unpacks: bool):
        self._size = size
        self.name = name
        self._unpacks = unpacks
        self._file: Any = None

    def room(self) -> None:
        _empty(self.name)
        stat = os.statvfs(os.getcwd())
        free = stat[0] * stat[4] + self.got() - _SPARE
        needs = self._size
        if self._unpacks:  # and what is in it: each file takes a block more
            needs += self._size + self._size // 4
        if needs > free:
            text = "the image needs %d bytes of flash, and %d are free; lower buffer.flash_kib"
            raise ValueError(text % (needs, max(0, free)))

    def got(self) -> int:
        try:
            size = os.stat(_PART)[6]
        except OSError:
            return 0
        return size if size == self._size else min(size, self._size) // _BLOCK * _BLOCK

    def write(self, at: int, data) -> None:
        if at == 0 or not self._file:
            self._close()
            self._file = open(_PART, "r+b" if at else "wb")  # noqa: SIM115 kept over the ranges
        if at % _BLOCK == 0:
            self._file.seek(at)
        self._file.write(data)

    def settle(self) -> None:
        self._file.flush()

    def read_into(self, at: int, buffer) -> int:
        self._close()
        with open(_PART, "rb") as file:
            file.seek(at)
            return file.readinto(buffer)

    async def prepare(self) -> None:
        self._close()
        _empty(self.name)
        if not self._unpacks:
            os.rename(_PART, self.name)
            return
        for compares in (False, True):
            await _unpack(self.name, compares)
        files.remove(_PART)

    def discard(self) -> None:
        self._close()
        files.remove(_PART)

    def _close(self):
        if self._file:
            self._file.close()
            self._file = None


async def _unpack(folder, compares):
    """Write the files of the image, or compare them with what flash reads back."""
    buffer = bytearray(512)
    with open(_PART, "rb") as image:
        while True:
            path, _, size = str(image.readline(), "ascii").partition(" ")
            if path == "end":
                return
            left = int(size)
            place = folder + "/" + path
            if not compares:
                _make_folders(place)
            with open(place, "rb" if compares else "wb") as file:
                while left:
                    part = memoryview(buffer)[: min(left, len(buffer))]
                    n = image.readinto(part)
                    if not n:
                        raise GivenUp("the image is cut short; make the release anew")
                    left -= n
                    if not compares:
                        file.write(part[:n])
                    elif file.read(n) != bytes(part[:n]):
                        raise GivenUp("flash does not keep what is written to it")
                    await asyncio.sleep_ms(0)


def _make_folders(path):
    at = path.find("/")
    while at > 0:
        try:
            os.mkdir(path[:at])
        except OSError:
            pass  # it is there
        at = path.find("/", at + 1)


def _empty(folder):
    """Remove a file, or a folder with all in it; without recursion, as the stack is short."""
    if not files.exists(folder):
        return
    if not os.stat(folder)[0] & _FOLDER:
        os.remove(folder)
        return
    paths = [folder]
    while paths:
        path = paths[-1]
        inside = [(path + "/" + entry[0], entry[1]) for entry in os.ilistdir(path)]
        for name, mode in inside:
            if mode & _FOLDER:
                paths.append(name)
            else:
                os.remove(name)
        if path == paths[-1]:
            os.rmdir(path)
            paths.pop()
