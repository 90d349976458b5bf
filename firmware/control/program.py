"""Which set point is in force: by hand, by a preset, by the weekly schedule, or by a boost.

    by hand    holds until the next entry of the schedule, or until `hold_until`
    a preset   the same; it has a name and two set points
    boost      a preset that ends by itself after `boost_s`; then what was before is in force
               again, or the entry of the schedule that came meanwhile

Pure: the time is handed in, in seconds since 1970, or None while nobody knows it. Without it the
schedule pauses, and what is in force stays in force. A value that comes late takes effect as if it
had come in time: a set point that was wanted at seven yields to the schedule's entry of eight.

An entry of the schedule happens once, also where its hour is skipped or comes twice. Local time is
the latest that the clocks have shown, which never goes back.

It owns commands (see firmware/commands/apply.py): set points, `preset`, `schedule`, `hold_until`.
"""

from micropython import const

from firmware.base.passing import passing
from firmware.base.rare import rare
from firmware.control.limits import MANUAL, PRESETS
from firmware.times.calendar import from_iso, iso

_UNDATED_MS = const(600000)  # uptime to which a boost of before the restart waits for the clock
_HOUR_S = const(3600)
_WEEK_S = const(604800)
_WEEK_MIN = const(10080)
_THURSDAY_MIN = const(4320)  # the weekday of 1970-01-01


class Program:
    """preset: what is in force; decided_s: since when, None if not known; changed_s: when that
    was due which `step` changed last; before: (preset, set point, cooling set point) to go back to
    after a boost.

    The set points in force are the thermostat's own.
    """

    @rare
    def __init__(self, settings: dict, zone, thermostat):
        """settings: the section `thermostat`; zone: `time.zone`, a text."""
        presets = settings["presets"]
        self._presets = [
            (presets[name]["setpoint"], presets[name]["setpoint_cool"]) for name in PRESETS
        ]
        self._boost_s = settings["boost_s"]
        self._thermostat = thermostat
        self._zone = zone  # a Zone as soon as there is a schedule
        self.preset = MANUAL
        self.decided_s: "int | None" = None
        self.changed_s: "int | None" = None
        self.before: "tuple | None" = None
        self._boost_ms: "int | None" = None  # uptime at which it ends; None until known
        self._hold_s = 0
        self._done_s: "int | None" = None  # the schedule was followed up to here; None: not at all
        self._forced_s = 0  # since when an entry that is older is in force again
        # When something was last put, and all that follows from it; see `rewind`.
        self._base: "tuple | None" = None
        self._earliest_s = self._due_s = 0  # between these two `step` has nothing to follow
        self._changed = []
        self._numbers = self._read(settings["schedule"])  # of control.schedule

    def get(self, name: str):
        """What is in force. On the platform a text is never null, and an object never a list."""
        if name == "setpoint":
            return self._thermostat.setpoint
        if name == "setpoint_cool":
            return self._thermostat.setpoint_cool
        if name == "preset":
            return self.preset
        if name == "hold_until":
            return iso(1000 * self._hold_s) if self._hold_s else ""
        return {"entries": passing(_entries, self._numbers) if self._numbers else []}

    @rare
    def short_schedule(self) -> str:
        return passing(_text, self._numbers) if self._numbers else ""

    @rare
    def is_schedule(self, value) -> bool:
        """Whether that is the schedule in force. Raises ValueError for what is none."""
        return self._read(value) == self._numbers

    def decides(self, name: str) -> tuple:
        """What is decided with that property, also where it had that value before."""
        if name == "preset":
            return ("setpoint", "setpoint_cool")
        return ("preset",) if name in ("setpoint", "setpoint_cool") else ()

    @rare
    def put(self, name: str, value, utc_s: "int | None" = None):
        """Put a value in force that was decided at `utc_s`; None: nobody knows when. Raises
        ValueError, with words, for a schedule or a time that is none; the others were checked.
        """
        if name == "schedule":
            self._numbers = self._read(value)
            if self.decided_s is None or utc_s is None or utc_s >= self.decided_s:
                self._done_s = None
                self._forced_s = utc_s or 0
        elif name == "hold_until":
            self._hold_s = _second(value) if value else 0
        else:
            self._decide(name, value, utc_s)
        self._due_s = 0
        if utc_s is None or self._base is None or utc_s >= self._base[0]:
            self._mark(utc_s)

    @rare
    def restore(self, name: str, value, utc_s: "int | None"):
        """Take a value over from the last run. Raises ValueError."""
        if name == "schedule":
            self._numbers = self._read(value)
        elif name == "hold_until":
            self._hold_s = _second(value) if value else 0
        elif name == "setpoint":
            self._thermostat.setpoint = value
        elif name == "setpoint_cool":
            self._thermostat.setpoint_cool = value
        elif name == "preset":
            self.preset = value
            # Or each restart without a clock would begin a boost anew.
            self._boost_ms = _UNDATED_MS
        elif self.preset == "boost":
            self.before = value
        if name in ("setpoint", "setpoint_cool", "preset") and utc_s:
            self.decided_s = self._done_s = max(utc_s, self.decided_s or 0)

    def take(self) -> tuple:
        """The names of what has changed since the last call, apart from what `put` named."""
        if not self._changed:
            return ()
        names = tuple(self._changed)
        self._changed.clear()
        return names

    def catch_up(self, utc_s: int, now_ms: int) -> tuple:
        """`step`, before a value of `utc_s` is put in force, if that is newer than all of it."""
        if utc_s < max(self.decided_s or 0, self._done_s or 0, self._forced_s):
            return ()
        return self.step(utc_s, now_ms)

    @rare
    def can_rewind(self, utc_s: int) -> bool:
        """Whether only the schedule, or a boost's end, has changed what was in force then."""
        return self._base is not None and self._base[0] <= utc_s < (self.decided_s or 0)

    @rare
    def rewind(self, name: str, value, utc_s: int) -> bool:
        """Go back to what was last put, if a value of `utc_s` outlasts what the schedule did
        since, as a hold and a boost do. Whether it went back.
        """
        outlasts = name == "hold_until" or value == "boost"
        if not (outlasts and self.can_rewind(utc_s)):
            return False
        held_s = self._hold_s
        _, state, before, self.decided_s, self._done_s, self._hold_s, self._forced_s = self._base
        self._set(*state)
        self.before = before
        if self._hold_s != held_s:
            self._changed.append("hold_until")
        self._due_s = 0
        return True

    def step(self, utc_s: "int | None", now_ms: int) -> tuple:
        """Once a second, with the uptime in ms. Returns the names of what it changed."""
        if utc_s is not None:
            newest_s = max(self.decided_s or 0, self._done_s or 0, self._forced_s)
            if newest_s > utc_s + _HOUR_S:
                self._clock_was_wrong(utc_s)
            if self._base is None:
                self._mark(self.decided_s or utc_s)
        if self.preset == "boost":
            self._boost(utc_s, now_ms)
        if utc_s is not None and not self._earliest_s <= utc_s < self._due_s:
            self._follow(utc_s)
        return self.take()

    @rare
    def _clock_was_wrong(self, utc_s):
        """What was decided later than it is now, was decided just now."""
        by_hand = self.decided_s not in (None, self.changed_s)
        if self.decided_s is not None:
            self.decided_s = min(self.decided_s, utc_s)
        if not by_hand:
            self.changed_s = self.decided_s
        # The schedule is followed since then; anew, where it had the last word.
        self._done_s = self.decided_s if by_hand else None
        self._forced_s = min(self._forced_s, utc_s)
        self._due_s = 0
        self._base = None

    def _mark(self, utc_s):
        """Nothing older can be rewound to; nothing at all where there is no memory to remember."""
        self._base = None
        try:
            if utc_s:
                times = self.decided_s, self._done_s, self._hold_s, self._forced_s
                self._base = (utc_s, self._state(), self.before) + times
        except MemoryError:
            pass

    def _state(self):
        return self.preset, self._thermostat.setpoint, self._thermostat.setpoint_cool

    def _decide(self, name, value, utc_s):
        # What is older than what was decided by hand does not bring the schedule back over that.
        decided_s = self.decided_s
        if utc_s is None or decided_s in (None, self.changed_s) or utc_s >= decided_s:
            self.decided_s = self._done_s = utc_s
        now = self._state()
        if name == "setpoint":
            self._set(MANUAL, value, now[2])
        elif name == "setpoint_cool":
            self._set(MANUAL, now[1], value)
        elif value == MANUAL:
            self._set(MANUAL, now[1], now[2])
        else:
            before = self.before if self.preset == "boost" else now
            self._set(value, *self._presets[PRESETS.index(value)])
            if value == "boost":
                self.before = before

    @rare
    def _set(self, preset, setpoint, setpoint_cool):
        """Put these in force, and remember which of them are news."""
        thermostat = self._thermostat
        if setpoint != thermostat.setpoint:
            thermostat.setpoint = setpoint
            self._changed.append("setpoint")
        if setpoint_cool != thermostat.setpoint_cool:
            thermostat.setpoint_cool = setpoint_cool
            self._changed.append("setpoint_cool")
        if preset != self.preset:
            self.preset = preset
            self._changed.append("preset")
        self.before = None
        self._boost_ms = None

    def _boost(self, utc_s, now_ms):
        """End it in time: by the clock, or, where that is not known, by the uptime."""
        if utc_s is not None and self.decided_s is not None:
            if -_HOUR_S < utc_s - self.decided_s < self._boost_s:
                return
            self.decided_s = min(utc_s, self.decided_s + self._boost_s)
        else:
            if self._boost_ms is None:
                self._boost_ms = now_ms + 1000 * self._boost_s
            if now_ms < self._boost_ms:
                return
        self.changed_s = self.decided_s
        self._set(*(self.before or (PRESETS[0],) + self._presets[0]))

    def _follow(self, utc_s):
        """End a hold that is over; put the schedule's entry in force if it is not yet."""
        self._earliest_s = utc_s - _HOUR_S
        self._due_s = utc_s + _WEEK_S
        if self._hold_s:
            if utc_s < self._hold_s:
                self._due_s = min(self._hold_s, self._due_s)
                return
            self.changed_s = self._hold_s
            if self.decided_s is None or self.decided_s < self._hold_s:
                # Back to the schedule, whose entry may be older than the hold.
                self._forced_s = self._hold_s
                self._done_s = None
            self._hold_s = 0
            self._changed.append("hold_until")
        if not self._numbers:
            return
        zone = self._zone
        done_s = None if self._done_s is None else zone.wall(self._done_s)
        minute = zone.wall(utc_s) // 60
        number, age, ahead = _last_and_next(self._numbers, (minute + _THURSDAY_MIN) % _WEEK_MIN)
        came_s = 60 * (minute - age)
        if done_s is None or came_s > done_s:
            at_s = max(zone.utc(came_s, utc_s), self._forced_s)
            self._enter(number & 0xFFF, at_s)
        # Where the clock was set back by less than an hour, nothing happens a second time.
        if self._done_s is None or not utc_s < self._done_s <= utc_s + _HOUR_S:
            self._done_s = utc_s
        self._forced_s = 0
        next_s = 60 * (minute + ahead) - zone.offset(utc_s)
        self._due_s = min(self._due_s, next_s, zone.until_s)

    @rare
    def _enter(self, value, at_s):
        """What an entry of the schedule says, from `at_s` on."""
        before = self._state()
        if value < len(PRESETS):
            state = (PRESETS[value],) + self._presets[value]
        else:
            state = (MANUAL, value / 100, (self.before or before)[2])
        boosts = state[0] == "boost"
        if self.preset == "boost":
            # It is not cut short.
            if not boosts:
                self.before = state
            return
        self.decided_s = self.changed_s = at_s
        self._set(*state)
        if boosts:
            self.before = before

    @rare
    def _read(self, value):
        """A schedule as numbers; None for an empty one."""
        if value == [] or value == "" or value == {"entries": []}:
            return None
        numbers = passing(_compiled, value)
        if type(self._zone) is str:
            self._zone = passing(_zone, self._zone)
        return numbers


# These are loaded only where there is a schedule.


def _compiled(value):
    from firmware.control.schedule import compiled

    return compiled(value)


def _entries(numbers):
    from firmware.control.schedule import entries

    return entries(numbers)


def _text(numbers):
    from firmware.control.schedule import text

    return text(numbers)


def _zone(text):
    from firmware.times.zone import Zone

    return Zone(text)


@rare
def _last_and_next(numbers, minute):
    """(number, age, ahead): which entry came last before the end of that minute of the week, how
    many minutes ago, and how many it is to the next. Minutes count from Monday, 0 o'clock.
    """
    last = None
    age = ahead = _WEEK_MIN
    for number in numbers:
        at = number >> 12 & 0x7FF
        for day in range(7):
            if number >> 23 + day & 1:
                since = (minute - 1440 * day - at) % _WEEK_MIN
                if since < age:
                    age = since
                    last = number
                ahead = min(ahead, _WEEK_MIN - since)
    return last, age, ahead


def _second(text):
    try:
        return from_iso(text) // 1000
    except (ValueError, IndexError):
        raise ValueError("", 'expected a time such as "2026-11-23T18:00:00Z", or null')
