"""The files of the journal, and what is found in them after a restart."""

import os

from micropython import const

from firmware.base.passing import passing
from firmware.base.rare import rare
from firmware.points.journal_record import SIZE
from firmware.points.ring import BASE

BLOCK = const(4096)
LINKS = const(24)  # bytes of littlefs's own in the blocks of a segment
_SUFFIX = ".seg"
_NAME_SIZE = const(12)
_FOLDER = const(0x4000)  # type of an entry of ilistdir


class Segment:
    """One file of the journal."""

    def __init__(self, number: int):
        self.number = number
        self.size = 0  # bytes
        self.points = 0  # in it and not read yet
        self.resolution_ms = 0  # of thinning; 0: every reading is in it
        self.busy = False  # being delivered

    def path(self, folder: str) -> str:
        return "%s/%08x%s" % (folder, self.number, _SUFFIX)

    def blocks(self) -> int:
        return (self.size + LINKS + BLOCK - 1) // BLOCK

    @rare
    def survey(self, path: str):
        """Find what is in it, by the kinds alone: 512 KiB take a second. Raises as `ending`."""
        self.size = os.stat(path)[6]
        with open(path, "rb") as file:
            self.resolution_ms = read(file).header["resolution"]
            chunk = bytearray(64 * SIZE)
            while True:
                size = file.readinto(chunk)
                if not size:
                    break
                for k in range(0, size, SIZE):
                    if chunk[k] < BASE:
                        self.points += 1


def read(file, properties=None):
    """A journal_reader.Records of an open file: its module is in memory while there is one."""
    return passing(_records)(file, properties)


def _records():
    from firmware.points.journal_reader import Records

    return Records


@rare
def ending(path: str, properties) -> tuple:
    """Where a journal has to go on, by its newest segment: (newest, era, seed).

    `newest`: ms of the newest dated reading. `era`: number of the newest undated reading's, and ms
    of its first and its newest one; -1 where there is none. `seed`: of its records, or None if it
    has other properties or a torn record. Raises OSError; ValueError: it is no segment.
    """
    with open(path, "rb") as file:
        records = read(file, properties)
        newest = records.header["newest"]
        era, first, last = records.header["era"]
        whole = (os.stat(path)[6] - records.offset) % SIZE == 0
        seed = records.seed if whole and records.header["same"] else None
        while records.next() >= 0:
            if records.kind >= BASE:
                continue
            t = records.t
            if records.cycle < 0:
                newest = max(newest, t)
                continue
            if records.cycle != era:
                era = records.cycle
                first = last = -1
            first = t if first < 0 else min(first, t)
            last = max(last, t)
    return newest, (era, first, last), seed


@rare
def find(folder: str, log) -> tuple:
    """The segments in a folder, oldest first, and those that are none. Raises OSError.

    A rewriting that was cut off is removed; what is not the journal's own is left alone.
    """
    segments: list = []
    broken: list = []
    for name in sorted([e[0] for e in os.ilistdir(folder) if e[1] != _FOLDER]):
        number = _number(name)
        if number < 0:
            if name.endswith(".tmp"):
                try:
                    os.remove(folder + "/" + name)
                except OSError as error:
                    log.error("%s/%s cannot be removed: %s", folder, name, error)
            elif name != "eras":
                log.warning("%s/%s is none of its files", folder, name)
            continue
        segment = Segment(number)
        path = segment.path(folder)
        kept = segments
        try:
            segment.survey(path)
        except OSError as error:  # it may be readable when its turn comes
            log.error("%s cannot be read: %s", path, error)
        except ValueError:
            kept = broken
            if segment.size:  # else it was just begun when the power failed
                log.error("%s has no header that is whole", path)
        kept.append(segment)
    return segments, broken


def _number(name: str) -> int:
    """The number of the segment with this file name, or -1."""
    if len(name) == _NAME_SIZE and name.endswith(_SUFFIX):
        try:
            number = int(name[: -len(_SUFFIX)], 16)
            if "%08x%s" % (number, _SUFFIX) == name:
                return number
        except ValueError:
            pass
    return -1
