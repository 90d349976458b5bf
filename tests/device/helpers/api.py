"""A platform whose API gives one scripted answer after another, and an Api that asks it."""

import json

from firmware.link.https_api import Api
from firmware.link.pacing import Pace
from model import Time, make_queue
from peers import HOST, NETWORK, Peer

KEY = ("_key_1", "hunter2")


class Platform:
    """Answers each request with the next of `answers`: (status, body) or bytes."""

    def __init__(self, *answers, names=("temperature", "humidity"), compact=False):
        self.answers = list(answers)
        self.requests = []  # (request line, body)
        self.heads = []
        self.peer = Peer(self._script)
        self.time = Time()
        self.queue = make_queue(self.time, names, compact=compact)
        self.pace = Pace(6000, 10, 0)
        settings = {
            "device": {"key_id": KEY[0], "key_secret": KEY[1]},
            "https": {"url": "http://%s:%d/v3/" % (HOST, self.peer.port)},
        }
        self.api = Api(settings, NETWORK, self.queue, self.pace)

    async def _script(self, conn):
        while True:
            try:
                head = await conn.read_until(b"\r\n\r\n")
            except (EOFError, OSError):  # it may leave before it has read all
                return
            self.heads.append(head)
            size = 0
            if b"Content-Length: " in head:
                size = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
            line = head.split(b" HTTP/1.1\r\n")[0].decode()
            self.requests.append((line, await conn.read(size)))
            answer = self.answers.pop(0) if self.answers else (200, b"{}")
            if isinstance(answer, tuple):
                status, body = answer
                head = b"HTTP/1.1 %d x\r\nContent-Type: application/json\r\n" % status
                answer = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
            await conn.write(answer)
            if not answer.startswith(b"HTTP") or answer.endswith(b"cut"):
                return


def receipt(accepted, rejected=0):
    return 200, json.dumps({"accepted": accepted, "rejected": rejected}).encode()
