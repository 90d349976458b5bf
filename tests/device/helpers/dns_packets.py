"""Answers of name servers (RFC 1035) as the standard writes them, and who gives them."""

import struct

from firmware.link.dns import Resolver, _query
from firmware.link.stream import within
from peers import (
    HOST,
)

NAME = "mqtt.csip.io"


A, NS, CNAME, AAAA = 1, 2, 5, 28


ANSWERED = 0x8180  # a response, recursion desired and available


BROKEN = 17  # what `decode` calls an answer that cannot be read


POINTER = b"\xc0\x0c"  # to the question's name


QUERY = _query(NAME)


def wire(name):
    return b"".join(bytes((len(part),)) + part.encode() for part in name.split(".")) + b"\0"


def record(owner, kind, data, group=1, ttl=300):
    return owner + struct.pack("!HHIH", kind, group, ttl, len(data)) + data


def a(address, owner=POINTER):
    return record(owner, A, bytes(int(part) for part in address.split(".")))


def reply(query, *records, flags=ANSWERED, count=None, question=None, number=None):
    """The datagram that answers a query."""
    return (
        (query[:2] if number is None else number)
        + struct.pack("!HHHHH", flags, 1, len(records) if count is None else count, 0, 0)
        + (query[12:] if question is None else question)
        + b"".join(records)
    )


def silent(_):
    return ()


def says(address):
    return lambda data: (reply(data, a(address)),)


def answers_with(flags, *records):
    return lambda data: (reply(data, *records, flags=flags),)


def asking(*peers, again_ms=60, silence_ms=180):
    """A resolver that asks these; ports may stand for peers."""
    ports = [peer if isinstance(peer, int) else peer.port for peer in peers]
    return Resolver(lambda: ["%s:%d" % (HOST, port) for port in ports], again_ms, silence_ms)


async def address(resolver, name=NAME):
    return await within(5000, "it", resolver.address(name))
