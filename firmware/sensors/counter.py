"""A counter: each reading is the next integer, and is on file before anybody has it.

The file holds every reading ever taken, a line each, so a test can compare it with what reached
the platform. A restart goes on after the file's last whole line. A line that a kill cut short was
nobody's reading: its number is the first one taken after the restart, and completes the line.

A line is with the operating system when `write` returns: the unix port buffers nothing, and its
`flush` would be an fsync, which waits for the disk.

A file is for one sensor only, and on the unix port only: it would wear out a board's flash.
"""

import os

MEASURES = (("count", "", None, None),)
SHARED = ()
KEYS = """\
file | text | 1 to 128 | "counter.txt" | where each reading is appended as a line
"""

_TAIL = 64  # bytes from the file's end that hold its last whole line, and a torn one


class Driver:
    def __init__(self, specs: list):
        self._path = specs[0]["file"]
        try:
            self._next, torn = _resume(self._path)
            self._file = open(self._path, "ab")  # noqa: SIM115 kept for life
        except OSError as error:
            raise OSError("cannot use %s: %s" % (self._path, error))
        if self._next < 0 or not (b"%d\n" % self._next).startswith(torn):
            raise OSError("%s is not a counter's file; move it" % self._path)
        # The line of the next reading, counted on in place: a reading allocates nothing.
        self._line = bytearray(b"%d\n" % self._next)
        self._written = len(torn)  # bytes of it that are on file

    def start(self) -> int:
        return 0

    def read(self):
        pass

    def value(self, n: int) -> int:
        line = self._line
        left = memoryview(line)[self._written :] if self._written else line
        self._written += self._file.write(left)
        if self._written < len(line):
            raise OSError("%s took only a part of a line; is the disk full?" % self._path)
        self._line = _count_on(line)
        self._written = 0
        self._next += 1
        return self._next - 1


def _count_on(line):
    """The line of the next integer, in the same bytes as long as it needs no further digit."""
    last = digit = len(line) - 2
    while digit >= 0 and line[digit] == ord("9"):
        digit -= 1
    if digit < 0:
        line = bytearray(b"0" + line)  # before anything is changed
        digit = 0
        last += 1
    line[digit] += 1
    while digit < last:
        digit += 1
        line[digit] = ord("0")
    return line


def _resume(path):
    """The number that follows the file's last whole line, and the bytes of a torn one after it.

    The number is negative for a file of somebody else.
    """
    try:
        size = os.stat(path)[6]
    except OSError:
        return 0, b""
    with open(path, "rb") as file:
        file.seek(max(0, size - _TAIL))
        lines = file.read(_TAIL).split(b"\n")
    if len(lines) < 2:
        return 0, lines[-1]
    try:
        return int(lines[-2]) + 1, lines[-1]
    except ValueError:
        return -1, b""
