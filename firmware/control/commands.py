"""The door for commands: what the platform may set on this device, and how that is answered.

A command is a property's name and its raw JSON value. Whatever bytes come, it is put in force or
refused. Both are answered, with the value now in force as a point of the same property, and with
one of `lastcommand`: {"property": …, "ok": …, "reason": …, "time": …}. Answers that come faster
than four a second are put together: what was set last stands for what was set before.

A command that was sent while nobody was connected is found in the platform's state, with its time:
`recover`. The last one to write wins, by time, whether it was a person far away or the program on
the device. What the device answered never counts as a command: it is no newer than what the device
has, or it is what is in force already.
"""

from micropython import const

from firmware.control.thermostat import MODES, SETPOINT_C
from firmware.log import harmless
from firmware.points.clock import iso
from firmware.unload import unload

_EXCERPT = const(40)  # characters of a name shown
_MOMENTARY = {"restart": False, "identify": 0, "config": {}}  # and what is then in force
_AT_ONCE = const(16)  # answers, before they come one at a time
_SPACING_MS = const(250)

# Every property that takes commands: name, kind and limits (firmware/values.py), unit, the part of
# the device that has it (None: see entry.put), meaning.
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


def properties(controls) -> list:
    """(name, decimals) of every property that is answered."""
    answered = [(row[0], 2) for row in COMMANDS if _has(controls, row)]
    return answered + [("lastcommand", 0)]


class Commands:
    """controls: the device, with `thermostat`, `program` (both None where nothing is regulated),
    `queue`, `restart()` and `identify(seconds)`.

    answer: called with a property's name, its value and, where that is not now, the time in ms
    since 1970, to be sent as a point. store: what survives a restart. clock: points.clock.
    """

    def __init__(self, controls, answer, store, clock, log):
        self._controls = controls
        self._answer = answer
        self._store = store
        self._clock = clock
        self._log = log
        self._told = []  # properties that the platform had no value of
        self._undated = {}  # name: what the clock said, before it was known
        self._used_ms = -_AT_ONCE * _SPACING_MS  # uptime up to which answers are used up
        self._late = []  # properties whose answers wait
        self._verdict = None  # the last lastcommand, if that waits
        self._tried = []  # properties of which a configuration on trial says something

    def handle(self, name: str, payload: bytes) -> bool:
        """Whether a command that has just come was put in force. Raises nothing, ever."""
        name = name.lower()
        row = self._row(name)
        try:
            from firmware.control import entry

            if row is None:
                raise ValueError("", "this device takes no such command")
            return self._execute(row, entry.read(row, self._limits(row), payload), None)
        except Exception as error:
            return self._refused(row, name, error, None)
        finally:
            _forget()

    def recover(self, name: str, value, utc_ms: int) -> None:
        """A property of the platform's state, written at `utc_ms`; 0: never. Raises nothing."""
        row = self._row(name)
        if row is None:
            return
        if not utc_ms:
            if name not in self._told:
                self._told.append(name)
                self._tell(name, None)
            return
        self._date()
        if utc_ms <= self._store.time(name):
            return
        try:
            from firmware.control import entry

            if name in ("restart", "identify"):
                # What was wanted before this start is done, or too late.
                start_ms = self._clock.now() - self._clock.uptime_ms()
                known = not value or utc_ms < start_ms
            else:
                known = entry.is_known(name, value, self._in_force(name))
            if known:
                self._keep(name, utc_ms)
            else:
                self._execute(row, value, utc_ms)
        except Exception as error:  # too deep to be compared, or whatever else
            self._refused(row, name, error, utc_ms)
        finally:
            _forget()

    def changed(self, names: tuple) -> None:
        """Properties that the program changed: kept, and told. Raises nothing."""
        self._date()
        program = self._controls.program
        utc_ms = 1000 * program.changed_s if program.changed_s else None
        for name in names:
            self._tell(name, utc_ms)
        if "preset" in names and program.preset != "manual":
            self._decided(("setpoint", "setpoint_cool"), names, utc_ms)

    def restore(self) -> None:
        """At the start: what was in force before it. Raises nothing."""
        from firmware import trial

        # What was in force by command would hide what a new configuration says of it.
        self._tried = trial.named()
        for row in COMMANDS:
            name = row[0]
            kept = self._store.get(name)
            if kept and name not in self._tried and name not in _MOMENTARY and self._row(name):
                self._restore(row, *kept)
        before = self._store.get("before")
        program = self._controls.program
        if before and program and program.preset == "boost" and before[0]:
            program.restore("before", before[0], None)
        _forget()
        why = trial.note()
        if why:
            self._tell("config", None)
            self._say("config", why, None)

    def configured(self) -> None:
        """The configuration on trial is kept, and with it what it says of what commands set."""
        self._log.info("the configuration is kept")
        for name in self._tried:
            if self._row(name):
                self._tell(name, None)
        self._say("config", "", None)

    def tick(self, now_ms: int) -> None:
        """Once a second: answers that had to wait, and the store."""
        if self._late or self._verdict:
            self._answer_late(now_ms)
        self._store.tick(now_ms)

    def _row(self, name):
        for row in COMMANDS:
            if row[0] == name:
                return row if _has(self._controls, row) else None
        return None

    def _execute(self, row, value, utc_ms):
        """Put a value in force and answer. Raises whatever keeps it from being in force."""
        from firmware.control import entry

        name = row[0]
        decided_ms = self._now() if utc_ms is None else utc_ms
        shown, then = entry.put(
            self._controls, row, self._limits(row), value, decided_ms // 1000 or None
        )
        if shown is None:
            shown = self._in_force(name)
        self._log.info("command %s: %s is now in force", name, entry.values.shown(shown))
        self._tell(name, utc_ms, True, shown)
        self._tell_others(name, utc_ms)
        self._say(name, "", utc_ms)
        if then:
            self._store.flush()
            then()
        return True

    def _tell_others(self, name, utc_ms):
        """What a command has changed beside what it named; and since when that is so."""
        if not self._controls.program:
            return
        changed = self._controls.program.take()
        for also in changed:
            if also != name:
                self._tell(also, utc_ms)
        if name == "preset":
            self._decided(("setpoint", "setpoint_cool"), changed, utc_ms)
        elif name in ("setpoint", "setpoint_cool"):
            self._decided(("preset",), changed, utc_ms)

    def _decided(self, names, told, utc_ms):
        """These were decided, too, also those that had that value before."""
        for name in names:
            if name not in told:
                least_ms = self._store.time(name)
                self._keep(name, None if utc_ms is None else max(utc_ms, least_ms))

    def _refused(self, row, name, error, utc_ms):
        try:
            from firmware.control import entry

            reason = entry.words(name, error)
        except MemoryError:
            reason = "there is not enough memory"
        self._log.warning("command %s refused: %s", name[:_EXCERPT], reason)
        if row is not None:
            self._tell(name, utc_ms, True)
        self._say(harmless(name[:_EXCERPT]), reason, utc_ms)
        return False

    def _limits(self, row):
        """Those of the hardware may be narrower than those of the table."""
        return self._controls.thermostat.modes if row[0] == "mode" else row[2]

    def _in_force(self, name):
        if name in _MOMENTARY:
            return _MOMENTARY[name]
        if name == "report_every":
            ms = self._controls.queue.max_age_ms
            return ms / 1000 if ms % 1000 else ms // 1000
        controls = self._controls
        return getattr(controls.thermostat if name == "mode" else controls.program, name)

    def _restore(self, row, value, utc_ms):
        from firmware.control import entry

        name = row[0]
        try:
            entry.restore(self._controls, row, self._limits(row), value, utc_ms // 1000)
        except Exception as error:
            reason = entry.words(name, error)
            self._log.warning("%s of the last run is not used: %s", name, reason)

    def _now(self):
        return self._clock.now() if self._clock.known else 0

    def _tell(self, name, utc_ms, limited=False, value=None):
        """Answer with what is in force, and keep it: it has been so since `utc_ms`, or now."""
        if utc_ms is not None:
            # Just after the command, so that what was written since then stays the last.
            utc_ms = max(utc_ms + 1, self._store.time(name) + 1)
        if limited and not self._may_answer():
            if name not in self._late:
                self._late.append(name)
        else:
            self._send(name, value, utc_ms)
        self._keep(name, utc_ms)

    def _send(self, name, value=None, utc_ms=None):
        try:
            if value is None:
                value = self._in_force(name)
            if utc_ms is None:
                self._answer(name, value)
            else:
                self._answer(name, value, utc_ms)
        except Exception as error:  # a full buffer, or no memory
            self._log.error("%s is not told: %s: %s", name, type(error).__name__, error)

    def _keep(self, name, utc_ms):
        """Remember what is in force. After the answer, so that the answer is no newer."""
        program = self._controls.program
        if utc_ms is None:
            if not self._clock.known:
                self._undated[name] = self._clock.now()
            utc_ms = max(self._now(), self._store.time(name) + 1)
        try:
            if name in _MOMENTARY:
                value = 0
            elif name == "schedule":
                value = program.short_schedule
            else:
                value = self._in_force(name)
        except MemoryError:
            self._log.error("%s is not kept: there is not enough memory", name)
            return
        self._store.put(name, value, utc_ms)
        if name == "preset" and value == "boost":
            self._store.put("before", program.before, utc_ms)

    def _date(self):
        """The times of what was changed before the clock was known."""
        if self._undated and self._clock.known:
            for name, counted_ms in self._undated.items():
                value, utc_ms = self._store.get(name)
                dated_ms = counted_ms + self._clock.first_offset
                self._store.put(name, value, max(utc_ms, dated_ms))
            self._undated.clear()

    def _say(self, name, reason, utc_ms):
        """What has become of a command."""
        if utc_ms is None:
            utc_ms = self._now()
        verdict = {"property": name, "ok": not reason, "reason": reason}
        verdict["time"] = iso(utc_ms) if utc_ms else ""
        if self._verdict is None and self._may_answer():
            self._send("lastcommand", verdict)
        else:
            self._verdict = verdict

    def _may_answer(self):
        """Whether an answer may go now; it is counted."""
        now_ms = self._clock.uptime_ms()
        begin_ms = max(self._used_ms, now_ms - _AT_ONCE * _SPACING_MS)
        if begin_ms + _SPACING_MS > now_ms:
            return False
        self._used_ms = begin_ms + _SPACING_MS
        return True

    def _answer_late(self, now_ms):
        while self._late and self._may_answer():
            name = self._late.pop(0)
            self._send(name)
            self._keep(name, None)
        if self._verdict and not self._late and self._may_answer():
            self._send("lastcommand", self._verdict)
            self._verdict = None


def _has(controls, row):
    return row[4] is None or controls.program is not None


def _forget():
    """Of what is only needed while a command is at the door."""
    unload("firmware.control.entry", "firmware.values", "firmware.brackets")
