"""What may be set on this device: read, checked and put in force, and the words for what is wrong.

An owner has `get(name)`, the value in force, and `put(name, value, utc_s)`, which puts one in
force that was decided at `utc_s` (None: it is not known when) and raises ValueError, with words,
for what it cannot do. `put` returns None, or (what is answered in place of the value in force, or
None; what is called once that is answered, or None). An owner may also have `limits(name)`, those
of this hardware, narrower than the table's, and `restore(name, value, utc_s)`, which puts what was
in force before a restart in force, without what follows from it.
"""

import io
import json

from micropython import const

from firmware.base import json_check, kinds
from firmware.base.log import harmless
from firmware.base.rare import rare
from firmware.commands import table

_NAME = const(0)  # columns of the table
_KIND = const(1)
_LIMITS = const(2)
_UNIT = const(3)
_OWNER = const(4)

_LARGEST = const(1024)  # bytes of a payload
_LARGEST_OBJECT = const(2048)  # of a configuration or a schedule
_DEEPEST = const(6)  # brackets within brackets
_EXCERPT = const(40)  # bytes of a payload shown in the log
_LONGEST_REASON = const(160)  # characters


class Settable:
    def __init__(self, owners: dict, rows=table.TABLE):
        """owners: parts of the device by the name that a row gives. rows: in place of TABLE."""
        self._owners = owners
        self._table = rows

    def rows(self, name: "str | None" = None):
        """The rows whose owner this device has; name: of one property."""
        for row in table.rows(self._table, name):
            if row[_OWNER] in self._owners:
                yield row

    def row(self, name: str):
        """The row of a property, or None where this device takes no such command."""
        for row in self.rows(name):
            return row
        return None

    def get(self, row):
        """The value in force."""
        return self._owners[row[_OWNER]].get(row[_NAME])

    def kept(self, row):
        """The value in force, as short as it can be kept over a restart."""
        owner = self._owners[row[_OWNER]]
        return owner.short_schedule() if row[_KIND] == "schedule" else owner.get(row[_NAME])

    def read(self, row, payload):
        """A payload's value. Raises ValueError, with words, before anything large is made of it.
        A range stands for a payload that the link could not keep, as long as that was.
        """
        kind = row[_KIND]
        if type(payload) is range:
            raise self._unexpected(row, payload)
        if len(payload) > (_LARGEST_OBJECT if kind in ("object", "schedule") else _LARGEST):
            raise self._unexpected(row, "%d bytes" % len(payload))
        deep = json_check.depth(io.BytesIO(payload))
        if deep > _DEEPEST:
            raise self._unexpected(row, "brackets within brackets")
        try:
            if deep < 0:
                raise ValueError
            return json.loads(payload)
        except ValueError:
            # What should be a configuration may hold secrets, also where it is broken.
            got = "something" if kind == "object" else _excerpt(payload)
            flaw = "has a key twice" if deep == -2 else "is not JSON"
            raise self._unexpected(row, "%s, which %s" % (got, flaw))

    def put(self, row, value, utc_s: "int | None") -> tuple:
        """As an owner's `put`, but never returns None alone."""
        self._check(row, value)
        return self._owners[row[_OWNER]].put(row[_NAME], value, utc_s) or (None, None)

    @rare
    def restore(self, row, value, utc_s: int) -> None:
        """Take over what was in force before a restart. Raises ValueError, with words."""
        if row[_KIND] != "schedule":  # its short form is checked as it is read
            self._check(row, value)
        owner = self._owners[row[_OWNER]]
        getattr(owner, "restore", owner.put)(row[_NAME], value, utc_s)

    @rare
    def is_known(self, row, value) -> bool:
        """Whether what the platform has is in force already, or is the device's own answer."""
        if row[_KIND] == "object":
            return value == {} or _is_answer(value, _DEEPEST)
        if row[_KIND] == "schedule" and type(value) is not range:
            return self._owners[row[_OWNER]].is_schedule(value)
        return value == self.get(row)

    def _check(self, row, value):
        if type(value) is range:  # as for `read`
            raise self._unexpected(row, value)
        if not kinds.fits(row[_KIND], self._limits(row), value):
            got = "something else" if row[_KIND] == "object" else kinds.shown(value)
            raise self._unexpected(row, got)

    def _limits(self, row):
        owner = self._owners[row[_OWNER]]
        return owner.limits(row[_NAME]) if hasattr(owner, "limits") else row[_LIMITS]

    @rare
    def _unexpected(self, row, got):
        if type(got) is range:
            size = len(got)
            got = "%d bytes" if size > _LARGEST_OBJECT else "%d bytes, which cannot be read"
            got %= size
        expected = kinds.expected(row[_KIND], self._limits(row), row[_UNIT])
        return ValueError("", "expected %s, got %s" % (expected, got))


@rare
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


@rare
def _excerpt(payload):
    """The first bytes of a payload, each that is not printable ASCII as a dot."""
    text = "".join([chr(byte) if 32 <= byte < 127 else "." for byte in payload[:_EXCERPT]])
    return text + "…" if len(payload) > _EXCERPT else text or "nothing"


@rare
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
