"""The door for commands: what the platform may set on this device, and how that is answered.

A command is a property's name and its raw JSON value. Whatever bytes come, it is put in force or
refused. Both are answered, with the value now in force as a point of the same property, and with
one of `lastcommand`: {"property": …, "ok": …, "reason": …, "time": …}. Answers that come faster
than four a second wait: a value is then told once, as it is by then, and of what became of the
commands the last one that may wait says in `left_out` how many are not told.

A command that was sent while nobody was connected is found in the platform's state, with its time:
`recover`. Such ones take effect in the order of their times, as if they had come in time. The last
one to write wins, whether it was a person far away or the program on the device. What the device
answered never counts as a command: it is no newer than what the device has. Only where the device
has lost that, what the platform has and is in force already is taken for an answer.
"""

from micropython import const

from firmware.base import kinds
from firmware.base.log import harmless
from firmware.commands import apply, missed
from firmware.commands.table import COMMANDS
from firmware.times.calendar import iso

_EXCERPT = const(40)  # characters of a name shown
_MOMENTARY = {"restart": False, "identify": 0, "config": {}}  # and what is then in force
_AT_ONCE = const(16)  # answers, before they come one at a time
_SPACING_MS = const(250)
_MOST_VERDICTS = const(8)  # that wait
_STATE_MS = const(2000)  # without another part of the state, its end is not waited for


def properties(controls) -> list:
    """(name, decimals) of every property that is answered."""
    answered = [(row[0], 2) for row in COMMANDS if _has(controls, row)]
    return answered + [("lastcommand", 0)]


class Commands:
    """controls: the device, with `thermostat`, `program` (both None where nothing is regulated),
    `queue`, `restart()` and `identify(seconds)`.

    answer: called with a property's name, its value and, where that is not now, the time in ms
    since 1970, to be sent as a point. store: what survives a restart. clock: points.clock.

    told, row, limits, in_force, keep, decided and refused are for firmware/commands/missed.py.
    """

    def __init__(self, controls, answer, store, clock, log):
        self._controls = controls
        self._answer = answer
        self._store = store
        self._clock = clock
        self._log = log
        self.told = set()  # properties that the platform has as they are, or will have
        self._missed = {}  # name: what the state has that is newer, see `recover`
        self._missed_ms = 0  # uptime at which the state's last part came
        self._undated = {}  # name: what the clock said, before it was known
        self._answered = {}  # name: when it last was, before the program changed it
        self._used_ms = -_AT_ONCE * _SPACING_MS  # uptime up to which answers are used up
        self._late = []  # properties whose answers wait
        self._verdicts = []  # those of lastcommand that wait, see `_say`
        self._tried = []  # properties that are as a configuration on trial says

    def handle(self, name: str, payload: bytes) -> bool:
        """Whether a command that has just come was put in force. Raises nothing, ever."""
        self.recovered()
        name = name[name.rfind("$") + 1 :].lower()  # a profile's name may stand before it
        row = self.row(name)
        now_ms = self._now()
        try:
            if row is None:
                raise ValueError("", "this device takes no such command")
            return self._execute(row, apply.read(row, self.limits(row), payload), now_ms, now_ms)
        except Exception as error:
            return self.refused(row, name, error, now_ms, now_ms)

    def recover(self, name: str, value, utc_ms: int) -> None:
        """A property of the platform's state, written at `utc_ms`; 0: never. Raises nothing.

        What is newer than what the device has takes effect when all of them are known.
        """
        row = self.row(name)
        if row is None:
            return
        self._missed_ms = self._clock.uptime_ms()
        try:
            self._date()
            kept_ms = self._store.time(name)
            if utc_ms > kept_ms or self._is_open(row, utc_ms, kept_ms):
                # In their order; what was written together: a schedule, a preset, its set points.
                self._missed[name] = [utc_ms, name != "schedule", name, value, kept_ms]
            elif name not in self.told:
                # It may have been decided by what changed something else, or by an edit.
                if not utc_ms:
                    self._tell(name, self._now(), False)
                elif name not in _MOMENTARY and not missed.is_in_force(self, name, value):
                    self._tell(name, utc_ms, False)
                self.told.add(name)
        except Exception as error:
            self._log.error("%s is not recovered: %s", name, type(error).__name__)

    def recovered(self) -> None:
        """The state was told to its end: what was missed takes effect. Raises nothing."""
        untold = []
        while self._missed:
            try:
                part = self._next_missed(untold)
            except Exception as error:  # no memory: `tick` tries again
                self._log.error("missed commands have to wait: %s", type(error).__name__)
                self._missed_ms = self._clock.uptime_ms()
                break
            if part:
                row, value, utc_ms = part
                try:
                    # The answer is just after it, so that what was written since stays the last.
                    self._execute(row, value, utc_ms, utc_ms + 1)
                except Exception as error:
                    self.refused(row, row[0], error, utc_ms, utc_ms + 1)
        for name in untold:
            if name not in self.told:
                self._tell(name, self._store.time(name), False)

    def _next_missed(self, untold):
        return missed.next_of(self._missed, self, self._controls, self._store, self._clock, untold)

    def changed(self, names: tuple) -> None:
        """Properties that the program changed: kept, and told. Raises nothing."""
        self._date()
        program = self._controls.program
        at_ms = 1000 * program.changed_s + 1 if program.changed_s else self._now()
        for name in names:
            self._tell(name, at_ms)
        if "preset" in names and program.preset != "manual":
            self.decided(("setpoint", "setpoint_cool"), names, at_ms)

    def restore(self, tried=(), failed: "str | None" = None) -> None:
        """At the start: what was in force before it. Raises nothing.

        tried: the properties of which a configuration on trial says something; failed: why the
        last trial did.
        """
        # What was in force by command would hide what a new configuration says of it.
        self._tried = missed.tried(tried, self._store)
        rows = [self.row(row[0]) for row in COMMANDS if row[0] not in self._tried]
        missed.restore(rows, self, self._controls, self._store, self._log)
        if failed:
            self._tell("config", self._now())
            self._say("config", failed, 0)

    def configured(self) -> None:
        """The configuration on trial is kept, and with it what it says of what commands set."""
        self._log.info("the configuration is kept")
        for name in self._tried:
            if self.row(name):
                self._store.put(name, None, self._store.time(name))
                self._tell(name, self._now(), False)
        self._say("config", "", 0)

    def tick(self, now_ms: int) -> None:
        """Once a second: answers that had to wait, and the store."""
        if self._missed and now_ms - self._missed_ms >= _STATE_MS:
            self.recovered()
        self._answer_late()
        self._store.tick(now_ms)

    def row(self, name):
        for row in COMMANDS:
            if row[0] == name:
                return row if _has(self._controls, row) else None
        return None

    def _execute(self, row, value, utc_ms, at_ms):
        """Put a value in force that was decided at `utc_ms`, 0 if not known; answer at `at_ms`.

        Raises whatever keeps it from being in force.
        """
        name = row[0]
        utc_s = utc_ms // 1000 or None
        shown, then = apply.put(self._controls, row, self.limits(row), value, utc_s)
        unchecked = name == "config" and shown is None
        if shown is None:
            shown = self.in_force(name)
        if unchecked:
            self._log.info("command config: checked by a restart, for want of memory")
        else:
            self._log.info("command %s: %s is now in force", name, kinds.shown(shown))
        self._tell(name, at_ms, True, True, shown)
        self._tell_others(name, at_ms)
        self._say(name, "", utc_ms)
        if then:
            if name == "config":
                # From now on, with what is set after it; see missed.tried.
                self._store.put(name, [], self._store.time(name))
            # What waits goes first.
            self._used_ms = -_AT_ONCE * _SPACING_MS
            self._answer_late()
            self._store.flush()
            then()
        return True

    def _tell_others(self, name, at_ms):
        """What a command has changed beside what it named; and since when that is so."""
        if not self._controls.program:
            return
        changed = self._controls.program.take()
        for also in changed:
            if also != name:
                self._tell(also, at_ms)
        if name == "preset":
            self.decided(("setpoint", "setpoint_cool"), changed, at_ms)
        elif name in ("setpoint", "setpoint_cool"):
            self.decided(("preset",), changed, at_ms)

    def decided(self, names, told, at_ms):
        """These were decided, too, also those that had that value before."""
        for name in names:
            if name not in told:
                self.keep(name, at_ms)
                self.told.discard(name)

    def refused(self, row, name, error, utc_ms, at_ms):
        try:
            try:
                reason = apply.words(name, error)
            except MemoryError:
                reason = "there is not enough memory"
            self._log.warning("command %s refused: %s", name[:_EXCERPT], reason)
            if row is not None:
                self._tell(name, at_ms, False, True)
            self._say(harmless(name[:_EXCERPT]), reason, utc_ms)
        except Exception as error:  # not even that much memory
            self._log.error("%s is not answered: %s", name, type(error).__name__)
        return False

    def limits(self, row):
        """Those of the hardware may be narrower than those of the table."""
        return self._controls.thermostat.modes if row[0] == "mode" else row[2]

    def in_force(self, name):
        if name in _MOMENTARY:
            return _MOMENTARY[name]
        if name == "report_every":
            ms = self._controls.queue.max_age_ms
            return ms / 1000 if ms % 1000 else ms // 1000
        controls = self._controls
        return getattr(controls.thermostat if name == "mode" else controls.program, name)

    def _is_open(self, row, utc_ms, kept_ms):
        """Whether it is older than what the schedule did, and may have come between.

        What the schedule did is answered a millisecond after the second: that is no command, nor
        is what was answered before it.
        """
        if row[4] != "program" or utc_ms == kept_ms or utc_ms % 1000 == 1:
            return False
        if utc_ms <= self._answered.get(row[0], 0):
            return False
        return self._controls.program.can_rewind(utc_ms // 1000)

    def _now(self):
        return self._clock.now() if self._clock.known else 0

    def _tell(self, name, at_ms, decided=True, limited=False, value=None):
        """Answer with what is in force, as of `at_ms`, or as soon after it as is possible."""
        told_ms = max(at_ms, self._store.time(name) + 1) if at_ms else 0
        if limited and (self._late or not self._may_answer()):
            if name not in self._late:
                self._late.append(name)
        else:
            self._send(name, value, told_ms)
        self.told.add(name)
        self.keep(name, at_ms, decided)

    def _send(self, name, value=None, at_ms=0):
        try:
            if value is None:
                value = self.in_force(name)
            self._answer(name, value, at_ms or None)
        except Exception as error:  # a full buffer, or no memory
            self._log.error("%s is not told: %s: %s", name, type(error).__name__, error)

    def keep(self, name, at_ms, decided=True):
        """Remember since when this is in force and, if somebody decided that, what it is."""
        program = self._controls.program
        kept = self._store.get(name)
        value, kept_ms = kept or (None, 0)
        if not at_ms:
            self._undated[name] = self._clock.now()
        try:
            if decided and name not in _MOMENTARY:
                value = program.short_schedule if name == "schedule" else self.in_force(name)
                tried = self._store.get("config")
                if tried and tried[0] is not None and name not in tried[0]:
                    tried[0].append(name)
        except Exception as error:
            self._log.error("%s is not kept: %s", name, type(error).__name__)
        if at_ms % 1000 == 1 != kept_ms % 1000:
            self._answered[name] = kept_ms
        # No older than what it replaces.
        at_ms = max(at_ms, kept_ms + 1)
        self._store.put(name, value, at_ms)
        if decided and name in self._tried:
            self._tried.remove(name)
        if name == "preset" and value == "boost":
            self._store.put("before", program.before, at_ms)

    def _date(self):
        """The times of what was changed before the clock was known."""
        if self._undated and self._clock.known:
            for name, counted_ms in self._undated.items():
                value, utc_ms = self._store.get(name)
                dated_ms = counted_ms + self._clock.first_offset
                self._store.put(name, value, max(utc_ms, dated_ms))
            self._undated.clear()

    def _say(self, name, reason, utc_ms):
        """What has become of a command, of `utc_ms` or of now; told when that can go."""
        left_out = 0
        if len(self._verdicts) == _MOST_VERDICTS:
            left_out = self._verdicts.pop()[-1] + 1
        at_ms = utc_ms or self._clock.now()
        self._verdicts.append((name, reason, at_ms, self._clock.known, left_out))
        self._answer_late()

    def _may_answer(self):
        """Whether an answer may go now; it is counted."""
        now_ms = self._clock.uptime_ms()
        begin_ms = max(self._used_ms, now_ms - _AT_ONCE * _SPACING_MS)
        if begin_ms + _SPACING_MS > now_ms:
            return False
        self._used_ms = begin_ms + _SPACING_MS
        return True

    def _answer_late(self):
        """As many of the answers that wait as may go now."""
        while self._late and self._may_answer():
            name = self._late.pop(0)
            self._tell(name, self._now(), False)
        while self._verdicts and not self._late and self._clock.known and self._may_answer():
            name, reason, at_ms, dated, left_out = self._verdicts.pop(0)
            verdict = {"property": name, "ok": not reason, "reason": reason}
            verdict["time"] = iso(at_ms if dated else at_ms + self._clock.first_offset)
            if left_out:
                verdict["left_out"] = left_out
            self._send("lastcommand", verdict)


def _has(controls, row):
    return row[4] is None or controls.program is not None
