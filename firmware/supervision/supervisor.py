"""Keeps the tasks going: restarts one that died or stands still and, where that does not help,
asks for a restart of the device.

The remedy never costs more heat than the failure: a restart keeps the relay off for its minimum
off time. So the device is restarted for a failure after ten minutes of running at the earliest,
and when the relay is off, if that comes within half an hour. A restart that did not help is no
remedy: the next one is six hours after it.

When memory runs out, the readings go from RAM to flash first. The next time the link is taken down
and built anew, which frees the most. Only then is the device restarted.
"""

import asyncio
import gc
import sys

from micropython import const

from firmware.base import uptime
from firmware.base.log import Log
from firmware.base.rare import rare
from firmware.board import board

_WATCH_MS = const(1000)
_LATE_MS = const(5000)
_END_MS = const(200)  # for the tasks to close what they have open
_RESTART_MS = const(5000)  # before a task that died is started again, twice that the next time
_DOUBLINGS = const(4)
_WATCHDOG_MS = const(30000)
_IN_A_ROW_MS = const(600000)  # deaths that are closer than this have one cause
_MOST_DEATHS = const(5)
_NOT_BEFORE_MS = const(600000)  # of uptime: no restart of the device for a failure
_NOT_AGAIN_MS = const(21600000)  # the same, where this run began with one
_PATIENCE_MS = const(1800000)  # from then on, for the relay to be off
_HELP_MS = const(10000)  # for what was done about a lack of memory to help
_FORGET_MS = const(600000)  # then it does not count any more

_log = Log("supervisor")


class _Task:
    """One task, and how it fares."""

    def __init__(self, name: str, run, silence_ms: int = 0, source=None):
        self.name = name
        self.run = run
        self.silence_ms = silence_ms
        self.source = source or self
        self.alive_ms = 0
        self.deaths = 0
        self.died_ms = 0
        self.running: asyncio.Task | None = None


class Supervisor:
    """restarts: how often a task had to be started again."""

    @rare
    def __init__(self, watchdog, spill, safe, rests=None):
        """`watchdog(timeout_ms)`: starts the board's. `spill()`: the readings in RAM go to flash.
        `safe()`: called when the regulation died, and first of all when everything ends.
        `rests()`: whether the relay is off; None where there is none.
        """
        self._watchdog = watchdog
        self._spill = spill
        self._safe = safe
        self._rests = rests
        self._tasks = []
        self._short = 0  # how often memory was short, each time after something was done about it
        self._short_ms = 0
        self._why = None
        self._restart_ms = 0
        self._wish = None  # the reason for a restart that would help, once it costs no heat
        again = board.reset_cause() in ("failure", "memory")
        self._not_before_ms = _NOT_AGAIN_MS if again else _NOT_BEFORE_MS
        self._ended = False
        self.restarts = 0

    def add(self, name: str, run, silence_ms: int = 0, source=None) -> None:
        """Run the coroutine `run()` for ever. It stands still if `source.alive_ms`, the uptime at
        which it last got on, is older than `silence_ms`; 0 for a task of which that says nothing.
        """
        self.add_all(((name, run, silence_ms, source),))

    def add_all(self, tasks) -> None:
        """Add tasks, each a tuple of what `add` takes: all of them, or none where memory is short.
        While this runs they start within a second.
        """
        self._tasks.extend([_Task(*task) for task in tasks])

    async def run(self) -> str:
        """Run all tasks; returns, with the reason, when the device is to be restarted: they have
        ended then, and closed what they had open.
        """
        watchdog = self._watchdog(_WATCHDOG_MS)
        self._begin()
        looked = uptime.ms()
        try:
            while True:
                now = uptime.ms()
                if self._may_help(now):
                    self.restart(self._wish)
                if self._why and now >= self._restart_ms:
                    break
                if now - looked > _LATE_MS:
                    # What held up the whole loop held up the tasks as well.
                    for task in self._tasks:
                        task.source.alive_ms += now - looked
                looked = now
                try:
                    self._begin()
                    if self._look(now):
                        watchdog.feed()
                except MemoryError as error:  # the next look does what this one could not
                    self._out_of_memory(now, "supervisor", error)
                await asyncio.sleep_ms(_WATCH_MS)
        finally:
            self._ended = True
            self._safe()
            for task in self._tasks:
                if task.running:
                    task.running.cancel()
            await asyncio.sleep_ms(_END_MS)
        return self._why

    def restart(self, why: str = "command", at_ms: int = 0) -> None:
        """Ask for a restart of the device, at that uptime or within about a second: what is being
        answered is answered first. The first reason counts.
        """
        self._restart_ms = min(self._restart_ms, at_ms) if self._why else at_ms
        self._why = self._why or why

    def restart_at_rest(self, why: str) -> None:
        """Ask for a restart that may help, as soon as it costs no more heat than it is worth. The
        first reason counts.
        """
        if self._wish is None:
            self._wish = why
            _log.warning("the device restarts as soon as that costs no heat: %s", why)

    def _may_help(self, now: int) -> bool:
        if self._wish is None or now < self._not_before_ms:
            return False
        late = now - self._not_before_ms >= _PATIENCE_MS
        return late or self._rests is None or self._rests()

    def failed(self, name: str, error) -> None:
        """The task of that name met an error. Only a lack of memory concerns the others."""
        if isinstance(error, MemoryError):
            self._out_of_memory(uptime.ms(), name, error)

    def _begin(self):
        """Start the tasks that are not started yet."""
        for task in self._tasks:
            if task.running is None:
                self._launch(task, 0)

    def _look(self, now: int) -> bool:
        """Whether every task gets on; one that does not is started anew."""
        fine = True
        for task in self._tasks:
            if task.silence_ms and now - task.source.alive_ms > task.silence_ms:
                fine = False
                _log.error("%s stands still", task.name)
                if task.name == "regulation":
                    self._safe()
                task.running.cancel()
                self._died(task, now)
                self._launch(task, _RESTART_MS)
        return fine

    def _launch(self, task: _Task, delay_ms: int):
        task.source.alive_ms = uptime.ms() + delay_ms
        task.running = asyncio.create_task(self._keep(task, delay_ms))

    async def _keep(self, task: _Task, delay_ms: int):
        while True:
            await asyncio.sleep_ms(delay_ms)
            task.source.alive_ms = uptime.ms()
            try:
                await task.run()
                _log.error("%s ended", task.name)
            except asyncio.CancelledError:
                if self._ended or task.running is not asyncio.current_task():
                    raise
                # Nobody has cancelled it: asyncio.wait_for had no memory to say how it ended.
                if task.name == "regulation":
                    self._safe()
                self._tell(task, MemoryError())
            except Exception as error:
                if task.name == "regulation":
                    self._safe()
                self._tell(task, error)
            gc.collect()
            self._died(task, uptime.ms())
            delay_ms = _RESTART_MS
            if task.name != "regulation":
                delay_ms <<= min(task.deaths - 1, _DOUBLINGS)
            task.source.alive_ms = uptime.ms() + delay_ms

    def _tell(self, task: _Task, error):
        """Why a task died. Raises nothing, or that task would stay dead."""
        if isinstance(error, MemoryError):
            self._out_of_memory(uptime.ms(), task.name, error)
            return
        try:
            sys.print_exception(error)
            _log.error("%s died: %s: %s", task.name, type(error).__name__, error)
            from firmware.supervision import faults

            faults.keep(task.name, error)
        except Exception:  # no memory for words, or no flash for the module
            pass

    def _died(self, task: _Task, now: int):
        self.restarts += 1
        if now - task.died_ms > _IN_A_ROW_MS:
            task.deaths = 0
        task.died_ms = now
        task.deaths += 1
        if task.deaths >= _MOST_DEATHS and now >= self._not_before_ms:
            self.restart_at_rest("failure")

    def _out_of_memory(self, now: int, name: str, error):
        """Take the next measure. Allocates next to nothing before something is freed."""
        gc.collect()
        if self._short and now - self._short_ms < _HELP_MS:
            return
        if now - self._short_ms > _FORGET_MS:
            self._short = 0
        self._short_ms = now
        self._short += 1
        try:
            what = str(error)
            if "allocat" in what or not what:
                what = "out of memory"  # and not how many bytes of which heap
            if self._short == 1:
                self._spill()
                _log.error("%s: %s; the readings in RAM went to flash", name, what)
            elif self._short == 2:
                for task in self._tasks:
                    if task.name == "link" and name != "link":
                        task.running.cancel()
                        self._launch(task, _RESTART_MS)
                _log.error("%s: %s; the link is built anew", name, what)
            elif now >= self._not_before_ms:
                _log.error("%s: %s, again", name, what)
                self.restart_at_rest("memory")
        except Exception as error:  # that it could not even do this is no reason to stop
            sys.print_exception(error)
