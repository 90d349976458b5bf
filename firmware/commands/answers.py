"""The answers to commands: the values in force, what became of each command, and their pace.

What is answered is on flash by then, so that a power cut takes nothing back. Sixteen answers may
go at once, and then four a second. A value that has to wait is answered once, as it is by then.
Eight verdicts of `lastcommand` may wait; the last of them says in `left_out` how many more there
were. An answer is dated no earlier than what it replaces, and no later than what the device keeps:
or, after a restart, it would be taken for a command.
"""

from micropython import const

from firmware.base.log import harmless
from firmware.base.rare import rare
from firmware.commands.apply import words
from firmware.times.calendar import iso
from firmware.times.clock import WRONG_MS

_LASTS = const(5)  # a column of the table

_EXCERPT = const(40)  # characters of a name shown
_AT_ONCE = const(16)  # answers, before they come one at a time
_SPACING_MS = const(250)
_MOST_VERDICTS = const(8)  # that wait
_TRIES = const(3)


class Answers:
    """told: the properties that the platform has as they are, or will have, as keys.

    answered: by name, when a property was last answered before the program changed it.
    """

    @rare
    def __init__(self, settable, program, send, store, clock, log):
        """settable: an apply.Settable. program: the Program, or None. send: see door.Commands."""
        self._settable = settable
        self._program = program
        self._send = send
        self._store = store
        self._clock = clock
        self._log = log
        self.told = {}
        self.answered = {}
        self._undated = {}  # name: what the clock said, before it was known
        self._moved_ms = None  # as clock.moved_ms was when the times were last put right
        self._used_ms = -_AT_ONCE * _SPACING_MS  # uptime up to which answers are used up
        self._late = []  # (property, value) of the answers that wait; None: the value in force
        self._tries = 0  # to give the first of those that wait
        self._verdicts = []  # (name, reason, ms, whether the clock was known, left out)

    def now(self) -> int:
        """Milliseconds since 1970; 0: not known."""
        return self._clock.now() if self._clock.known else 0

    @rare
    def obeyed(self, row, shown, utc_ms: int, at_ms: int) -> None:
        """A command of `utc_ms` is in force. `shown`: the answer, if not the value in force."""
        name = row[0]
        self.tell(name, at_ms, True, shown)
        if self._program:
            changed = self._program.take()
            for also in changed:
                if also != name:
                    self.tell(also, at_ms, True)
            self._decided(self._program.decides(name), changed, at_ms)
        self.say(name, "", utc_ms)

    @rare
    def refused(self, row, name: str, error, utc_ms: int, at_ms: int) -> None:
        """A command was refused. row: None where the device has no such one. Raises nothing."""
        try:
            try:
                reason = words(name, error)
            except MemoryError:
                reason = "there is not enough memory"
            self._log.warning("command %s refused: %s", name[:_EXCERPT], reason)
            if row is not None:
                try:
                    self.tell(name, at_ms)
                except MemoryError:
                    pass
            self.say(harmless(name[:_EXCERPT]), reason, utc_ms)
        except MemoryError:
            pass  # not even that much: its state comes with the next connection
        except Exception as error:
            self._log.error("%s is not answered: %s", name, type(error).__name__)

    @rare
    def changed(self, names: tuple, at_ms: int, tells: bool) -> None:
        """The program changed these by itself; they are told now, or later."""
        if tells:
            for name in names:
                self.tell(name, at_ms, True)
        else:
            self._decided(names, (), at_ms)
        if "preset" in names and self._program.preset != "manual":
            self._decided(self._program.decides("preset"), names, at_ms)

    def tell(self, name: str, at_ms: int, decided=False, value=None) -> None:
        """Answer with what is in force, or `value`, as of `at_ms` or as soon after it as is
        possible, with the next `tick`; 0: now. decided: somebody has decided it.
        """
        self.told[name] = True
        self.keep(name, at_ms, decided)
        for waiting in self._late:
            if waiting[0] == name:
                self._late.remove(waiting)
                break
        self._late.append((name, value))

    def say(self, name: str, reason: str, utc_ms: int) -> None:
        """What has become of a command, of `utc_ms` or, where that is 0, of now."""
        left_out = 0
        if len(self._verdicts) == _MOST_VERDICTS:
            left_out = self._verdicts.pop()[-1] + 1
        at_ms = utc_ms or self._clock.now()
        self._verdicts.append((name, reason, at_ms, self._clock.known, left_out))
        self.tick()

    def tick(self) -> None:
        """Keep what is new; then give the answers that wait, as many as may go. Raises nothing."""
        try:
            self.date()
            self._store.tick(self._clock.uptime_ms())
            if self._store.kept():
                self._give()
        except MemoryError:
            self._log.warning("answers have to wait: out of memory")

    @rare
    def hurry(self) -> None:
        """The device restarts: what waits goes now, as far as sixteen answers reach."""
        self._store.flush()
        self._used_ms = -_AT_ONCE * _SPACING_MS
        self._give()

    def keep(self, name: str, at_ms: int, decided: bool) -> None:
        """Remember since when a value is in force and, if somebody decided that, what it is."""
        kept_ms = self._store.time(name)
        if not at_ms:
            self._undated[name] = self._clock.now()
        # What the program did is dated a millisecond after its second; see Missed.
        if at_ms % 1000 == 1 != kept_ms % 1000:
            self.answered[name] = kept_ms
        at_ms = max(at_ms, kept_ms + 1)  # no older than what it replaces
        try:
            if decided and self._put(name, at_ms):
                return
        except MemoryError:
            raise
        except Exception as error:
            self._log.error("%s is not kept: %s", name, type(error).__name__)
        self._store.date(name, at_ms)

    def date(self) -> None:
        """Date what was changed before the clock was known, or while it was wrong."""
        clock = self._clock
        if self._undated and clock.known:
            for name, counted_ms in self._undated.items():
                dated_ms = counted_ms + clock.first_offset
                self._store.date(name, max(self._store.time(name), dated_ms))
            self._undated.clear()
        if clock.sure and clock.moved_ms != self._moved_ms:
            moved_ms = clock.moved_ms - (self._moved_ms or 0)
            answered = {name: utc_ms + moved_ms for name, utc_ms in self.answered.items()}
            self._store.correct(moved_ms, clock.now() + WRONG_MS)
            self.answered = answered
            self._moved_ms = clock.moved_ms

    @rare
    def _decided(self, names, told, at_ms):
        """These were decided, too, also those that had that value before."""
        for name in names:
            if name not in told:
                self.keep(name, at_ms, True)
                self.told.pop(name, None)

    @rare
    def _put(self, name, at_ms):
        """Keep what somebody has decided; whether it is of a kind that is kept."""
        row = self._settable.row(name)
        if row[_LASTS] != "kept":
            return False
        value = self._settable.kept(row)
        # A boost ends by its time. Of all else, to be decided once more changes nothing.
        self._store.put(name, value, at_ms, value == "boost")
        since = self._store.get("config")
        if since and name not in since[0]:
            self._store.put("config", since[0] + [name], since[1])
        if name == "preset" and self._program.preset == "boost":
            self._store.put("before", self._program.before, at_ms)
        return True

    def _give(self):
        """As many of the answers that wait as may go now. Raises MemoryError; none is lost."""
        late = self._late
        while late and self._may_send():
            name, value = late[0]
            self._send_one(name, value, self._undated.get(name) or self._store.time(name))
            late.pop(0)
        verdicts = self._verdicts
        while verdicts and not late and self._clock.known and self._may_send():
            name, reason, at_ms, dated, left_out = verdicts[0]
            verdict = {"property": name, "ok": not reason, "reason": reason}
            verdict["time"] = iso(at_ms if dated else at_ms + self._clock.first_offset)
            if left_out:
                verdict["left_out"] = left_out
            self._send_one("lastcommand", verdict, None)
            verdicts.pop(0)

    def _send_one(self, name, value, at_ms):
        """Raises MemoryError where it is worth another try."""
        try:
            if value is None:
                value = self._settable.get(self._settable.row(name))
            self._send(name, value, at_ms)
        except Exception as error:  # a full buffer, or no memory
            self._tries += 1
            if isinstance(error, MemoryError) and self._tries < _TRIES:
                raise
            self._log.error("%s is not told: %s: %s", name, type(error).__name__, error)
        self._tries = 0

    def _may_send(self):
        """Whether an answer may go now; it is counted."""
        now_ms = self._clock.uptime_ms()
        begin_ms = max(self._used_ms, now_ms - _AT_ONCE * _SPACING_MS)
        if begin_ms + _SPACING_MS > now_ms:
            return False
        self._used_ms = begin_ms + _SPACING_MS
        return True
