"""Once a second: the program, the thermostat and the relays; then whoever else is to be called.

Nothing that those raise reaches the regulation.
"""

import sys

from micropython import const

from firmware.base import uptime
from firmware.base.log import Log
from firmware.base.rare import rare

_EVERY_MS = const(1000)


class Loop:
    """The regulation's task. alive_ms: the uptime at which it last got on."""

    @rare
    def __init__(self, regulation, program, clock, tell, changed, also, late, failed, pause):
        """`regulation`, `program`: None on a device that regulates nothing; without a program it
        follows none. `tell(name, value)`:
        told of each change of the regulation; `changed(names)`: of the program. `also`: functions
        to call with the uptime in ms after that. `late(ms)`: told how late each step is.
        `failed(name, error)`: told of what any of those raises. `pause`: a base.pause.Pause, cut
        where a command has changed what is to be done: the relays follow at once.
        """
        self._regulation = regulation
        self._program = program
        self._clock = clock
        self._tell = tell
        self._changed = changed
        self._also = also
        self._late = late
        self._failed = failed
        self._pause = pause
        self._told = ""
        self._logged = {}  # the regulation's properties as they were last logged
        self._news = ()  # what the program changed, until that is told
        self.alive_ms = 0

    async def run(self):
        due = uptime.ms()
        while True:
            now = self.alive_ms = uptime.ms()
            self._late(now - due)
            self.step(now)
            due += _EVERY_MS
            while await self._pause.wait(max(0, due - uptime.ms())):
                self._regulate(uptime.ms())

    def step(self, now_ms: int):
        self._regulate(now_ms)
        for also in self._also:
            self._guarded(also, now_ms)

    def _regulate(self, now_ms: int):
        if self._regulation:
            if self._program:
                self._guarded(self._follow, now_ms)
            self._regulation.step(now_ms)
            self._guarded(self._report)

    def _follow(self, now_ms):
        utc_s = self._clock.now() // 1000 if self._clock.known else None
        names = self._program.step(utc_s, now_ms)
        if names:  # with those that could not be told before
            self._news += tuple([name for name in names if name not in self._news])
        if self._news:
            self._changed(self._news)
            self._news = ()

    def _report(self):
        for name, value in self._regulation.changes():
            self._guarded(self._report_one, name, value)

    def _report_one(self, name, value):
        """Log a change, and tell it; where that fails it is told at the next step."""
        if self._logged.get(name) != value:
            self._logged[name] = value
            self._log(name, value)
        self._tell(name, value)
        self._regulation.told(name, value)

    def _guarded(self, call, *arguments):
        try:
            call(*arguments)
        except Exception as error:
            if self._failed:
                self._failed("regulation", error)
            if isinstance(error, MemoryError):
                return  # words would need some
            text = "%s: %s" % (type(error).__name__, error)
            if text != self._told:
                self._told = text
                Log("loop").error("the regulation goes on all the same: %s", text)
                sys.print_exception(error)

    def _log(self, name, value):
        log = Log("loop")
        temp_c = self._regulation.thermostat.temp_c
        if type(value) is bool:
            now_c = "no temperature" if temp_c is None else "%.1f °C" % temp_c
            log.info("%s %s: %s", name, "on" if value else "off", now_c)
        elif value != "none":
            log.warning("fault: %s", value)
        elif temp_c is not None:
            log.info("the fault is over")
