"""The platform's HTTPS API, with the device's own key: feeds, raw values, methods, the state."""

import json

from micropython import const

from firmware.base import uptime
from firmware.base.log import Log
from firmware.link import LinkError, deadlines, https_state
from firmware.link.http import Http

_RETRY_AFTER_MS = const(60000)  # after a 429 that does not say how long
_LONGEST_RETRY_AFTER_S = const(3600)
_LONGEST_ANSWER = const(1024)  # a receipt has a few dozen bytes
# A platform that refuses these one after another refuses everything: then only one is given up in
# a time, in case that it is the points after all.
_BLAMED_IN_A_ROW = const(3)
_BLAME_MS = const(600000)
_JSON = {"Content-Type": "application/json"}
_PLAIN = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~$"


class Api:
    """One device's data on the platform, read and written with the device's own key."""

    def __init__(self, settings: dict, trust, queue, pace):
        device = settings["device"]
        self._queue = queue
        self._pace = pace
        self._log = Log("https")
        self._http = Http(trust)
        self._url = settings["https"]["url"].rstrip("/") + "/data/devices/_this_"
        self._auth = (device["key_id"], device["key_secret"])
        self._stated = (None, None)  # the platform's limits: feeds a minute, points a feed
        self._alone = True  # feeds of one property go to its own address
        self._blamed = 0  # points that were refused alone since a receipt last came
        self._blamed_ms = 0  # when the last of them was
        self.worked = False  # it has taken a feed, or told something of this device
        self.rejected = 0  # points that a receipt did not accept

    def close(self):
        self._http.close()

    async def deliver(self):
        """Send the queue's next feed and act on the answer. Raises LinkError where it failed."""
        batch = self._queue.take(self._pace.most_points, self._alone)
        if not batch:
            return
        self._pace.sent(uptime.ms())
        try:
            path = "/properties"
            if batch.prop:
                path = "/properties/" + batch.prop
            self._act_on(await self._post(path, batch), batch)
        finally:
            self._queue.release()

    async def write_values(self, values: dict):
        """Write raw values, by the names of their properties; the platform sets their time.

        Raises LinkError where they did not arrive. One that the platform rejects is counted.
        """
        answer = await self._post("", json.dumps(values), True)
        self._check(answer)
        rejected = len(values) - _counts(answer)[0]
        if rejected > 0:
            self._count(rejected, len(values))

    async def call_method(self, name: str, value):
        """Call a method of the device's on the platform; return its result. Raises LinkError."""
        call = json.dumps({"value": value})
        answer = await self._post("/methods/" + _quoted(name), call, True)
        self._check(answer)
        answered = _parsed(answer)
        if "result" not in answered:
            raise LinkError("the API's answer is no result of a method")
        return answered["result"]

    async def read_state(self, on_state):
        """Read all that the platform holds of this device, in little memory.

        Its limits are kept to from now on. on_state(name, value, ms since 1970) is called for
        each property, (name, None, 0) where it was never written; a value that can't be had here
        is a range, as long as its text. Returns when all of them were told. Raises LinkError,
        maybe when some of them were told already.
        """

        def found(kind, part):
            if kind == "ingestion":
                self.worked = True
                self._keep_to(https_state.limits(part))
                return
            reading = https_state.reading(part)
            if not reading:
                return
            self.worked = True
            try:
                on_state(*reading)
            except MemoryError:
                raise
            except Exception as error:  # whatever it is, the others are told
                name = reading[0]
                self._log.error(
                    "%s of the state is lost: %s: %s", name, type(error).__name__, error
                )

        scanner = https_state.Scanner(found)
        answer = await self._http.get(
            self._url + "/state?header=true&meta=true&stats=false",
            auth=self._auth,
            timeout=deadlines.STATE_MS / 1000,
            sink=scanner.feed,
        )
        self._check(answer)
        if not scanner.ended:
            raise LinkError("the API's state is cut short")

    async def _post(self, path: str, data, once: bool = False):
        answer = await self._http.post(
            self._url + path,
            data=data,
            headers=_JSON,
            auth=self._auth,
            timeout=deadlines.EXCHANGE_MS / 1000,
            once=once,
        )
        if answer.status_code == 429:
            self._slow_down(answer)
        return answer

    def _keep_to(self, stated: tuple):
        """The limits that the platform states, where they are below the configured."""
        if stated != self._stated:
            self._stated = stated
            if self._pace.limit(*stated):
                feeds, points = stated
                self._log.info(
                    "the platform takes %s feeds a minute, %s points each",
                    feeds or "?",
                    points or "?",
                )

    def _act_on(self, answer, batch):
        status = answer.status_code
        if status == 200:
            self._take_receipt(batch, answer)
        elif status in (404, 405) and batch.prop:
            # It has no such address, or no such property: then a receipt is to say so.
            self._alone = False
            self._log.warning("a feed for %s alone was refused (%d)", batch.prop, status)
        elif status == 413 and batch.points > 1:
            # Too large for the platform: its limit is lower than when it was asked.
            self._pace.too_large(batch.points)
            self._log.warning("a feed of %d points was too large (413)", batch.points)
        elif status in (400, 413):
            self._log.warning("a feed of %d points was refused (%d)", batch.points, status)
            if batch.points == 1:
                self._blame(answer)
            self._queue.refuse(batch)
            if status == 413:
                # It was the point, and not the number of them.
                self._pace.limit(*self._stated)
        elif status != 429:
            self._check(answer)

    def _blame(self, answer):
        """Raises LinkError where it is hardly this point that is to blame: none is accepted."""
        now = uptime.ms()
        if self._blamed >= _BLAMED_IN_A_ROW and now - self._blamed_ms < _BLAME_MS:
            self._check(answer)
        self._blamed += 1
        self._blamed_ms = now

    def _slow_down(self, answer):
        wait_ms = _retry_after_ms(answer)
        self._pace.too_fast(uptime.ms(), wait_ms)
        self._log.warning("too many feeds (429); waiting %d s", wait_ms // 1000)

    def _check(self, answer):
        """Raises LinkError unless the answer is a success."""
        status = answer.status_code
        if status in (401, 403):
            raise LinkError(
                "the API refused device.key_id and device.key_secret (%d)" % status, refused=True
            )
        if status != 200:
            raise LinkError("the API answered %d" % status)

    def _take_receipt(self, batch, answer):
        accepted, rejected = _counts(answer)
        self.worked = True
        self._blamed = 0
        rejected = max(rejected, batch.points - accepted)
        if rejected > 0:
            self._count(rejected, batch.points)
        self._queue.acknowledge(batch)
        self._pace.accepted()
        self._pace.fitted(batch.points)

    def _count(self, rejected: int, of: int):
        self.rejected += rejected
        self._log.warning(
            "the platform rejected %d of %d points; its log of this device says why, while its"
            " status is debug",
            rejected,
            of,
        )


def _counts(answer) -> tuple:
    """(accepted, rejected) of a receipt."""
    receipt = _parsed(answer)
    accepted, rejected = receipt.get("accepted"), receipt.get("rejected", 0)
    if type(accepted) is not int or type(rejected) is not int:
        raise LinkError("the API's answer is no receipt")
    return accepted, rejected


def _parsed(answer) -> dict:
    """The object that an answer is; empty where it is none, or not what was to be expected."""
    try:
        # Brackets alone take a hundred times their size.
        tree = answer.json() if len(answer.content) <= _LONGEST_ANSWER else None
    except (ValueError, TypeError, MemoryError):
        tree = None
    return tree if type(tree) is dict else {}


def _retry_after_ms(answer) -> int:
    """RFC 9110, section 10.2.3, in seconds; a date is taken for not knowing."""
    text = answer.headers.get("retry-after", "")
    if not text.isdigit() or len(text) > 6:
        return _RETRY_AFTER_MS
    return 1000 * min(int(text), _LONGEST_RETRY_AFTER_S)


def _quoted(name: str) -> str:
    """A name as a segment of a path (RFC 3986, section 2.1)."""
    return "".join([chr(c) if c in _PLAIN else "%%%02X" % c for c in name.encode()])
