"""Files that are written whole or not at all, however the power is cut.

The new contents go to `<path>.new`, which then takes the file's place: littlefs renames a file
over another one as a whole or not at all.
"""

import binascii
import json
import os

_BLOCK = 256  # bytes read at a time


def replace(path: str, write) -> None:
    """Have `write(file)` write a file anew, in binary. Raises OSError, and what it raises."""
    new = path + ".new"
    with open(new, "wb") as file:
        write(file)
    os.rename(new, path)


def replace_json(path: str, tree) -> None:
    """Write a tree as JSON. Raises OSError."""
    replace(path, lambda file: json.dump(tree, file))


def copy(path: str, other: str) -> None:
    """Copy a file over another one. Raises OSError."""
    replace(other, lambda file: _pass(path, file.write))


def exists(path: str) -> bool:
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def crc32(path: str) -> int:
    """The CRC-32 of a file; -1 where there is none, or it cannot be read."""
    total = [0]

    def add(block):
        total[0] = binascii.crc32(block, total[0])

    try:
        _pass(path, add)
    except OSError:
        return -1
    return total[0]


def _pass(path, to):
    """Hand a file's bytes to `to`, a piece at a time."""
    with open(path, "rb") as file:
        while True:
            block = file.read(_BLOCK)
            if not block:
                return
            to(block)
