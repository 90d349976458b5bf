"""Commands that were missed: found in the platform's state, each with the time of its writing.

Such ones take effect in the order of their times, as if they had come in time. The last one to
write wins, whether that was a person far away or the program on the device. What the device
answered never counts as a command: it is no newer than what the device has. Only where the device
has lost that, a value of the platform that is in force already is taken for an answer.
"""

from micropython import const

from firmware.base import kinds
from firmware.times.clock import WRONG_MS

_NAME = const(0)  # columns of the table
_KIND = const(1)
_LIMITS = const(2)
_OWNER = const(4)
_LASTS = const(5)

_STATE_MS = const(2000)  # without another part of the state, its end is not waited for
_TRIES = const(3)  # where memory is short
_AHEAD_MS = const(10000)  # the platform's clock is not further than this


class Missed:
    """The commands of one state of the platform, until they take effect."""

    def __init__(self, settable, program, answers, store, clock, execute, log):
        """execute(row, value, utc_ms, at_ms): see door.Commands. The others are as there."""
        self._settable = settable
        self._program = program
        self._answers = answers
        self._store = store
        self._clock = clock
        self._execute = execute
        self._log = log
        self._found = {}  # name: [ms since 1970, order, row, value, ms that the store has]
        self._tries = 0  # to obey the first of them
        self._came_ms = 0  # uptime at which the state's last part came

    def recover(self, name: str, value, utc_ms: int) -> None:
        """A property of the platform's state, written at `utc_ms`; 0: never. Raises nothing. What
        is newer than what the device has takes effect when all of them are known.
        """
        row = self._settable.row(name)
        if row is None:
            return
        self._came_ms = self._clock.uptime_ms()
        answers = self._answers
        try:
            answers.date()
            if self._clock.sure and utc_ms > self._clock.now() + WRONG_MS:
                utc_ms = 0  # an answer of this device, when its clock was wrong
            kept_ms = self._store.time(name)
            if utc_ms > kept_ms or self._is_open(row, utc_ms, kept_ms):
                # What was written together: a schedule, then a preset, then its set points.
                order = "" if row[_KIND] == "schedule" else name
                self._found[name] = [utc_ms, order, row, value, kept_ms]
            elif name not in answers.told:
                # It may have been decided by what changed something else, or by an edit.
                if not utc_ms:
                    answers.tell(name, answers.now())
                elif row[_LASTS] == "kept" and not self._is_in_force(row, value):
                    answers.tell(name, utc_ms)
                answers.told[name] = True
        except Exception as error:
            self._log.error("%s is not recovered: %s", name, type(error).__name__)

    def recovered(self) -> None:
        """The state was told to its end: what was missed takes effect. Raises nothing."""
        answers = self._answers
        untold = []  # to be told in the end, if nothing tells them before
        while self._found:
            row = None
            try:
                utc_ms, _, row, value, kept_ms = self._oldest()
                if utc_ms > kept_ms:
                    self._obey(row, value, utc_ms, kept_ms, untold)
            except Exception as error:
                self._tries += 1
                if row is None or (isinstance(error, MemoryError) and self._tries < _TRIES):
                    # No memory: the next `recovered` tries again.
                    self._log.error("missed commands have to wait: %s", type(error).__name__)
                    self._came_ms = self._clock.uptime_ms()
                    break
                answers.refused(row, row[_NAME], error, utc_ms, utc_ms + 1)
            self._tries = 0
            del self._found[row[_NAME]]
        for name in untold:
            if name not in answers.told:
                answers.tell(name, self._store.time(name))
        answers.tick()

    def waits(self) -> bool:
        """Whether some of them have not taken effect yet."""
        return bool(self._found)

    def late(self, now_ms: int) -> bool:
        """The platform's state may end without a word."""
        return now_ms - self._came_ms >= _STATE_MS

    def _is_open(self, row, utc_ms, kept_ms):
        """Whether it is older than what the schedule did, and may have come between. That is
        answered a millisecond after the second: this is no command, nor what was answered before.
        """
        if row[_OWNER] != "program" or utc_ms == kept_ms or utc_ms % 1000 == 1:
            return False
        if utc_ms <= self._answers.answered.get(row[_NAME], 0):
            return False
        return self._program.can_rewind(utc_ms // 1000)

    def _oldest(self):
        """What comes first, once what it outlasts is undone."""
        found = self._found
        if self._program:
            for utc_ms, _, row, value, _ in found.values():
                if self._program.rewind(row[_NAME], value, utc_ms // 1000):
                    # Nothing is too late now for what the schedule did.
                    for part in found.values():
                        if part[0] <= part[-1]:
                            part[-1] = -1
                    break
        return min(found.values())

    def _obey(self, row, value, utc_ms, kept_ms, untold):
        """Put it in force as if it had come in time, unless it is known or over."""
        name = row[_NAME]
        answers = self._answers
        if self._program and utc_ms <= self._clock.now():
            untold.extend(self._catch_up(utc_ms))
        lasts = row[_LASTS]
        left = value
        if lasts == "seconds" and kinds.fits(row[_KIND], row[_LIMITS], value):
            left = max(0, value - max(0, self._clock.now() - utc_ms) // 1000)
        if lasts in ("seconds", "once"):
            known = not left or utc_ms < self._start_ms(lasts, kept_ms)
        else:
            # That it is in force may be news: a set point ends a boost to the same one.
            known = self._settable.is_known(row, value) and (
                lasts == "merged"
                or not kept_ms
                or (kept_ms > 0 and utc_ms <= self._store.time(name))
            )
        if not known:
            # The answer is just after it, so that what was written since stays the last.
            self._execute(row, left, utc_ms, utc_ms + 1)
            return
        answers.keep(name, utc_ms, False)
        if value and lasts in ("seconds", "once"):
            answers.told.pop(name, None)
            untold.append(name)
        else:
            answers.told[name] = True

    def _start_ms(self, lasts, kept_ms):
        """What is to be done once, and was sent before that, is done, or too late."""
        start_ms = self._clock.now() - self._clock.uptime_ms()
        if lasts == "once" and kept_ms < start_ms:
            # Where the platform's clock is ahead, the restart that this start comes of, too.
            start_ms = max(start_ms, kept_ms + _AHEAD_MS)
        return start_ms

    def _catch_up(self, utc_ms):
        """What the program would have changed by then."""
        program = self._program
        names = program.catch_up(utc_ms // 1000, self._clock.uptime_ms())
        if names:
            at_ms = 1000 * (program.changed_s or utc_ms // 1000) + 1
            self._answers.changed(names, at_ms, False)
        return names

    def _is_in_force(self, row, value):
        try:
            return self._settable.is_known(row, value)
        except Exception:  # it does not even fit
            return False
