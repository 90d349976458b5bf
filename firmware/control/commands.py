"""The door for commands: what the platform may set on this device, and how that is answered.

A command is a property's name and its raw JSON value. Whatever bytes come, one of three things
happens: the value is put in force and answered; it is refused, logged, and answered with the value
that stays in force; or the property is none that takes commands, which is logged.
"""

import json

from firmware import values
from firmware.control import thermostat as rules

_LARGEST = 1024  # bytes of a payload: more than any value in the table needs
_EXCERPT = 40  # bytes of a payload shown in the log


def _set_setpoint(thermostat, value):
    thermostat.setpoint = value


def _set_mode(thermostat, value):
    thermostat.mode = value


# Every property that takes commands: name, kind and limits (firmware/values.py), unit, how a value
# is put in force, which value is in force, meaning.
COMMANDS = (
    (
        "setpoint",
        "number",
        rules.SETPOINT_C,
        "°C",
        _set_setpoint,
        lambda thermostat: thermostat.setpoint,
        "the temperature to hold in mode `heat`",
    ),
    (
        "mode",
        "choice",
        rules.MODES,
        "",
        _set_mode,
        lambda thermostat: thermostat.mode,
        "`heat` holds the set point; `off` only protects from frost",
    ),
)


class Commands:
    """thermostat: what the commands are for, or None where the device has none.

    answer: called with a property's name and its value in force, to be sent as a point.
    """

    def __init__(self, thermostat, answer, log):
        self._thermostat = thermostat
        self._answer = answer
        self._log = log

    def handle(self, name: str, payload: bytes) -> bool:
        """Whether the command was put in force. Raises nothing, whatever bytes it is given."""
        name = name.lower()
        row = self._row(name)
        if row is None:
            self._refuse(name, "this device takes no such command")
            return False
        _, kind, limits, unit, put, in_force, _ = row
        value, got = _read(payload)
        accepted = got is None and values.fits(kind, limits, value)
        if accepted:
            put(self._thermostat, value)
            self._log.info("command %s: %s is now in force", name, values.shown(value))
        else:
            wanted = values.expected(kind, limits, unit)
            self._refuse(name, "expected %s, got %s" % (wanted, got or values.shown(value)))
        self._answer(name, in_force(self._thermostat))
        return accepted

    def _row(self, name):
        if self._thermostat is not None:
            for row in COMMANDS:
                if row[0] == name:
                    return row
        return None

    def _refuse(self, name, why):
        self._log.warning("command %s refused: %s", name[:_EXCERPT], why)


def _read(payload):
    """A payload's value and None, or None and words for what it is instead of JSON."""
    if len(payload) > _LARGEST:
        return None, "%d bytes" % len(payload)
    try:
        return json.loads(payload), None
    except (ValueError, MemoryError):
        return None, _excerpt(payload) + ", which is not JSON"


def _excerpt(payload):
    """The first bytes of a payload, each that is not printable ASCII as a dot."""
    text = "".join([chr(byte) if 32 <= byte < 127 else "." for byte in payload[:_EXCERPT]])
    return text + "…" if len(payload) > _EXCERPT else text or "nothing"
