"""config.json as it is: JSON, and unchecked but for that."""

import errno
import gc
import json
import os

from micropython import const

from firmware.base import json_check

_LARGEST = const(16384)  # bytes of a file: some ten times the largest that makes sense
_LONGEST_KEY = const(40)  # characters that are repeated
_BLOCK = const(256)  # bytes read at a time


def read(path: str) -> dict:
    """What a file says, unchecked. Raises ValueError with words for a person."""
    try:
        if os.stat(path)[6] > _LARGEST:
            raise ValueError("larger than %d bytes; is it the right file?" % _LARGEST)
        with open(path, "rb") as file:
            try:
                return _parse(file)
            except MemoryError:
                pass
            # Once more, before it is the file that is to blame.
            gc.collect()
            file.seek(0)
            return _parse(file)
    except MemoryError:
        raise ValueError("needs more memory than there is; is it the right file?")
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise ValueError("no such file; write one, see docs/configuration.md")
        raise ValueError("cannot be read: %s" % error)


def _parse(file):
    if file.read(3) != b"\xef\xbb\xbf":  # the byte order mark that some editors write
        file.seek(0)
    flaw = 0
    try:
        given = json.load(file)
        file.seek(0)
        flaw = json_check.depth(file)
        if flaw < 0:
            raise ValueError
    except ValueError:
        # It reads byte by byte, so the file stands one byte after the one it did not like.
        end = file.tell() - 1
        file.seek(0)
        line = 1
        for start in range(0, end, _BLOCK):
            line += file.read(min(_BLOCK, end - start)).count(b"\n")
        if flaw == -2:
            # From here back to the quote before it.
            file.seek(max(0, end - _BLOCK))
            key = str(file.read(min(_BLOCK, end)).split(b'"')[-1], "utf-8")[:_LONGEST_KEY]
            text = 'the key "%s" at line %d is there a second time in the same section; leave one'
            raise ValueError((text + " of them") % (key, line))
        text = "not JSON at line %d or just before; look for a comma, quote or bracket that is "
        raise ValueError((text + "missing or one too many") % line)
    if type(given) is not dict:
        raise ValueError("expected an object with sections: begin with { and end with }")
    return given
