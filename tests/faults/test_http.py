"""Faults of the API, while MQTT is down and HTTPS carries the readings."""

import pytest

from tests.faults.rig import Rig, together
from tools.faults.faults import (
    STRUCK,
    Answer,
    Close,
    Cut,
    Drip,
    HalfOpen,
    Refuse,
    Reset,
    Rewrite,
    Silent,
    Stall,
    chunked,
    forever,
    http,
)
from tools.faults.units import DOWN, UP

RECEIPT = b'{"accepted": 0, "rejected": 0}'
JSON = "Content-Type: application/json"


def posts(pieces):
    """Only feeds get this answer; what the device asks, the platform answers."""
    return lambda request: pieces if request.startswith(b"POST") else None


def statuses():
    def status(line, *headers, **options):
        pieces = http(line, b'{"error": "a fault"}', JSON, *headers)
        return Answer(line.lower(), lambda _: pieces, **options)

    def refused(line, points=1):
        """A feed is refused once; the device sets points aside that the API refuses alone."""
        pieces = http(line, b"{}", JSON)

        def answer(request):
            large = request.startswith(b"POST") and request.count(b'"v":') >= points
            return pieces if large else None

        return Answer(f"{line.lower()}, once", answer, 1, most=1)

    return [
        status("401 Unauthorized", times=1),
        status("403 Forbidden", times=1),
        status("404 Not Found"),
        status("408 Request Timeout", "Connection: close", close=True),
        status("429 Too Many Requests", "Retry-After: 1", times=1),
        status("500 Internal Server Error"),
        status("502 Bad Gateway"),
        status("503 Service Unavailable", "Retry-After: 1"),
        status("504 Gateway Timeout"),
        refused("400 Bad Request"),
        refused("413 Content Too Large", 8),
        status("204 No Content"),
        status("304 Not Modified"),
        status("999 Nobody Knows"),
    ]


def answers():
    """What is no answer, or an answer in a form that an API may choose."""
    head = b"HTTP/1.1 200 OK\r\n"

    def instead(name, *pieces, **options):
        return Answer(name, posts(pieces), **options)

    return [
        Rewrite(
            "100 Continue before each answer",
            DOWN,
            None,
            lambda answer: [b"HTTP/1.1 100 Continue\r\n\r\n", answer],
            3,
            STRUCK,
        ),
        Rewrite("answers in chunks", DOWN, None, lambda answer: chunked(answer, 7), 3, STRUCK),
        Rewrite(
            "answers in chunks of one byte",
            DOWN,
            None,
            lambda answer: chunked(answer, 1),
            3,
            STRUCK,
        ),
        instead("no receipt in the answer", *http("200 OK", b'{"ok": true}', JSON)),
        instead("a receipt that is no JSON", *http("200 OK", b"<html>", JSON)),
        instead("an empty answer", *http("200 OK")),
        instead("a length that is no number", head + b"Content-Length: -1\r\n\r\n" + RECEIPT),
        instead("a length of 4 GB", head + b"Content-Length: 4294967296\r\n\r\n" + RECEIPT),
        instead("a chunk of 4 GB", head + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\nx"),
        instead("a chunk of no size", head + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n"),
        instead("garbage", b"\xff" * 200, close=True),
        instead("another protocol", b"SSH-2.0-OpenSSH_9.2\r\n", close=True),
        instead("two answers to one request", http("200 OK", b"{}")[0] * 2),
    ]


def endless():
    head = b"HTTP/1.1 200 OK\r\n"

    def instead(name, first, piece, every_s=0, times=1):
        def pieces(_):
            yield first
            yield from forever(piece, every_s)

        return Answer(name, pieces, times)

    return [
        instead("an endless line", b"HTTP/1.1 200 ", b"x" * 1000, 0.001),
        instead("endless headers", head, b"A: b\r\n" * 100, 0.001),
        instead("an endless body", head + b"\r\n", b"x" * 1000, 0.001),
        instead("endless chunks", head + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        instead("endless 100 Continue", b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.001),
        instead("a body that drips", head + b"Content-Length: 30\r\n\r\n", b" ", 1),
        instead("a head that drips", b"", b"H", 1),
    ]


def connections():
    return [
        Refuse(2),
        Silent("accept and stay silent"),
        Close("close", 2),
        Reset("reset", 2),
        HalfOpen("half-open"),
        Drip(DOWN),
        Drip(UP),
        Stall(UP, 100),
        Stall(DOWN, 10),
        Stall(DOWN, 100),
        Cut("an answer, at every 20th byte", DOWN, None, 0, 20),
        Cut("a request, at every 50th byte", UP, None, 0, 50),
    ]


@pytest.mark.timeout(300)
def test_faults_of_the_api(tmp_path):
    def life(number, faults):
        with Rig(tmp_path / str(number), "HTTP", 20 * number) as rig:
            rig.mqtt_is_away()
            rig.start("https")
            for fault in faults():
                rig.measure(fault, rig.api)
            rig.finish()
        return rig

    kinds = (statuses, answers, endless, connections)
    together(*(lambda n=n, faults=faults: life(n, faults) for n, faults in enumerate(kinds)))


@pytest.mark.timeout(300)
def test_redirects_are_not_followed_with_credentials(tmp_path):
    """Not followed at all: whoever the API names as its place sees no connection."""

    def redirect(status, port):
        place = f"Location: http://127.0.0.1:{port}/v3/data/devices/_this_/properties"
        return Answer(f"redirect, {status}", lambda _: http(status, b"", place))

    with Rig(tmp_path / "rig", "HTTP", 80) as rig:
        elsewhere = rig.somebody()
        rig.mqtt_is_away()
        rig.start("https")
        for status in (
            "301 Moved Permanently",
            "302 Found",
            "303 See Other",
            "307 Temporary Redirect",
            "308 Permanent Redirect",
        ):
            fault = redirect(status, elsewhere.port)
            rig.measure(fault, rig.api)
            assert all(b"Authorization: Basic " in request for request in fault.requests)
        rig.finish()
        assert not elsewhere.heard, "it was told the credentials"
        assert not elsewhere.connections
    rig.check()
