"""The time from an SNTP server (RFC 4330), to the millisecond.

The server's two timestamps lie between our sending and our receiving; the middle of theirs is
taken to be the middle of ours, which is right to half of the difference between the two ways.
"""

import errno
import os
import socket
import struct

from micropython import const

from firmware.link import LinkError, deadlines
from firmware.link.stream import close, opened, readable
from firmware.times.calendar import EARLIEST_MS

# RFC 4330, section 4: the NTP era begins in 1900, and the next one in 2036. Seconds whose highest
# bit is not set belong to the next one.
_UNIX_S = 2208988800
_ERA_S = 1 << 32
_MODE_CLIENT = const(0x23)  # version 4
_MODE_SERVER = const(4)


async def query(names, host: str, port: int, uptime_ms) -> tuple:
    """Ask once; return (ms since 1970, at which uptime). Waits for the answer without end. Raises
    LinkError. `names`: a dns.Resolver.
    """
    family, kind, proto, found, address = await names.find(host, port, socket.SOCK_DGRAM)
    cookie = os.urandom(8)
    request = bytearray(48)
    request[0] = _MODE_CLIENT
    request[40:48] = cookie
    sock = opened(family, kind, proto)
    try:
        sock.connect(address)
        sent = uptime_ms()
        sock.send(request)
        while True:
            await readable(sock)
            received = uptime_ms()
            try:
                packet = sock.recv(64)
                if not packet:  # an ESP32's socket hears nothing more after it
                    raise OSError(errno.ECONNABORTED)
                utc = decode(packet, cookie)
            except OSError as e:
                if e.errno == errno.EAGAIN:
                    continue
                raise
            if utc is not None:
                names.remember(host, found)
                return utc, (sent + received) // 2
    except OSError as e:
        raise LinkError("the time server %s does not answer (%s)" % (host, e))
    finally:
        close(sock)


def decode(packet: bytes, cookie: bytes):
    """Milliseconds since 1970 half-way between receiving and answering; None if it is no answer.

    RFC 4330, section 5, asks for the server's mode, a stratum of 1 to 15 (0 is a refusal), clocks
    that are in step, our own timestamp sent back (here a random cookie), and timestamps that
    belong together. The timestamp of receiving may be missing.
    """
    if len(packet) < 48 or packet[24:32] != cookie:
        return None
    if packet[0] & 7 != _MODE_SERVER or packet[0] >> 6 == 3 or not 1 <= packet[1] <= 15:
        return None
    got_s, got_f, sent_s, sent_f = struct.unpack_from("!4I", packet, 32)
    if not sent_s:
        return None
    sent = _ms(sent_s, sent_f)
    got = _ms(got_s, got_f) if got_s or got_f else sent
    if got < EARLIEST_MS:
        return None
    # The server cannot have kept the question for longer than we waited.
    return (got + sent) // 2 if 0 <= sent - got <= deadlines.SNTP_MS else None


def _ms(seconds: int, fraction: int) -> int:
    if not seconds & 0x80000000:
        seconds += _ERA_S
    return (seconds - _UNIX_S) * 1000 + (fraction * 1000 >> 32)
