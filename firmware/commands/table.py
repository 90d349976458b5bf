"""Every property that takes commands, a row each:

    name | kind | limits and unit | owner, how long a command lasts | meaning

Kinds and limits are those of firmware/base/kinds.py. The owner is the part of the device that
reads and sets the property: the name under which firmware/services.py hands it to the door. A
device without that part does not have the command.

    lasts    a command
    kept     holds until something else is decided, also after a restart
    seconds  holds for as many seconds as its value says, and ends with a restart
    once     is done once; one that came before this start is done, or too late
    merged   becomes part of the configuration, whenever it came

The table is a text because a text stays in flash.
"""

import io

from firmware.base import kinds
from firmware.control.limits import value

TABLE = """\
setpoint      | number        | =SETPOINT_C °C       | program kept    | \
    the temperature to heat to
setpoint_cool | number        | =SETPOINT_C °C       | program kept    | \
    the temperature to cool down to
mode          | choice        | =MODES               | thermostat kept | \
    `off` only protects from frost; `cool` and `auto` only where there is a cooler
preset        | choice        | =PRESETS             | program kept    | \
    set points that have a name; `boost` ends by itself; `manual`: by hand, none of them
schedule      | schedule      | =SCHEDULE_ENTRIES    | program kept    | \
    as `thermostat.schedule`; or `{"entries": …}`, as it is answered; at most 2 KiB
hold_until    | time          |                      | program kept    | \
    until then the schedule changes nothing; `""` where nothing is held
report_every  | number        | 0.1 to 3600 seconds  | device kept     | \
    as `feed.max_age_s`, up to half of `buffer.spill_after_s`
restart       | true or false |                      | device once     | \
    `true` restarts the device
identify      | whole number  | 0 to 300 seconds     | device seconds  | \
    the device's lamp blinks so long
config        | object        |                      | device merged   | \
    a part of the configuration: objects are merged, `null` removes a key, all else replaces; \
kept if the platform is reached with it; at most 2 KiB; secrets are answered as `"(hidden)"`
update        | object        |                      | device once     | \
    the manifest of a release, which replaces the firmware; it is sent by `csipio update`, and \
answered by how far it got, and what became of it
"""


def rows(table: str = TABLE, only: "str | None" = None):
    """The rows: (name, kind, limits, unit, owner, lasts, meaning). only: that of this name."""
    for line in io.StringIO(table):
        if only and not line.startswith(only):
            continue
        name, kind, cell, lasts, meaning = [cell.strip() for cell in line.split("|", 4)]
        if only in (None, name):
            limits, unit = kinds.limits(cell, value)
            owner, lasts = lasts.split(" ")
            yield name, kind, limits, unit, owner, lasts, meaning
