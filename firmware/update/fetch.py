"""The image, a range of 4 KiB at a time, over the API's connection; each piece of it goes to flash
as it comes. A range counts once all of it is there; else it is written anew.
"""

from micropython import const

from firmware.base.url import parse_url
from firmware.link import LinkError

RANGE = const(4096)
_HOPS = const(3)  # redirects in a row
_ANEW = const(2)  # a file that changed so often is none
_REDIRECTS = (301, 302, 303, 307, 308)
_LATER = (408, 425, 429)  # of those that say that the question is wrong


class GivenUp(Exception):
    """No other attempt would end otherwise; the text says why, and what to do."""


class Fetch:
    """at: bytes that are there."""

    def __init__(self, get, url: str, size: int, target):
        """get(url, headers, sink): as Api.fetch. target: see targets.py."""
        self._get = get
        self._url = url
        self._size = size
        self._target = target
        self._address: "str | None" = None  # that a redirect has led to
        self._hops = 0
        self._tag: "str | None" = None
        self._changes = 0
        self._most = 0
        self._filled = 0
        self.at = target.got()

    async def step(self) -> None:
        """Get the next range and write it. Raises LinkError: later again; GivenUp: never."""
        self._most = most = min(RANGE, self._size - self.at)
        self._filled = 0
        headers = {"Range": "bytes=%d-%d" % (self.at, self.at + most - 1)}
        answer = await self._get(self._address or self._url, headers, self._take)
        status, told = answer.status_code, answer.headers
        if status == 206:
            self._check(told, most)
        elif status == 200:
            self._whole()
        elif status in _REDIRECTS:
            self._follow(told.get("location", ""))
        else:
            self._refused(status)

    def _take(self, data):
        end = self._filled + len(data)
        if end > self._most:
            self._whole()
        self._target.write(self.at + self._filled, data)
        self._filled = end

    def _whole(self):
        text = "the server sends the whole file in place of a range; serve it from one that"
        raise GivenUp(text + " knows the header Range")

    def _check(self, told, most):
        """Is it the range that was asked for?"""
        self._hops = 0
        unit, _, rest = told.get("content-range", "").partition(" ")
        places, _, total = rest.partition("/")
        if total.isdigit() and int(total) != self._size:
            text = "the file at the URL has %s bytes, and the manifest says %d; put the image of"
            raise GivenUp((text + " the release there") % (total[:12], self._size))
        if unit != "bytes" or places.partition("-")[0] != str(self.at):
            raise GivenUp("the server answers with another range than it was asked for")
        tag = told.get("etag")
        if self._tag is not None and tag != self._tag:
            self._changes += 1
            if self._changes >= _ANEW:
                raise GivenUp("the file at the URL changes while it is fetched")
            self._tag = tag
            self.at = 0  # and all anew
            return
        self._tag = tag
        if self._filled < most:
            raise LinkError("a range of the image was cut short")
        self._target.settle()
        self.at += most

    def _follow(self, location):
        self._hops += 1
        if location.startswith("/") and not location.startswith("//"):
            here = self._address or self._url
            scheme, host, port, _ = parse_url(here.partition("?")[0])
            location = "%s://%s:%d%s" % (scheme, host, port, location)
        if self._hops > _HOPS or not location.startswith("https://"):
            raise GivenUp("the server leads to where there is no https; give the image's own URL")
        try:
            parse_url(location.partition("?")[0])
        except ValueError as error:
            raise GivenUp("the server leads to an address that is none: %s" % error)
        self._address = location

    def _refused(self, status):
        if self._address:  # such an address may be good for minutes only
            self._address = None
        elif status in (404, 410):
            text = "there is no such file at the URL (%d); is the release still served?"
            raise GivenUp(text % status)
        elif status == 416:
            raise GivenUp("the file at the URL is shorter than the manifest says (416)")
        elif 400 <= status < 500 and status not in _LATER:
            raise GivenUp("the server of the URL answered %d; may this device read it?" % status)
        raise LinkError("the server of the URL answered %d" % status)
