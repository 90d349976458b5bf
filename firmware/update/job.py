"""One update, from its manifest to the restart with which its trial begins.

Told as `update`: {"version", "state"}, where the state is `checking`, `downloading` (with
`percent`, at each quarter), `waiting` for a moment at which a restart costs no heat;
and in the end {"version", "result"}: `confirmed`, or `refused: `, `given up: ` or `went back: `
and why.
"""

import asyncio
import binascii
import hashlib

from micropython import const

from firmware.base import uptime
from firmware.base.log import Log
from firmware.link import LinkError
from firmware.update import manifest, state, targets
from firmware.update.fetch import Fetch, GivenUp

_LOOK_MS = const(250)
_READ = const(512)  # bytes that are read back at a time
_PAUSE_MS = const(5000)  # after a failure, and twice that after the next one
_LONGEST_PAUSE_MS = const(600000)
_PATIENCE_MS = const(86400000)  # without a range that comes through
_HEAT_MS = const(3600000)  # the relay may be on for so long before a restart switches it off


class Job:
    """alive_ms: for the supervisor."""

    def __init__(self, tree: dict, key: str, uplink, board, tell, rests, restart):
        """tree: the manifest, as it came. uplink: the link's. tell(value, reason): the property
        `update`, and what became of the command: "" is well, None nothing yet. rests(patient):
        whether a restart costs no heat; `patient`: or no more than it must. restart(): does it.

        Raises ValueError, with words, where this device cannot take it.
        """
        manifest.check(tree, targets.kind(), targets.chip(board))
        self._tree = tree
        self._modulus = manifest.modulus_of(key)  # 0 once the signature is checked
        self._board = board
        self._uplink = uplink
        self._tell = tell
        self._rests = rests
        self._restart = restart
        self._target = target = targets.make(tree["kind"], tree["size"], board)
        target.room()
        self._fetch: Fetch | None = None
        self._next_ms = self._failures = 0
        self._came_ms = 0
        self._why: str | None = None  # it is given up

    async def run(self, resumed: bool) -> None:
        """Returns when it has ended; never where the device is to restart."""
        tree, target = self._tree, self._target
        try:
            if self._modulus:
                await manifest.verify(tree, self._modulus)
                if not resumed:
                    target.discard()
                    state.write({"state": "downloading", "manifest": tree})
                tree["signature"] = ""  # half a kilobyte
                self._modulus = 0
            await self._download()
            await self._check()
            await target.prepare()
            self._say("waiting")
            await self._rest()
            mark = {"state": "trial", "version": tree["version"], "target": target.name}
            state.write(dict(mark, tries=1))
            targets.arm(target.name, self._board)
            self._restart()
            await asyncio.Event().wait()
        except ValueError as error:
            self._end("refused: %s" % error, str(error))
        except GivenUp as error:
            self._end("given up: %s" % error, str(error))
        except OSError as error:
            why = "flash: %s; is it full?" % error
            self._end("given up: " + why, why)

    def _fetch_from(self, *given):
        # The Api of now: another one takes its place after each session.
        return self._uplink.api.fetch(*given)

    async def _download(self):
        """All ranges, behind readings and commands, for as long as some come through."""
        size = self._tree["size"]
        fetch = self._fetch = Fetch(self._fetch_from, self._tree["url"], size, self._target)
        uplink = self._uplink
        told = -1
        self._came_ms = uptime.ms()
        try:
            while fetch.at < size:
                if self._why:
                    raise GivenUp(self._why)
                now = uptime.ms()
                if now - self._came_ms >= _PATIENCE_MS:
                    raise GivenUp("nothing came for a day; is the URL in this device's reach?")
                quarter = 4 * fetch.at // size
                if quarter != told:
                    told = quarter
                    self._say("downloading", 25 * quarter)
                may = now >= self._next_ms and uplink.reached()
                uplink.errand = self._step if may else None
                await asyncio.sleep_ms(_LOOK_MS)
        finally:
            uplink.errand = None

    async def _step(self):
        """One range. Raises nothing but what ends the link."""
        try:
            await self._fetch.step()
            self._came_ms = uptime.ms()
            self._failures = 0
            if self._fetch.at < self._tree["size"]:
                return
        except (LinkError, MemoryError) as error:
            pause_ms = min(_PAUSE_MS << min(self._failures, 10), _LONGEST_PAUSE_MS)
            self._failures += 1
            self._next_ms = uptime.ms() + pause_ms
            text = "the image: %s; next try in %d s"
            Log("update").warning(text, error, pause_ms // 1000)
        except GivenUp as error:
            self._why = str(error)
        except OSError as error:
            self._why = "flash: %s; is it full?" % error
        self._uplink.errand = None

    async def _check(self):
        """What flash reads back is the image. Raises GivenUp."""
        self._fetch = None
        buffer = bytearray(_READ)
        digest = hashlib.sha256()
        size = self._tree["size"]
        for at in range(0, size, _READ):
            n = min(self._target.read_into(at, buffer), size - at)
            digest.update(memoryview(buffer)[:n])
            await asyncio.sleep_ms(0)
        if binascii.hexlify(digest.digest()).decode() != self._tree["sha256"]:
            text = "the image is not the one that was signed; put that of the release at the URL"
            raise GivenUp(text)

    async def _rest(self):
        """Wait for a moment at which a restart costs no heat."""
        since_ms = uptime.ms()
        while not self._rests(uptime.ms() - since_ms >= _HEAT_MS):
            await asyncio.sleep_ms(_LOOK_MS)

    def _say(self, word, percent=None):
        value = {"version": self._tree["version"], "state": word}
        if percent is not None:
            value["percent"] = percent
        Log("update").info("%s: %s", value["version"], word)
        self._tell(value, None)

    def _end(self, result, why):
        self._target.discard()
        state.forget()
        Log("update").error("%s: %s", self._tree["version"], result)
        self._tell({"version": self._tree["version"], "result": result}, why)
