"""Mutated HTTP: an answer within the rules is what they say, and none disturbs the next one."""

import json
import random

import fuzz
from firmware.link import LinkError
from firmware.link.http import MAX_BODY, Http
from firmware.link.https_api import Api
from firmware.link.pacing import Pace

HEAP = "1M"
TIMEOUT_S = 100

OK = b"HTTP/1.1 200 OK\r\n"
RECEIPT = b'{"accepted":3,"rejected":0}'
JSON = b"Content-Type: application/json\r\n"
GOOD = OK + b"Content-Length: 4\r\n\r\ngood"

ANSWERS = (
    OK + JSON + b"Content-Length: 27\r\n\r\n" + RECEIPT,
    OK
    + b"Date: Mon, 23 Nov 2026 02:00:00 GMT\r\nconnection: keep-alive\r\nCONTENT-LENGTH:0\r\n\r\n",
    OK + b"Transfer-Encoding: chunked\r\n\r\n10\r\n" + RECEIPT[:16] + b"\r\nb\r\n"
    b'ejected":0}\r\n0\r\n\r\n',
    OK + b"transfer-encoding: chunked\r\n\r\n1B;x=y\r\n" + RECEIPT + b"\r\n000\r\nA: b\r\n\r\n",
    OK + b"Connection: close\r\n\r\n" + RECEIPT,
    b"HTTP/1.0 200 OK\r\nContent-Length: 27\r\n\r\n" + RECEIPT,
    b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 3\r\n\r\nno!",
    b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 503\r\nContent-Length: 200\r\n\r\n" + b"<p>no</p>\n" * 20,
)
TOKENS = (
    b"\r\n",
    b"\n",
    b"\r\n\r\n",
    b"\r\n0\r\n\r\n",
    b"0\r\n\r\n",
    b"1\r\nx\r\n",
    b"1fff\r\n",
    b"2000\r\n" + b"y" * 8192 + b"\r\n",
    b"2001\r\n",
    b"-1\r\n",
    b"0x1\r\n",
    b"ffffffffffffffffffffffff\r\n",
    b"Content-Length: 8192\r\n",
    b"Content-Length: 8193\r\n",
    b"Content-Length: 99999999999999999999999999\r\n",
    b"Content-Length: -1\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"HTTP/1.1 ",
    b"HTTP/1.1 103 Early\r\n\r\n",
    b"a: b\r\n" * 70,
    b"a" * 4100,
    b": ",
    b"\xff\xfe",
    b" ",
)


def stream() -> bytes:
    if not random.randrange(20):
        return fuzz.noise()
    return fuzz.mutated(random.choice(ANSWERS), ANSWERS, TOKENS)


def expected(data):
    """(status, body, where the answer ends) if it is within the rules (RFC 9112); else None."""
    at = 0
    status = 100
    while 100 <= status < 200:
        end = data.find(b"\r\n\r\n", at)
        if not 0 < end - at < 4000:
            return None
        lines = data[at:end].split(b"\r\n")
        at = end + 4
        words = lines[0].split(b" ", 2)
        if words[0] not in (b"HTTP/1.1", b"HTTP/1.0") or len(words) < 2:
            return None
        if len(words[1]) != 3 or not words[1].isdigit() or words[1] < b"100":
            return None
        status = int(words[1])
        headers = {}
        for line in lines:
            if any(byte < 32 or byte > 126 for byte in line):
                return None
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            name = name.lower()
            if not colon or not name or b" " in name or name in headers or len(headers) > 50:
                return None
            headers[name] = value.strip().lower()
    if status == 204 or status >= 300:  # what explains a status is not waited for
        return status, b"", at
    coding = headers.get(b"transfer-encoding")
    length = headers.get(b"content-length")
    if coding == b"chunked":
        return (status,) + _chunks(data, at)
    if coding is not None:
        return None
    if length is None:
        return (status, data[at:], len(data)) if len(data) - at <= MAX_BODY else None
    if not length.isdigit() or len(length) > 5 or int(length) > MAX_BODY:
        return None
    end = at + int(length)
    return (status, data[at:end], end) if end <= len(data) else None


def _chunks(data, at):
    """(body, where it ends) of chunks that begin here; (None, 0) if they break a rule."""
    body = b""
    while True:
        end = data.find(b"\r\n", at)
        size = data[at:end].split(b";")[0]
        digits = all(byte in b"0123456789abcdefABCDEF" for byte in size)
        if end < 0 or b"\n" in data[at:end] or not 0 < len(size) < 6 or not digits:
            return None, 0
        size = int(size, 16)
        at = end + 2
        if not size:
            break
        body += data[at : at + size]
        at += size
        if data[at : at + 2] != b"\r\n" or len(body) > MAX_BODY:
            return None, 0
        at += 2
    while data[at : at + 2] != b"\r\n":
        end = data.find(b"\r\n", at)
        if end < 0 or end - at > 1000 or b"\n" in data[at:end]:
            return None, 0
        at = end + 2
    return body, at + 2


class Server(fuzz.Served):
    """Serves the next of its answers after the head of each request."""

    def __init__(self, answers):
        super().__init__(b"", fuzz.pieces())
        self._answers = answers

    def heard(self):
        return self.at < len(self.data)

    async def write(self, data):
        if not bytes(data).endswith(b"\r\n\r\n"):
            return
        rest = bytes(self.data[self.at :])
        self.data = memoryview(rest + self._answers.pop(0))
        self.at = 0


class Network:
    """Connects to one Server with these answers, and then to others whose answers are good."""

    def __init__(self, answers):
        self._answers = answers
        self.servers = []

    async def connect(self, _host, _port, _tls):
        self.servers.append(Server([GOOD] if self.servers else self._answers))
        return self.servers[-1]


async def check(data):
    rules = expected(data)
    network = Network([data, GOOD])
    servers = network.servers
    client = Http(network)
    taken = bytearray()
    streamed = random.randrange(3) == 0
    fuzz.begin()
    try:
        sink = taken.extend if streamed else None
        found = await client.get("http://192.0.2.1/v3", timeout=5, sink=sink)
    except LinkError as error:
        assert rules is None or rules[1] is None, (rules, error)
        assert servers[0].closed
        found = None
    if found:
        status = found.status_code
        assert type(status) is int and len(found.content) <= MAX_BODY
        assert not taken or (status == 200 and not found.content)
        if rules and rules[1] is not None:
            assert (status, bytes(taken) or found.content) == rules[:2]
    # What is left over of an answer may disturb the next one, which then closes the connection.
    disturbed = servers[0].at < len(servers[0].data) and not servers[0].closed
    try:
        content = (await client.get("http://192.0.2.1/v3", timeout=5)).content
        assert disturbed or content == b"good"
    except LinkError as error:
        assert disturbed, error
    return "disturbed" if disturbed else "understood" if found else "refused"


async def test_whatever_a_server_answers_is_understood_or_refused():
    await fuzz.each("HTTP", stream, check, 131072)


# Receipts for feeds

BODIES = (
    RECEIPT,
    b'{"accepted": 2, "rejected": 1, "errors": [{"prop": "x", "reason": "unknown"}]}',
    b'{"rejected":3,"accepted":0}',
    b'{"accepted":3}',
    b'{"accepted":-1,"rejected":99999999999999999999}',
    b'{"error":{"code":400}}',
    b'["accepted"]',
    b"null",
    b"[" * 8000,
)
BODY_TOKENS = (
    b"1e999",
    b"-1",
    b"true",
    b"3.0",
    b'"3"',
    b"null",
    b"[" * 500,
    b'{"accepted":' * 50,
    b"\xff",
    b'"\\ud800"',
    b"9" * 400,
)
STATUSES = (b"200",) * 8 + (b"201", b"400", b"401", b"404", b"413", b"429", b"500")


class Queue:
    """One feed of three points, and what became of it."""

    points = 3
    numbers = (0, 3)
    prop = None

    def __init__(self):
        self.acknowledged = self.released = 0

    def __len__(self):
        return 10

    def __iter__(self):
        yield b'{"dps":[]}'

    def take(self, *_):
        return self

    def acknowledge(self, batch):
        assert batch is self
        self.acknowledged += 1

    refuse = acknowledge

    def release(self):
        self.released += 1


def receipt() -> bytes:
    body = fuzz.mutated(random.choice(BODIES[:4] * 3 + BODIES), BODIES, BODY_TOKENS)
    head = b"HTTP/1.1 " + random.choice(STATUSES) + b"\r\nRetry-After: 7\r\n"
    data = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    return data if random.randrange(4) else fuzz.mutated(data, ANSWERS, TOKENS)


def accepts(body) -> bool:
    try:
        tree = json.loads(body)
        counts = tree["accepted"], tree.get("rejected", 0)
    except Exception:
        return False
    return type(counts[0]) is int and type(counts[1]) is int


async def check_receipt(data):
    rules = expected(data)
    queue = Queue()
    settings = {
        "device": {"id": "_dev_1", "key_id": "_key_1", "key_secret": "hunter2"},
        "https": {"url": "https://192.0.2.1/v3"},
    }
    api = Api(settings, Network([data]), queue, Pace(60, 100, 0))
    fuzz.begin()
    try:
        await api.deliver()
    except LinkError as error:
        assert "hunter2" not in str(error)
    fuzz.end()
    assert queue.released == 1 and queue.acknowledged < 2
    assert type(api.rejected) is int and api.rejected >= 0
    # What has hundreds of brackets may be refused unread: it would take all memory.
    if rules and rules[1] is not None and data.count(b"[") + data.count(b"{") < 100:
        status, body, _ = rules
        over = accepts(body) if status == 200 else status == 400
        assert queue.acknowledged == over, (status, body)
    return "acknowledged" if queue.acknowledged else "kept"


async def test_a_feed_is_acknowledged_by_a_receipt_and_by_nothing_else():
    await fuzz.each("receipts", receipt, check_receipt, 131072)
