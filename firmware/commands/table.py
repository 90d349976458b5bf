"""Every property that takes commands, a row each.

Name, kind and limits (firmware/base/kinds.py), unit, owner, how long a command lasts, meaning.

The owner is the part of the device that reads and sets the property: the name under which
firmware/app.py hands it to the door. A device without that part does not have the command.

    lasts      a command
    "kept"     holds until something else is decided, also after a restart
    "seconds"  holds for as many seconds as its value says, and ends with a restart
    "once"     is done once; one that came before this start is done, or too late
    "merged"   becomes part of the configuration, whenever it came
"""

from firmware.control.limits import MANUAL, MODES, PRESETS, SCHEDULE_ENTRIES, SETPOINT_C

# fmt: off
COMMANDS = (
    ("setpoint", "number", SETPOINT_C, "°C", "program", "kept",
     "the temperature to heat to"),
    ("setpoint_cool", "number", SETPOINT_C, "°C", "program", "kept",
     "the temperature to cool down to"),
    ("mode", "choice", MODES, "", "thermostat", "kept",
     "`off` only protects from frost; `cool` and `auto` only where there is a cooler"),
    ("preset", "choice", PRESETS + (MANUAL,), "", "program", "kept",
     "set points that have a name; `boost` ends by itself; `manual`: by hand, none of them"),
    ("schedule", "schedule", SCHEDULE_ENTRIES, "", "program", "kept",
     'as `thermostat.schedule`; or `{"entries": …}`, as it is answered; at most 2 KiB'),
    ("hold_until", "time", (), "", "program", "kept",
     'until then the schedule changes nothing; `""` where nothing is held'),
    ("report_every", "number", (0.1, 3600), "seconds", "device", "kept",
     "as `feed.max_age_s`, up to half of `buffer.spill_after_s`"),
    ("restart", "true or false", (), "", "device", "once",
     "`true` restarts the device"),
    ("identify", "whole number", (0, 300), "seconds", "device", "seconds",
     "the device's lamp blinks so long"),
    ("config", "object", (), "", "device", "merged",
     "a part of the configuration: objects are merged, `null` removes a key, all else"
     " replaces; kept if the platform is reached with it; at most 2 KiB; secrets are"
     ' answered as `"(hidden)"`'),
    ("update", "object", (), "", "device", "once",
     "the manifest of a release, which replaces the firmware; it is sent by `csipio update`, and"
     " answered by how far it got, and what became of it"),
)
# fmt: on
