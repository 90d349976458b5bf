"""Mutated datagrams: time servers' and name servers' answers are believed, or passed over."""

import random
import struct

import fuzz
from firmware.link import dns, sntp

HEAP = "192K"
TIMEOUT_S = 100

# SNTP

COOKIE = b"8 random"
YEARS_S = (3976214400, 4294967295, 0, 1, 2147483648, 3913056000)  # 2026, around 2036, 1968, 2024


def time_answer() -> bytes:
    if not random.randrange(20):
        return fuzz.noise()
    got = random.choice(YEARS_S)
    sent = got + random.choice((0, 0, 1, 1, 4, 5, -1)) & 0xFFFFFFFF
    stamps = struct.pack("!4I", got, random.getrandbits(30), sent, random.getrandbits(30))
    head = random.choice((b"\x24\2",) * 4 + (b"\x1c\x0f", b"\xe4\1", b"\x23\1", b"\x24\0"))
    whole = head + bytes(22) + COOKIE + stamps
    return fuzz.mutated(whole, (whole,), (COOKIE, bytes(8), b"\xff" * 8))


def stamp_ms(packet, at):
    """An NTP timestamp (RFC 4330, section 3) in ms since 1970."""
    seconds, fraction = struct.unpack_from("!II", packet, at)
    if seconds < 1 << 31:
        seconds += 1 << 32
    return (seconds - 2208988800) * 1000 + fraction * 1000 // (1 << 32)


async def check_time(packet):
    fuzz.begin()
    found = sntp.decode(packet, COOKIE)
    if found is None:
        return "refused"
    assert len(packet) >= 48 and packet[24:32] == COOKIE
    assert packet[0] & 7 == 4 and packet[0] >> 6 != 3 and 0 < packet[1] < 16
    got, sent = stamp_ms(packet, 32), stamp_ms(packet, 40)
    if packet[32:40] == bytes(8):
        got = sent
    assert got <= found <= sent <= got + 5000, (got, found, sent)
    return "believed"


async def test_whatever_a_time_server_answers_is_believed_or_passed_over():
    await fuzz.each("SNTP", time_answer, check_time, 2048)


# DNS

QUERY = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\4mqtt\4csip\2io\0\0\1\0\1"
NAMES = (b"\xc0\x0c", b"\xc0\x0c", b"\4edge\xc0\x11", b"\4mqtt\4csip\2io\0", b"\1a\1b\0", b"\0")
TYPES = (b"\0\1\0\1",) * 3 + (b"\0\5\0\1", b"\0\x1c\0\1", b"\0\1\0\3")
DNS_TOKENS = NAMES + (b"\xc0\x0c" * 40, b"\xc0\x1e", b"\xff\xff", b"\x3f" + b"x" * 63, b"\0\0")


def record() -> bytes:
    kind = random.choice(TYPES)
    data = random.choice(NAMES) if kind[1] == 5 else b"\xc0\0\2" + bytes((random.getrandbits(3),))
    return random.choice(NAMES) + kind + b"\0\0\1\x2c" + struct.pack("!H", len(data)) + data


def name_answer() -> bytes:
    if not random.randrange(20):
        return fuzz.noise()
    records = [record() for _ in range(random.randrange(5))]
    flags = random.choice((b"\x81\x80",) * 6 + (b"\x83\x80", b"\x81\x83", b"\x81\x82", b"\x01\0"))
    head = QUERY[:2] + flags + b"\0\1\0" + bytes((len(records),)) + bytes(4) + QUERY[12:]
    tail = b"".join(records)
    if random.randrange(4):  # mostly behind the question, or nearly all would be passed over
        return head + fuzz.mutated(tail, NAMES, DNS_TOKENS)
    return fuzz.mutated(head + tail, (head + tail,), DNS_TOKENS)


async def check_name(packet):
    packet = packet[:512]
    fuzz.begin()
    found = dns.decode(packet, QUERY)
    if found is None:
        return "passed over"
    assert packet[:2] == QUERY[:2] and packet[12 : len(QUERY)].lower() == QUERY[12:]
    assert packet[2] & 0x80
    if type(found) is int:
        assert 0 <= found < 18
        return "no address"
    address = bytes([int(part) for part in found.split(".")])
    assert len(address) == 4 and address in packet[len(QUERY) :]
    assert packet[3] & 15 == 0
    return "an address"


async def test_whatever_a_name_server_answers_is_believed_or_passed_over():
    await fuzz.each("DNS", name_answer, check_name, 32768)
