"""The platform's HTTPS API, with the device's own key: it takes feeds, and tells the state."""

from micropython import const

from firmware.base import uptime
from firmware.base.log import Log
from firmware.base.url import parse_url
from firmware.link import LinkError, deadlines, https_state
from firmware.link.http import Http

_RETRY_AFTER_MS = const(60000)  # after a 429 that does not say how long
_LONGEST_RETRY_AFTER_S = const(3600)
_LONGEST_ANSWER = const(1024)  # a receipt has a few dozen bytes
# A platform that refuses so many single points in a row refuses everything. From then on one point
# in this time is set aside, in case it is the points after all.
_BLAMED_IN_A_ROW = const(3)
_BLAME_MS = const(600000)
_JSON = {"Content-Type": "application/json"}


class Api:
    """One device's data on the platform, read and written with the device's own key."""

    def __init__(self, settings: dict, network, queue, pace, learnt: "tuple | None" = None):
        """learnt: what the one before it returned as `learnt`."""
        self._queue = queue
        self._pace = pace
        self._log = Log("https_api")
        self._http = Http(network)
        self._url = settings["https"]["url"].rstrip("/") + "/data/devices/_this_"
        self._device = settings["device"]  # its key may come, or change, while this runs
        # Whether feeds of one property go to its own address; how many points were refused alone
        # since a receipt last came, and when the last of them was.
        self._alone, self._blamed, self._blamed_ms = learnt or (True, 0, 0)
        self.accepted_ms = -1  # uptime when it last took a feed, or told something of this device
        self.rejected = 0  # points that a receipt did not accept

    def learnt(self) -> tuple:
        """What holds for the one after it, too."""
        return self._alone, self._blamed, self._blamed_ms

    def close(self):
        self._http.close()

    def _auth(self) -> tuple:
        return self._device["key_id"], self._device["key_secret"]

    async def deliver(self) -> "bool | None":
        """Send the queue's next feed and act on the answer. Raises LinkError where it failed.

        True: the platform takes feeds. None: there was no feed.
        """
        batch = self._queue.take(self._pace.most_points, self._alone)
        self._pace.sent(uptime.ms(), batch, self._queue.numbers[1])
        if not batch:
            return None
        try:
            path = "/properties" + ("/" + batch.prop if batch.prop else "")
            self._act_on(await self.post(path, batch), batch)
            return True
        finally:
            self._queue.release()

    async def read_state(self, on_state, on_date=None):
        """Read all that the platform holds of this device, whose limits are kept to from now on.

        on_state(name, value, ms since 1970): called for each property as https_state.reading has
        it. on_date(text): called before them, with the `Date` of the answer, or "". Returns when
        all of them were told. Raises LinkError, maybe when some were already.
        """

        stated = []
        dated = []

        def take(data):
            if on_date and not dated:
                dated.append(True)
                on_date(self._http.date)
            scanner.feed(data)

        def found(kind, part):
            if kind == "ingestion":
                self.accepted_ms = uptime.ms()
                stated[:] = https_state.limits(part)
                self._limit(stated)
                return
            reading = https_state.reading(part)
            if not reading:
                return
            self.accepted_ms = uptime.ms()
            try:
                on_state(*reading)
            except MemoryError:
                raise
            except Exception as error:  # whatever it is, the other properties are told
                text = "%s of the state is lost: %s: %s"
                self._log.error(text, reading[0], type(error).__name__, error)

        scanner = https_state.Scanner(found)
        answer = await self._http.get(
            self._url + "/state?header=true&meta=true&stats=false",
            auth=self._auth(),
            timeout=deadlines.STATE_MS / 1000,
            sink=take,
        )
        self.check(answer)
        if not scanner.ended:
            raise LinkError("the API's state is cut short")
        if not stated:
            self._limit((None, None))

    def fetch(self, url: str, headers: dict, sink):
        """Ask for a file anywhere, as Http.get; the credentials go to the API's own host alone."""
        # The API's paths know no query; that of a file is its server's.
        own = parse_url(url.partition("?")[0])[:3] == parse_url(self._url)[:3]
        auth = self._auth() if own else None
        return self._http.get(url, headers, auth, deadlines.EXCHANGE_MS / 1000, sink)

    def _limit(self, stated):
        try:
            if self._pace.limit(*stated):
                text = "the platform takes %s feeds a minute, %s points each"
                self._log.info(text, stated[0] or "?", stated[1] or "?")
        except OSError as error:
            self._log.error("the platform's limits cannot be kept: %s", error)

    async def post(self, path: str, data, once: bool = False):
        """The answer to a POST to a path below the device's; `once`: what must not arrive twice.

        After a 429 everything is sent more slowly. Raises LinkError.
        """
        sent_ms = uptime.ms()
        try:
            answer = await self._http.post(
                self._url + path,
                data=data,
                headers=_JSON,
                auth=self._auth(),
                timeout=deadlines.EXCHANGE_MS / 1000,
                once=once,
            )
        finally:
            self._pace.arrived(uptime.ms(), sent_ms)
        if answer.status_code == 429:
            # RFC 9110, section 10.2.3: seconds, or a date, which is taken for not knowing.
            text = answer.headers.get("retry-after", "")
            wait_ms = _RETRY_AFTER_MS
            if text.isdigit() and len(text) <= 6:
                wait_ms = 1000 * min(int(text), _LONGEST_RETRY_AFTER_S)
            self._pace.too_fast(uptime.ms(), wait_ms)
            self._log.warning("too many feeds (429); waiting %d s", wait_ms // 1000)
        return answer

    def _act_on(self, answer, batch):
        status = answer.status_code
        if status == 200:
            self.take_receipt(answer, batch.points)
            self._blamed = 0
            self._queue.acknowledge(batch)
            self._pace.accepted(batch.points)
        elif status in (404, 405) and batch.prop:
            # There is no such address, or no such property: a receipt will tell which.
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
                # The point was too large, and not the feed.
                self._pace.reset()
        elif status != 429:
            self.check(answer)

    def _blame(self, answer):
        """A point was refused alone. Raises LinkError where it is hardly to blame: all are."""
        now = uptime.ms()
        if self._blamed >= _BLAMED_IN_A_ROW and now - self._blamed_ms < _BLAME_MS:
            self.check(answer)
        self._blamed += 1
        self._blamed_ms = now

    def check(self, answer):
        """Raises LinkError unless the answer is a success."""
        status = answer.status_code
        if status == 401:
            text = "the API refused device.key_id and device.key_secret (401)"
            raise LinkError(text, refused=True)
        if status == 403:
            # What the platform says is JSON; a page is of a proxy or a firewall before it.
            kind = answer.headers.get("content-type", "").split(";")[0].lower()
            if kind.endswith("json"):
                text = "the API refused this device (403); is it disabled, or the key another's?"
                raise LinkError(text, refused=True)
            text = "what stands before the API refused the request (403%s)"
            raise LinkError(text % (kind and ", " + kind))
        if status != 200:
            raise LinkError("the API answered %d" % status)

    def take_receipt(self, answer, points: int):
        """Count those of the points that the platform rejected. LinkError: it is no receipt."""
        receipt = parsed(answer)
        accepted, rejected = receipt.get("accepted"), receipt.get("rejected", 0)
        if type(accepted) is not int or type(rejected) is not int:
            raise LinkError("the API's answer is no receipt")
        self.accepted_ms = uptime.ms()
        rejected = max(rejected, points - accepted)
        if rejected > 0:
            self.rejected += rejected
            text = "the platform rejected %d of %d points; its log of this device says why, while"
            self._log.warning(text + " its status is debug", rejected, points)


def parsed(answer) -> dict:
    """The object that an answer is; empty where it is none, or too long for one of ours."""
    try:
        # Brackets alone take a hundred times their size.
        tree = answer.json() if len(answer.content) <= _LONGEST_ANSWER else None
    except (ValueError, TypeError, MemoryError):
        tree = None
    return tree if type(tree) is dict else {}
