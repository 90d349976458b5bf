"""What becomes of an update after its restart: confirmed, or the version before runs again.

A start on trial is one: whatever ends it, the next one runs the version before (boot.py, or the
bootloader). Where the power was lost, that one tries it again, three times in all.
"""

import asyncio

from micropython import const

from firmware import VERSION
from firmware.base import uptime
from firmware.base.log import Log
from firmware.update import state, targets

_LOOK_MS = const(250)
_TRIES = const(3)
_DEATHS = const(3)  # of tasks: more will follow
_PATIENCE = const(6)  # times update.confirm_s, for the platform to be reached


class Trial:
    """The start that follows on an update, or on its end."""

    def __init__(self, confirm_s: int, uplink, board, supervisor, ticks, tell, rests, restart):
        """ticks(): steps of the regulation, one a second. The others are as in Job."""
        self._confirm_s = confirm_s
        self._uplink = uplink
        self._board = board
        self._supervisor = supervisor
        self._ticks = ticks
        self._tell = tell
        self._rests = rests
        self._restart = restart

    async def run(self) -> None:
        """Returns when it has ended; never where the device is to restart."""
        tree = state.read()
        if tree is None:
            state.forget()
        elif tree["state"] == "trial":
            if targets.running(self._board) == tree["target"]:
                tree = await self._prove(tree)
            else:
                tree = await self._again(tree)
        if tree and tree["state"] == "ended":
            version, result = tree["version"], tree["result"]
            while not self._uplink.reached():
                await asyncio.sleep_ms(_LOOK_MS)
            self._tell({"version": version, "result": result}, result.partition(": ")[2])
            state.forget()

    async def _prove(self, tree):
        """It is confirmed when the regulation has run for so long without a task that died, and
        the platform took something, and could ask for something.
        """
        uplink, supervisor = self._uplink, self._supervisor
        log = Log("update")
        log.info("%s is on trial", VERSION)
        since = self._ticks()
        before = restarts = supervisor.restarts
        end_ms = uptime.ms() + 1000 * _PATIENCE * self._confirm_s
        while True:
            now = self._ticks()
            if supervisor.restarts != restarts:
                restarts = supervisor.restarts
                since = now
            broken = restarts - before >= _DEATHS
            steady = now - since >= self._confirm_s
            if steady and uplink.sent and uplink.asked:
                break
            if broken or uptime.ms() >= end_ms:
                why = "the platform was not reached with it in time"
                if not steady:
                    why = "its tasks did not keep running"
                log.error("%s; back to the version before", why)
                state.end(tree["version"], "went back: " + why)
                while not self._rests(True):
                    await asyncio.sleep_ms(_LOOK_MS)
                self._restart()
                await asyncio.Event().wait()
            await asyncio.sleep_ms(_LOOK_MS)
        targets.confirm(tree["target"], self._board)
        log.info("%s is confirmed", VERSION)
        return state.end(tree["version"], "confirmed")

    async def _again(self, tree):
        """The version before runs: the trial was cut short, or was never begun."""
        cause = self._board.reset_cause()
        if cause == "power-on" and tree["tries"] < _TRIES:
            while not self._rests(False):
                await asyncio.sleep_ms(_LOOK_MS)
            tree["tries"] += 1
            state.write(tree)
            targets.arm(tree["target"], self._board)
            self._restart()
            await asyncio.Event().wait()
        why = "it did not keep running (%s)" % cause
        return state.end(tree["version"], "went back: " + why)
