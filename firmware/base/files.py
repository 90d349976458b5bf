"""Files that are written whole or not at all, whenever the power is cut.

The new contents go to `<path>.new`, which then takes the file's place: littlefs renames a file
over another one as a whole or not at all.
"""

import binascii
import json
import os

from micropython import const

from firmware.base.rare import rare

_BLOCK = const(256)  # bytes read at a time


def replace(path: str, write) -> None:
    """Write a file anew by `write(file)`, in binary. Raises OSError, and what `write` raises."""
    new = path + ".new"
    with open(new, "wb") as file:
        write(file)
    os.rename(new, path)


def replace_json(path: str, tree) -> None:
    """Write a tree as JSON. Raises OSError."""
    replace(path, lambda file: json.dump(tree, file))


@rare
def copy(path: str, other: str) -> None:
    """Copy a file over another one. Raises OSError."""

    def write(file):
        for block in _blocks(path):
            file.write(block)

    replace(other, write)


def exists(path: str) -> bool:
    try:
        return bool(os.stat(path))
    except OSError:
        return False


def remove(path: str) -> None:
    """Remove a file, if it is there and that works."""
    try:
        os.remove(path)
    except OSError:
        pass


@rare
def crc32(path: str) -> int:
    """The CRC-32 of a file; -1 where there is none, or where it cannot be read."""
    total = 0
    try:
        for block in _blocks(path):
            total = binascii.crc32(block, total)
    except OSError:
        return -1
    return total


@rare
def same(path: str, other: str) -> bool:
    """Whether both files are there, with the same contents. Raises OSError."""
    if not exists(path) or not exists(other):
        return False
    with open(path, "rb") as one:
        for block in _blocks(other):
            if one.read(_BLOCK) != block:
                return False
        return not one.read(1)


@rare
def _blocks(path):
    with open(path, "rb") as file:
        while True:
            block = file.read(_BLOCK)
            if not block:
                return
            yield block
