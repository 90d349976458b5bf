"""Names to addresses, without holding up the program as the port's own `getaddrinfo` does.

A look-up is one question for an IPv4 address over UDP (RFC 1035) to the name servers that are
handed in. Of the names outside the DNS only `localhost` is known.
"""

import asyncio
import errno
import os
import select
import socket
import struct
import time

from micropython import const

from firmware.base.log import Log
from firmware.base.rare import rare
from firmware.base.url import is_address, parse_host
from firmware.link import LinkError, deadlines
from firmware.link.reasons import entry

_PORT = const(53)
_SERVERS = const(3)  # as many as a resolv.conf may name (resolv.conf(5), MAXNS)
_POLL_MS = const(20)
_KNOWN = const(8)  # hosts that are remembered: a configuration names about three

_PACKET = const(512)  # RFC 1035, section 4.2.1: an answer over UDP is not longer
_RECORDS = const(16)  # of an answer that are looked at
_PARTS = const(32)  # labels and pointers that a name may be made of
_NAME = const(255)  # section 3.1: bytes of a name

_A = const(1)
_CNAME = const(5)
_IN = const(1)

_NO_SUCH_NAME = const(3)
_CUT = const(16)  # our own, above the RCODEs, which have four bits
_BROKEN = const(17)
_REFUSALS = const(
    """
1 it does not understand the question
2 it failed
4 it does not answer such questions
5 it refused to answer
16 it cut its answer short
17 it gave an answer that cannot be read
"""
)


class Resolver:
    """Finds the addresses of hosts, and remembers where each was last reached: name servers may be
    silent, or deny the name, as many routers do while their own way out is down.

    `servers()` gives the name servers, `address` or `address:port`, the preferred one first. It is
    called before every look-up, because each Wi-Fi network has its own. `more`: others, which come
    after the preferred one.
    """

    @rare
    def __init__(
        self,
        servers,
        again_ms: int = deadlines.DNS_AGAIN_MS,
        silence_ms: int = deadlines.DNS_SILENCE_MS,
        more: "list | None" = None,
    ):
        self._servers = servers
        self._more = more or []
        self._again_ms = again_ms
        self._silence_ms = silence_ms
        self.known = {}

    @rare
    async def find(self, host: str, port: int, kind: int) -> tuple:
        """(family, kind, proto, found, address), as `getaddrinfo` has them, but with the address
        as text for `remember`. Raises LinkError if there is none.
        """
        found = host.lower().rstrip(".")
        if found == "localhost":
            found = "127.0.0.1"
        elif not is_address(found):
            found = await self.address(found)
        try:
            # Looks nothing up: it is an address.
            family, kind, proto, _, address = socket.getaddrinfo(found, port, 0, kind)[0]
        except OSError as e:
            raise LinkError("the address %s cannot be used (%s)" % (found, e))
        return family, kind, proto, found, address

    @rare
    async def address(self, host: str) -> str:
        """The IPv4 address of a host whose name is in lower case. Raises LinkError."""
        query = _query(host)
        try:
            found = await self._ask(query)
            if isinstance(found, str):
                return found
            why = "does not exist" if found == _NO_SUCH_NAME else "has no IPv4 address"
        except LinkError as error:
            why = "cannot be resolved: %s" % error
        found = self.known.get(host)
        if found is None:
            raise LinkError("the name %s %s" % (host, why))
        Log("dns").warning("the name %s %s; its last address, %s, is used", host, why, found)
        return found

    @rare
    def remember(self, host: str, found: str):
        """The host was reached at the address that `find` gave."""
        host = host.lower().rstrip(".")
        if host not in self.known and len(self.known) >= _KNOWN:
            self.known.popitem()
        self.known[host] = found

    @rare
    async def _ask(self, query):
        """What `decode` made of the first answer that settles it; LinkError if none does."""
        failure = "no name server is known; is the network joined?"
        waiting = []  # (socket, server): the next one to ask comes first
        poll = select.poll()
        try:
            servers = self._servers()
            for server in (servers[:1] + self._more + servers[1:])[:_SERVERS]:
                try:
                    waiting.append((_open(server), server))
                    poll.register(waiting[-1][0], select.POLLIN)
                except (OSError, ValueError) as e:
                    failure = "the name server %s: %s" % (server, e)
            began = due = time.ticks_ms()
            while waiting:
                now = time.ticks_ms()
                if time.ticks_diff(now, began) >= self._silence_ms:
                    failure = "no answer from the name server "
                    raise LinkError(failure + ", ".join([server for _, server in waiting]))
                asked = None
                if time.ticks_diff(now, due) >= 0:
                    asked = waiting.pop(0)
                    waiting.append(asked)
                    due = time.ticks_add(now, self._again_ms)
                heard = [event[0] for event in poll.poll(0)]
                for entry in list(waiting):
                    sock, server = entry
                    try:
                        if entry is asked:
                            sock.send(query)
                        found = _hear(sock, query) if sock in heard else None
                    except (OSError, LinkError) as e:
                        failure = "the name server %s: %s" % (server, e)
                        waiting.remove(entry)
                        poll.unregister(sock)
                        sock.close()
                        due = now
                        continue
                    if found is not None:
                        return found
                await asyncio.sleep_ms(_POLL_MS)
            raise LinkError(failure)
        finally:
            for sock, _ in waiting:
                sock.close()


@rare
def _open(server: str):
    """A socket that hears nobody but the server, from a port that the system draws."""
    host, port = parse_host(server, _PORT)
    if not is_address(host):
        raise ValueError("it is no IPv4 address")
    family, kind, proto, _, address = socket.getaddrinfo(host, port, 0, socket.SOCK_DGRAM)[0]
    sock = socket.socket(family, kind, proto)
    try:
        sock.setblocking(False)
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


@rare
def _hear(sock, query):
    """None if there is nothing to it; LinkError or OSError if it is the server's last word."""
    try:
        packet = sock.recv(_PACKET)
    except OSError as e:
        if e.errno == errno.EAGAIN:  # what came was damaged
            return None
        raise
    if not packet:  # an ESP32's socket hears nothing more after it
        raise LinkError("its answer is empty")
    found = decode(packet, query)
    if isinstance(found, int) and found not in (0, _NO_SUCH_NAME):
        raise LinkError(entry(_REFUSALS, found) or "it answered with the error %d" % found)
    return found


@rare
def _query(host: str) -> bytes:
    """The packet that asks for a host's address, with an id that nobody can guess."""
    query = bytearray(os.urandom(2) + b"\x01\0\0\x01\0\0\0\0\0\0")  # recursion desired
    for label in host.encode().split(b"."):
        if not 0 < len(label) < 64:
            raise LinkError("%s is no name of a host" % host)
        query.append(len(label))
        query.extend(label)
    return bytes(query) + b"\0\0\x01\0\x01"


@rare
def decode(packet: bytes, query: bytes):
    """The address in the answer to a query, dotted; or an int, the answer's RCODE without one;
    None if it is no answer to this query. Aliases (CNAME) may come in any order.
    """
    asked = query[12:]
    if packet[:2] != query[:2] or packet[12 : len(query)].lower() != asked:
        return None
    if packet[2] & 0xF8 != 0x80:  # a response to a standard query
        return None
    if packet[3] & 15:
        return packet[3] & 15
    code = _CUT if packet[2] & 2 else 0
    aliases = {}
    addresses = {}
    at = len(query)
    try:
        for _ in range(min(packet[6] << 8 | packet[7], _RECORDS)):
            owner, at = _name(packet, at)
            kind, group, _, _, length = struct.unpack_from("!5H", packet, at)
            at += 10
            if group == _IN and kind == _CNAME:
                aliases[owner] = _name(packet, at)[0]
            # Of several any: the first one may be that of a server which is down.
            elif (
                group == _IN
                and kind == _A
                and length == 4
                and (owner not in addresses or os.urandom(1)[0] & 1)
            ):
                addresses[owner] = "%d.%d.%d.%d" % struct.unpack_from("!4B", packet, at)
            at += length
    except (IndexError, ValueError):
        code = code or _BROKEN
    name = asked[:-4]
    while name in aliases:
        name = aliases.pop(name)  # so a circle of them has an end
    return addresses.get(name, code)


@rare
def _name(packet: bytes, at: int) -> tuple:
    """The name that begins here, in lower case and without pointers, and where it ends. Raises
    IndexError or ValueError if it is none; a circle of pointers has too many parts.
    """
    name = bytearray()
    end = 0
    for _ in range(_PARTS):
        size = packet[at]
        if size >= 0xC0:  # RFC 1035, section 4.1.4
            end = end or at + 2
            at = (size & 63) << 8 | packet[at + 1]
            continue
        name.extend(packet[at : at + 1 + size].lower())
        at += 1 + size
        if not size:
            return bytes(name), end or at
        if size > 63 or len(name) > _NAME:
            break
    raise ValueError("no name")
