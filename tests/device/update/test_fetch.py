"""What the network does to an image on its way, at each range; and where a redirect may lead."""

import releases
from firmware.base import uptime
from firmware.link import LinkError
from firmware.link.https_api import Api
from firmware.update.fetch import Fetch, GivenUp
from updates import Answer, Updated

TIMEOUT_S = 300
HEAP = "4M"
ROM = releases.rom({"firmware/app.mpy": b"new" * 4000})
FILES = releases.image({"firmware/app.mpy": b"a" * 9000})
RELEASED = {"romfs": (ROM, "romfs", "any"), "files": (FILES, "files", "unix")}

# (status, headers, body), of the right body so many bytes; or what is raised
AGAIN = {
    "the connection ends before an answer": LinkError("closed"),
    "the memory is short": MemoryError("no"),
    "nothing of the range comes": (206, {}, b""),
    "a part of the range comes": (206, {}, 7),
    "all but a byte": (206, {}, -1),
    "the server fails": (500, {}, b""),
    "it is busy": (503, {}, b""),
    "it wants fewer questions": (429, {}, b""),
    "it had no patience": (408, {}, b""),
}
FINAL = {
    "there is no such file": ((404, {}, b""), "there is no such file at the URL (404)"),
    "nor ever will be": ((410, {}, b""), "there is no such file at the URL (410)"),
    "it may not be read": ((403, {}, b""), "answered 403; may this device read it?"),
    "it ends before the range": ((416, {}, b""), "shorter than the manifest says (416)"),
    "the whole file comes": ((200, {}, b""), "the whole file in place of a range"),
    "more comes than was asked for": ((206, {}, b"x" * 5000), "the whole file in place"),
    "it is a longer one": ((206, {"content-range": "bytes 0-1/99999"}, b""), "has 99999 bytes"),
    "the range is another": ((206, {"content-range": "bytes 7-8/*"}, b""), "another range than"),
    "nothing says which range": ((206, {"content-range": ""}, b""), "another range than"),
    "it leads to no https": ((302, {"location": "http://x/y"}, b""), "where there is no https"),
}


async def fetched(kind, n, answer):
    """The device after an update whose range of that number got this answer, once."""
    image, of_kind, chip = RELEASED[kind]
    with Updated(kind, image) as device:
        device.hurried()
        if isinstance(answer, tuple) and isinstance(answer[2], int):
            body = image[4096 * n : 4096 * n + 4096]
            answer = answer[:2] + (body[: answer[2]],)
        device.answers = [None] * n + [answer]
        real = uptime.ms
        ahead = [0]

        def look():
            ahead[0] += 500
            return False

        uptime.ms = lambda: real() + ahead[0]
        try:
            made = releases.release(image, kind=of_kind, chip=chip)
            ended = await device.start(made, until=look)
        finally:
            uptime.ms = real
        if ended == "restart":
            assert await device.start() == "ended"
        return device


def ranges(kind):
    return (len(RELEASED[kind][0]) + 4095) // 4096


async def test_what_goes_wrong_at_any_range_is_asked_for_once_more():
    for kind in RELEASED:
        for n in range(ranges(kind)):
            for what in AGAIN:
                device = await fetched(kind, n, AGAIN[what])
                assert device.result == "confirmed", (kind, n, what, device.told)
                asked = [headers["Range"] for headers in device.asked]
                assert len(asked) == ranges(kind) + 1 and asked[n] == asked[n + 1], (what, asked)


async def test_a_file_that_changed_at_any_range_is_fetched_anew():
    for kind in RELEASED:
        for n in range(1, ranges(kind)):
            device = await fetched(kind, n, (206, {"etag": '"2"'}, None))
            asked = [headers["Range"] for headers in device.asked]
            # The right one has another tag again: once too often.
            assert device.result == "given up: the file at the URL changes while it is fetched"
            assert asked[n + 1] == asked[0] and len(asked) == n + 2


async def test_what_no_other_attempt_would_mend_ends_it_at_any_range():
    for kind in RELEASED:
        for n in range(ranges(kind)):
            for what in FINAL:
                answer, words = FINAL[what]
                device = await fetched(kind, n, answer)
                told = device.result
                assert told.startswith("given up: ") and words in told, (kind, n, what, told)
                assert len(device.asked) == n + 1 and len(device.starts) == 1, what


class Peer:
    """Servers, by what they answer to a URL: (status, headers); with the API in front of them."""

    fetch, _auth = Api.fetch, Api._auth

    def __init__(self, answers):
        self.answers = answers
        self.asked = []  # (URL, with the device's credentials)
        self._url = "https://api.csip.io/v3"
        self._device = {"key_id": "_key_1", "key_secret": "s"}
        self._http = self

    async def get(self, url, headers, auth, timeout, sink):
        assert auth in (None, ("_key_1", "s")) and "Authorization" not in headers
        assert headers["Range"].startswith("bytes=")
        self.asked.append((url, auth is not None))
        answer = self.answers[url]
        if isinstance(answer, list):
            answer = answer.pop(0)
        status, told = answer
        if status == 206:
            told = {"content-range": "bytes 0-4/5"}
            sink(b"hello")
        return Answer(status, told)


class Target:
    data = b""

    def got(self):
        return 0

    def write(self, at, data):
        self.data = self.data[:at] + bytes(data)

    def settle(self):
        pass


OWN = "https://api.csip.io/releases/x"
FAR = "https://cdn.example/x?token=abc"


async def led(answers, steps=1):
    """The peer after so many answers; and the words with which it was given up, or None."""
    peer = Peer(answers)
    fetch = Fetch(peer.fetch, OWN, 5, Target())
    try:
        for _ in range(steps):
            try:
                await fetch.step()
            except LinkError:
                pass
    except GivenUp as error:
        return peer, str(error)
    return peer, None


def to(location, status=302):
    return status, {"location": location}


async def test_a_redirect_is_followed_to_https_and_without_the_devices_key():
    for status in (301, 302, 303, 307, 308):
        peer, why = await led({OWN: to(FAR, status), FAR: (206, None)}, 2)
        assert why is None and peer.asked == [(OWN, True), (FAR, False)], status
    for elsewhere in (
        "https://api.csip.io.example/x",
        "https://api.csip.io:444/x",
        "https://example/api.csip.io/x",
    ):
        peer, why = await led({OWN: to(elsewhere), elsewhere: (206, None)}, 2)
        assert why is None and peer.asked[1] == (elsewhere, False), peer.asked


async def test_a_redirect_on_the_same_server_names_a_path_alone():
    there = "https://api.csip.io:443/b?c"
    peer, why = await led({OWN: to("/b?c"), there: (206, None)}, 2)
    assert why is None and peer.asked == [(OWN, True), (there, True)]
    far = "https://cdn.example:443/z"
    peer, why = await led({OWN: to(FAR), FAR: to("/z"), far: (206, None)}, 3)
    assert why is None and peer.asked[2] == (far, False)


async def test_a_redirect_leads_nowhere_but_to_https():
    for location in (
        "http://api.csip.io/releases/x",
        "HTTP://api.csip.io/x",
        "//cdn.example/x",
        "ftp://cdn.example/x",
        "x",
        "",
    ):
        peer, why = await led({OWN: to(location)})
        assert why and "no https" in why and len(peer.asked) == 1, (location, why)
    for location in ("https://", "https://a:b:c/x", "https://host:99999/x"):
        peer, why = await led({OWN: to(location)})
        assert why and "an address that is none" in why, (location, why)


async def test_redirects_do_not_go_in_circles():
    peer, why = await led({OWN: to(FAR), FAR: to(OWN)}, 9)
    assert why and len(peer.asked) == 4, peer.asked
    peer, why = await led({OWN: to("/releases/x"), OWN.replace("io/", "io:443/"): to(OWN)}, 9)
    assert why and len(peer.asked) == 4, peer.asked


async def test_an_address_that_is_good_for_minutes_is_asked_for_anew():
    peer, why = await led({OWN: to(FAR), FAR: [(403, {}), (206, None)]}, 4)
    assert why is None and [url for url, _ in peer.asked] == [OWN, FAR, OWN, FAR]
