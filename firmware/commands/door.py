"""The door for commands: what the platform may set on this device, and how that is answered.

A command is a property's name and its raw JSON value. Whatever bytes come, it is put in force or
refused. Both are answered, with the value now in force as a point of the same property, and with
one of `lastcommand`: {"property": …, "ok": …, "reason": …, "time": …}.
"""

from micropython import const

from firmware.base import kinds
from firmware.base.log import Log
from firmware.base.passing import passing
from firmware.base.rare import rare
from firmware.commands import table
from firmware.commands.answers import Answers
from firmware.commands.apply import Settable, words

_NAME = const(0)  # columns of the table
_OWNER = const(4)
_LASTS = const(5)


@rare
def properties(owners) -> list:
    """(name, decimals) of every property that is answered. owners: the names of the owners."""
    answered = [(row[_NAME], 2) for row in table.rows() if row[_OWNER] in owners]
    return answered + [("lastcommand", 0)]


class Commands:
    @rare
    def __init__(self, owners: dict, send, store, clock, log=Log, rows=table.TABLE):
        """owners: the parts of the device that commands set, by the names of the table; see
        firmware/commands/apply.py. send: called with a property's name, its value and the time in
        ms since 1970, None for now, to be sent as a point. log: makes a log. rows: see Settable.
        """
        program = owners.get("program")
        self._program = program
        self._settable = Settable(owners, rows)
        self._store = store
        self._clock = clock
        self._make_log = log
        self._log = log("door")
        self._answers = Answers(self._settable, program, send, store, clock, log("answers"))
        self._missed = None  # while some of the platform's state is not in force yet
        self._tried = ()  # properties of which the configuration on trial says something
        # A command that is in force, until all is done about it, and what is called in the end.
        self._obeyed: list | None = None
        self._then = None

    def handle(self, name: str, payload: bytes) -> bool:
        """Whether a command that has just come was put in force. Raises nothing, ever."""
        self.recovered()  # what was missed is older
        row = None
        now_ms = self._answers.now()
        try:
            name = name[name.rfind("$") + 1 :].lower()  # a profile's name may stand before it
            row = self._settable.row(name)
            if row is None:
                raise ValueError("", "this device takes no such command")
            self._execute(row, self._settable.read(row, payload), now_ms, now_ms)
            return True
        except Exception as error:
            self._answers.refused(row, name, error, now_ms, now_ms)
            return False

    def recover(self, name: str, value, utc_ms: int) -> None:
        """A part of the platform's state: see firmware/commands/missed.py. Raises nothing."""
        try:
            missed = self._missed = self._missed or self._begin()
        except Exception as error:
            self._log.error("%s is not recovered: %s", name, type(error).__name__)
            return
        missed.recover(name, value, utc_ms)

    def recovered(self) -> None:
        """The state was told to its end: what was missed takes effect. Raises nothing."""
        if not self._missed:
            self._answers.tick()
            return
        self._missed.recovered()
        if not self._missed.waits():
            self._missed = None

    def changed(self, names: tuple) -> None:
        """The program changed these properties: they are kept, and told. Raises nothing."""
        self._answers.date()
        changed_s = self._program.changed_s
        at_ms = 1000 * changed_s + 1 if changed_s else self._answers.now()
        self._answers.changed(names, at_ms, True)
        self._answers.tick()

    @rare
    def restore(self, tried=(), failed: "str | None" = None) -> None:
        """At the start: what was in force before it. Raises MemoryError alone. tried: the
        properties of which a configuration on trial says something; failed: why the last trial
        did.
        """
        since = self._since() if tried else ()
        for row in self._settable.rows():
            name = row[_NAME]
            kept = self._store.get(name)
            if not kept or row[_LASTS] != "kept":
                continue
            if name in tried and name not in since:
                continue  # it would hide what the configuration says of it
            try:
                self._settable.restore(row, kept[0], kept[1] // 1000)
            except MemoryError:
                raise  # without what somebody has set nothing starts
            except Exception as error:
                if kept[0] is not None:  # which stood for what nobody had set, once
                    why = words(name, error)
                    self._log.warning("%s of the last run is not used: %s", name, why)
        before = self._store.get("before")
        if before and before[0] and self._program:
            self._program.restore("before", before[0], None)
        self._tried = tried
        if not tried:
            self._store.drop("config")
        elif not since:
            self._store.put("config", [], self._store.time("config"))
        if failed:
            self._answers.tell("config", self._answers.now())
            self._answers.say("config", failed, 0)

    @rare
    def configured(self) -> None:
        """The configuration on trial is kept, and with it what it says of what commands set."""
        self._log.info("the configuration is kept")
        program = self._program
        if program and program.preset != "manual":
            # What the configuration says of the preset's set points.
            program.put("preset", program.preset, program.decided_s)
        since = self._since()
        for name in self._tried:
            if self._settable.row(name) and name not in since:
                self._store.drop(name)
                self._answers.tell(name, self._answers.now())
        self._tried = ()
        self._answers.say("config", "", 0)

    @rare
    def report(self, name: str, value, reason: "str | None") -> None:
        """What was begun by a command is so far; `reason`: as of `lastcommand`, None: not yet."""
        self._answers.tell(name, self._answers.now(), False, value)
        if reason is not None:
            self._answers.say(name, reason, 0)

    def tick(self, now_ms: int) -> None:
        """Once a second: answers that had to wait, and the store."""
        try:
            self._finish()
            if self._missed and self._missed.late(now_ms):
                self.recovered()
            self._answers.tick()
        except MemoryError:
            self._log.warning("answers have to wait: there is not enough memory")

    @rare
    def _begin(self):
        missed = passing(_missed)
        return missed(
            self._settable,
            self._program,
            self._answers,
            self._store,
            self._clock,
            self._execute,
            self._make_log("missed"),
        )

    @rare
    def _since(self):
        """The properties that were set since the configuration on trial came."""
        kept = self._store.get("config")
        return kept[0] if kept and type(kept[0]) is list else ()

    def _execute(self, row, value, utc_ms, at_ms):
        """Put a value in force that was decided at `utc_ms`, 0 if not known; answer at `at_ms`.

        Raises whatever keeps it from being in force.
        """
        self._finish()
        obeyed = [row, value, utc_ms, at_ms]
        obeyed[1], then = self._settable.put(row, value, utc_ms // 1000 or None)
        # It is in force: where memory is short in what follows, `tick` does that once more.
        self._obeyed = obeyed
        self._then = then
        try:
            self._finish()
        except MemoryError:
            pass
        except Exception:
            self._obeyed = self._then = None
            raise

    def _finish(self):
        """Keep and answer the command that was put in force last, if that is still to be done."""
        if not self._obeyed:
            return
        row, shown, utc_ms, at_ms = self._obeyed
        in_force = self._settable.get(row) if shown is None else shown
        self._log.info("command %s: %s is now in force", row[_NAME], kinds.shown(in_force))
        self._answers.obeyed(row, shown, utc_ms, at_ms)
        then = self._then
        if then:
            if row[_LASTS] == "merged":
                # What is set from now on holds over it; see `restore`.
                self._store.put(row[_NAME], [], self._store.time(row[_NAME]))
            self._answers.hurry()
            self._store.flush()
        self._obeyed = self._then = None
        if then:
            then()


def _missed():
    from firmware.commands.missed import Missed

    return Missed
