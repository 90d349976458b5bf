"""What may be set, wherever it comes from: the configuration, a command or the schedule."""

import json

SETPOINT_C = (5, 35)
MODES = ("off", "heat", "cool", "auto")
PRESETS = ("home", "away", "sleep", "boost")
MANUAL = "manual"  # no preset: a set point by hand, or a temperature of the schedule
SCHEDULE_ENTRIES = 42  # six a day


def value(cell: str):
    """What a cell of a table says, as JSON, or names; () where it is empty."""
    if cell.startswith("="):
        return {
            "=SETPOINT_C": SETPOINT_C,
            "=MODES": MODES,
            "=PRESETS": PRESETS + (MANUAL,),
            "=SCHEDULE_ENTRIES": SCHEDULE_ENTRIES,
        }[cell]
    return json.loads(cell) if cell else ()
