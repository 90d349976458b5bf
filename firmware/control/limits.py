"""What may be set, wherever it comes from: the configuration, a command or the schedule."""

SETPOINT_C = (5, 35)
MODES = ("off", "heat", "cool", "auto")
PRESETS = ("home", "away", "sleep", "boost")
MANUAL = "manual"  # no preset: a set point by hand, or a temperature of the schedule
SCHEDULE_ENTRIES = 42  # six a day
