"""Every property that takes commands, a row each.

Name, kind and limits (firmware/base/kinds.py), unit, the part of the device that has it, meaning.
"""

from firmware.control.limits import MODES, SETPOINT_C

COMMANDS = (
    ("setpoint", "number", SETPOINT_C, "°C", "program", "the temperature to heat to"),
    ("setpoint_cool", "number", SETPOINT_C, "°C", "program", "the temperature to cool down to"),
    (
        "mode",
        "choice",
        MODES,
        "",
        "thermostat",
        "`off` only protects from frost; `cool` and `auto` only where there is a cooler",
    ),
    (
        "preset",
        "choice",
        ("home", "away", "sleep", "boost", "manual"),
        "",
        "program",
        "set points that have a name; `boost` ends by itself; `manual`: by hand, none of them",
    ),
    (
        "schedule",
        "schedule",
        42,
        "",
        "program",
        'as `thermostat.schedule`; or `{"entries": …}`, as it is answered; at most 2 KiB',
    ),
    (
        "hold_until",
        "time",
        (),
        "",
        "program",
        'until then the schedule changes nothing; `""` where nothing is held',
    ),
    (
        "report_every",
        "number",
        (0.1, 3600),
        "seconds",
        None,
        "as `feed.max_age_s`, up to half of `buffer.spill_after_s`",
    ),
    ("restart", "true or false", (), "", None, "`true` restarts the device"),
    ("identify", "whole number", (0, 300), "seconds", None, "the device's lamp blinks so long"),
    (
        "config",
        "object",
        (),
        "",
        None,
        "a part of the configuration: objects are merged, `null` removes a key, all else"
        " replaces; kept if the platform is reached with it; at most 2 KiB; secrets are"
        ' answered as `"(hidden)"`',
    ),
)
