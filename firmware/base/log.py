"""The log: one short line an event on standard output, made for a person on a serial line.

          12.345 I link: connected to mqtt.csip.io

is the uptime in seconds, the level (I, W or E), the room that speaks, which is its file's name,
and the text. Whatever a value holds, an event stays one line of printable text: it can neither
forge a second line nor reach the terminal's control sequences. What there is no memory to write
of it is left out: whoever deals with a failure is not to meet another one here.
"""

from micropython import const

from firmware.base import uptime
from firmware.base.characters import characters

_LONGEST = const(240)  # characters of text: three lines of an 80-column terminal


class Log:
    """The log of one room; `Log.warnings` and `Log.errors` count those of all rooms."""

    warnings = 0
    errors = 0

    def __init__(self, room: str):
        self._room = room

    def info(self, text: str, *values) -> None:
        """Writes an event; `values` fill the text's % places, as in CPython's logging."""
        self._write("I", text, values)

    def warning(self, text: str, *values) -> None:
        """Something was refused, lost or late, and the firmware has dealt with it."""
        Log.warnings += 1
        self._write("W", text, values)

    def error(self, text: str, *values) -> None:
        """Something is broken until a person, or a restart, repairs it."""
        Log.errors += 1
        self._write("E", text, values)

    def _write(self, level, text, values):
        try:
            print(self._line(level, text, values))
        except MemoryError:
            print("       -.---", level, self._room, text)

    def _line(self, level, text, values) -> str:
        if values:
            try:
                text = text % values
            except (TypeError, ValueError):
                # Most often it is an error that is being logged: it must come out all the same.
                text = "%s %r" % (text, values)
        at = divmod(uptime.ms(), 1000)
        return "%8d.%03d %s %s: %s" % (at + (level, self._room, harmless(text)))


def harmless(text: str) -> str:
    """The text in at most 240 characters, its unprintable ones written as escapes."""
    if len(text) > _LONGEST:
        text = text[: _LONGEST - 1] + "…"
    for character in characters(text):
        if not _printable(ord(character)):
            return "".join([c if _printable(ord(c)) else _escaped(c) for c in characters(text)])
    return text


def _printable(code):
    return (
        0x20 <= code < 0x7F
        or 0xA0 <= code < 0x2028
        or 0x202F <= code < 0x2066  # between them: line ends and changes of direction
        or (code >= 0x206A and not 0xD800 <= code < 0xE000)  # no surrogates
    )


def _escaped(character):
    code = ord(character)
    return "\\x%02x" % code if code < 0x100 else "\\u%04x" % code
