"""Mutated input for the parsers of what comes from the network, without sockets.

A family of streams has a number of them, here, so that their sum can be seen. Stream n of a family
is always the same one; FUZZ_SEED=7 makes others, and FUZZ_TIMES=10 so many times as many. What
fails tells the family, the stream's number and its bytes. That nothing needs memory without bound
is shown twice: the files run in a small heap, and of one stream in sixteen it is measured what it
allocates, with the collector off, so that what is dropped at once counts as well.
"""

import gc
import os
import random

from firmware.base.log import Log
from firmware.link import LinkError
from firmware.link.stream import Stream

Log._write = lambda *_: None  # thousands of lines would tell nothing

STREAMS = {
    "CONNACK": 12000,
    "MQTT": 72000,
    "upgrade": 10000,
    "WebSocket": 40000,
    "HTTP": 24000,
    "receipts": 10000,
    "states": 8000,
    "commands": 10000,
    "configurations": 600,
    "SNTP": 20000,
    "DNS": 20000,
}

_SEED = int(os.getenv("FUZZ_SEED") or 1)
_TIMES = int(os.getenv("FUZZ_TIMES") or 1)
_MEASURED = 16  # one stream in so many
_ODD_BYTES = b'\x00\x01\x02\x7d\x7e\x7f\x80\x81\x82\xc0\xfe\xff\r\n :;{}[]"0\\'


class End(LinkError):
    """The stream's own end, told from what a parser has against it."""


class Served(Stream):
    """A Stream of given bytes, in pieces of at most `most`, and then End."""

    def __init__(self, data, most=1 << 20):
        self.data = memoryview(data)
        self.at = 0
        self._most = most
        self.written = bytearray()
        self.closed = False
        begin()

    async def read_into(self, view):
        n = min(len(view), self._most, len(self.data) - self.at)
        if n == 0:
            raise End("the connection was closed by the other side")
        view[:n] = self.data[self.at : self.at + n]
        self.at += n
        return n

    async def write(self, data):
        self.written.extend(data)

    def close(self):
        self.closed = True


_begun = 0
_ended = 0


def begin():
    """What is allocated from here on is the parser's: what a check prepares does not count."""
    global _begun, _ended
    if not gc.isenabled():
        _begun, _ended = gc.mem_alloc(), 0


def end():
    """What is allocated from here on is the check's own again."""
    global _ended
    if not gc.isenabled():
        _ended = gc.mem_alloc()


def pieces() -> int:
    """Bytes that come at a time: all, or few enough to part what belongs together."""
    if not gc.isenabled():  # each piece costs; not here
        return 1 << 20
    return random.choice((1, 2, 3, 11, 64, 1 << 20, 1 << 20, 1 << 20))


def mutated(data, splices, tokens) -> bytes:
    """`data`, damaged up to four times; `splices` to take pieces of, `tokens` to put in."""
    data = bytearray(data)
    for _ in range(random.choice((0, 1, 1, 1, 2, 2, 3, 4))):
        at = random.randrange(len(data) + 1)
        kind = random.randrange(12)
        if kind < 2 and at < len(data):
            data[at] ^= 1 << random.randrange(8)
        elif kind < 4 and at < len(data):
            data[at] = random.choice(_ODD_BYTES)
        elif kind == 4 and at < len(data):
            data[at] = random.getrandbits(8)
        elif kind == 5:
            data = data[:at]
        elif kind == 6:  # cut out
            data = data[:at] + data[at + random.randrange(1, 9) :]
        elif kind == 7:  # twice
            data = data[:at] + data[max(0, at - random.randrange(1, 30)) :]
        elif kind == 8:
            data = data[:at] + bytes(random.randrange(5)) + data[at:]
        elif kind == 9:  # splice
            other = random.choice(splices)
            data = data[:at] + other[random.randrange(len(other) + 1) :]
        else:
            token = random.choice(tokens)
            data = data[:at] + token + data[at + random.choice((0, len(token))) :]
    return bytes(data)


def noise() -> bytes:
    return bytes([random.getrandbits(8) for _ in range(random.randrange(60))])


async def each(family, make, check, most_allocated=None):
    """`await check(make())`, for every stream of the family.

    `check` returns a word for how it ended; that nearly all end in one way would be no good test.
    `most_allocated`: bytes that one may allocate, all together; not measured without it.
    """
    count = STREAMS[family] * _TIMES
    largest = 0
    ends = {}
    for number in range(count):
        random.seed((_SEED * 1000003 + number) * 2654435761 & 0x7FFFFFFF)
        data = make()
        try:
            if number % _MEASURED or most_allocated is None:
                word = await check(data)
                ends[word] = ends.get(word, 0) + 1
                continue
            gc.collect()
            gc.disable()
            try:
                begin()
                await check(data)
                allocated = (_ended or gc.mem_alloc()) - _begun
            finally:
                gc.enable()
            largest = max(largest, allocated)
            if allocated > most_allocated:
                raise AssertionError("allocates %d bytes" % allocated)
        except BaseException:
            print("%s: stream %d of FUZZ_SEED=%d: %r" % (family, number, _SEED, data))
            raise
    shown = ", ".join(["%d %s" % (ends[word], word) for word in sorted(ends)])
    print("%s: %d streams (%s); %d bytes at most" % (family, count, shown, largest))
    assert len(ends) > 1 and max(ends.values()) < count * 0.9, "streams that prove little"
