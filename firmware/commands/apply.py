"""What is needed while a command is at the door, and no longer: its bytes read, its value checked
and put in force, and the words for what is wrong with it.
"""

import io
import json

from micropython import const

from firmware.base import json_check, kinds
from firmware.base.log import harmless
from firmware.control.schedule import compiled

_LARGEST = const(1024)  # bytes of a payload
_LARGEST_OBJECT = const(2048)  # of a configuration or a schedule
_DEEPEST = const(6)  # brackets within brackets
_EXCERPT = const(40)  # bytes of a payload shown in the log
_LONGEST_REASON = const(160)  # characters


def read(row, limits, payload):
    """A payload's value. Raises ValueError, with words, before anything large is made of it.

    A range stands for a payload that the link could not keep, as long as that was.
    """
    kind = row[1]
    if type(payload) is range:
        raise _unexpected(row, limits, _size(payload))
    if len(payload) > (_LARGEST_OBJECT if kind in ("object", "schedule") else _LARGEST):
        raise _unexpected(row, limits, "%d bytes" % len(payload))
    deep = json_check.depth(io.BytesIO(payload))
    if deep > _DEEPEST:
        raise _unexpected(row, limits, "brackets within brackets")
    try:
        if deep < 0:
            raise ValueError
        return json.loads(payload)
    except ValueError:
        # What should be a configuration may hold secrets, also where it is broken.
        got = "something" if kind == "object" else _excerpt(payload)
        raise _unexpected(row, limits, got + ", which is not JSON")


def _unexpected(row, limits, got):
    _, kind, _, unit, _, _ = row
    return ValueError("", "expected %s, got %s" % (kinds.expected(kind, limits, unit), got))


def _size(missing):
    size = len(missing)
    return ("%d bytes" if size > _LARGEST_OBJECT else "%d bytes, which cannot be read") % size


def _excerpt(payload):
    """The first bytes of a payload, each that is not printable ASCII as a dot."""
    text = "".join([chr(byte) if 32 <= byte < 127 else "." for byte in payload[:_EXCERPT]])
    return text + "…" if len(payload) > _EXCERPT else text or "nothing"


def _is_answer(value, deepest):
    """Whether a configuration's part has a place where a secret is hidden."""
    if not deepest:
        raise ValueError("", "it is nested too deeply")
    if type(value) not in (dict, list):
        return value in ("(hidden)", "(long)")
    for member in value.values() if type(value) is dict else value:
        if _is_answer(member, deepest - 1):
            return True
    return False


def words(name: str, error) -> str:
    """What is wrong, for a person. ValueErrors of two parts are ours: where, and what."""
    arguments = error.args
    if isinstance(error, ValueError) and len(arguments) == 2:
        where, what = arguments
        text = "%s%s: %s" % (name, where, what) if where else what
    elif isinstance(error, MemoryError):
        text = "there is not enough memory for it"
    elif isinstance(error, ValueError):
        text = str(error)
    else:
        text = "%s: %s" % (type(error).__name__, error)
    text = harmless(text)
    return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 1] + "…"


def _check(row, value, limits):
    kind = row[1]
    if type(value) is range:  # as for `read`
        raise _unexpected(row, limits, _size(value))
    if not kinds.fits(kind, limits, value):
        got = "something else" if kind == "object" else kinds.shown(value)
        raise _unexpected(row, limits, got)


def put(controls, row, limits, value, utc_s: "int | None") -> tuple:
    """Put a value in force that was decided at `utc_s`. Raises ValueError, with words.

    Returns what is to be answered, None for what is in force then, and what is to be called then.
    """
    _check(row, value, limits)
    name = row[0]
    part = row[4]
    if part == "program":
        controls.program.put(name, value, utc_s)
    elif part:
        setattr(getattr(controls, part), name, value)
    elif name == "report_every":
        controls.queue.max_age_ms = round(1000 * value)
    elif name == "identify":
        controls.identify(value)
    elif name == "config":
        shown, changes = controls.propose(value)
        return shown, controls.restart if changes else None
    elif value:
        return None, controls.restart
    return None, None


def restore(controls, row, limits, value, utc_s: int) -> None:
    """Take over what was in force before the restart. Raises ValueError, with words."""
    if row[4] != "program":
        put(controls, row, limits, value, utc_s)
        return
    if row[0] != "schedule":  # that is kept in short, and reads itself
        _check(row, value, limits)
    controls.program.restore(row[0], value, utc_s)


def is_known(name: str, value, in_force) -> bool:
    """Whether what the platform has is in force already, or is the device's own answer."""
    if name == "config":
        return value == {} or _is_answer(value, _DEEPEST)
    if name == "schedule" and type(value) is not range:
        return compiled(value) == compiled(in_force)
    return value == in_force
