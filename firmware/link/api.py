"""Feeds over the platform's HTTPS API, and what it says of its limits."""

import json

from micropython import const

from firmware import uptime
from firmware.link import LinkError
from firmware.link.http import Http
from firmware.log import Log

# A request, from DNS to the last byte of its answer; and one for which MQTT has to wait.
_EXCHANGE_S = const(15)
_QUESTION_S = const(8)
_RETRY_AFTER_MS = const(60000)  # after a 429 that does not say how long
_LONGEST_RETRY_AFTER_S = const(3600)
# The state begins with its header, which holds the limits; all of it would fill a small heap.
_STATE_START = const(1024)
_JSON = {"Content-Type": "application/json"}


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
        self.rejected = 0  # points that a receipt did not accept

    def close(self):
        self._http.close()

    async def deliver(self):
        """Send the queue's next feed and act on the answer. Raises LinkError where it failed."""
        batch = self._queue.take(self._pace.most_points)
        if not batch:
            return
        self._pace.sent(uptime.ms())
        try:
            answer = await self._http.post(
                self._url + "/properties",
                data=batch.data,
                headers=_JSON,
                auth=self._auth,
                timeout=_EXCHANGE_S,
            )
            self._act_on(answer, batch)
        finally:
            self._queue.release()

    async def ask_limits(self):
        """Keep to the limits that the platform states, where they are below the configured."""
        answer = await self._http.get(
            self._url + "/state?header=true&meta=false&stats=false",
            auth=self._auth,
            timeout=_QUESTION_S,
            most=_STATE_START,
        )
        if answer.status_code != 200:
            raise self._refusal(answer.status_code)
        self._stated = _ingestion(answer.content)
        if self._pace.limit(*self._stated):
            self._log.info("the platform takes %s feeds a minute, %s points each", *self._stated)

    def _act_on(self, answer, batch):
        status = answer.status_code
        if status == 200:
            self._take_receipt(batch, answer)
        elif status == 413 and len(batch) > 1:
            # Too large for the platform: its limit is lower than when it was asked.
            self._pace.shrink(len(batch) // 2)
            self._log.warning("a feed of %d points was too large (413)", len(batch))
        elif status in (400, 413):
            self._log.warning("a feed of %d points was refused (%d)", len(batch), status)
            self._queue.refuse(batch)
            if status == 413:
                # It was the point, and not the number of them.
                self._pace.limit(*self._stated)
        elif status == 429:
            wait_ms = _retry_after_ms(answer)
            self._pace.too_fast(uptime.ms(), wait_ms)
            self._log.warning("too many feeds (429); waiting %d s", wait_ms // 1000)
        else:
            raise self._refusal(status)

    def _take_receipt(self, batch, answer):
        accepted, rejected = _counts(answer)
        rejected = max(rejected, len(batch) - accepted)
        if rejected:
            self.rejected += rejected
            self._log.warning(
                "the platform rejected %d of %d points; its log of this device says why, while"
                " its status is debug",
                rejected,
                len(batch),
            )
        self._queue.acknowledge(batch)
        self._pace.accepted()

    def _refusal(self, status: int) -> LinkError:
        if status in (401, 403):
            return LinkError(
                "the API refused device.key_id and device.key_secret (%d)" % status, refused=True
            )
        return LinkError("the API answered %d" % status)


def _counts(answer) -> tuple:
    """(accepted, rejected) of a receipt."""
    try:
        receipt = answer.json()
        accepted, rejected = receipt["accepted"], receipt.get("rejected", 0)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise LinkError("the API's answer is no receipt")
    if type(accepted) is not int or type(rejected) is not int:
        raise LinkError("the API's answer is no receipt")
    return accepted, rejected


def _retry_after_ms(answer) -> int:
    """RFC 9110, section 10.2.3, in seconds; a date is taken for not knowing."""
    text = answer.headers.get("retry-after", "")
    if not text.isdigit() or len(text) > 6:
        return _RETRY_AFTER_MS
    return 1000 * min(int(text), _LONGEST_RETRY_AFTER_S)


def _ingestion(state: bytes) -> tuple:
    """(feeds a minute, points a feed) of a state or its start, None where it does not say."""
    at = state.find(b'"ingestion"')
    start = state.find(b"{", at)
    end = state.find(b"}", start)
    if at < 0 or start < 0 or end < 0:
        return None, None
    try:
        ingestion = json.loads(state[start : end + 1])
    except ValueError:
        return None, None
    return _limit(ingestion.get("rateLimit")), _limit(ingestion.get("maxNrOfDpPerFeed"))


def _limit(value):
    return value if type(value) is int and value > 0 else None
