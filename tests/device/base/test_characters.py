"""No text costs memory for good: MicroPython keeps a name of each character of some."""

import gc

from firmware.base import kinds, log
from firmware.base.characters import characters
from firmware.base.url import parse_host, parse_url
from firmware.points import json_text


def strange(first, count=300):
    """A text of as many characters that nobody has used before."""
    made = bytearray()
    for code in range(first, first + count):
        made += bytes((0xE0 | code >> 12, 0x80 | code >> 6 & 63, 0x80 | code & 63))
    return made.decode()


def kept(use, *texts):
    """Bytes that are alive after a use of the last text, and were not after one of the first."""
    use(texts[0])
    gc.collect()
    before = gc.mem_alloc()
    use(texts[1])
    gc.collect()
    return gc.mem_alloc() - before


def refused(use, text):
    try:
        use(text)
    except ValueError:
        pass


def test_a_text_is_taken_apart():
    assert list(characters("a°\u2028")) == ["a", "°", "\u2028"]
    assert list(characters("")) == []


def test_a_text_that_is_looked_at_leaves_nothing_behind():
    uses = (
        lambda text: kinds.fits("text", (1, 1000), text),
        lambda text: kinds.fits("property", (1, 1000), "a" * 290 + text[-1:]),
        lambda text: refused(parse_url, "https://host/" + text),
        lambda text: refused(lambda text: parse_host(text, 80), text[:80]),
        lambda text: log.harmless(text),
        lambda text: log.harmless("\n" + text[:200]),
        lambda text: json_text.encode([text], 0),
        lambda text: json_text.encode([text, b"\xed\xa0\x80".decode()], 0),
    )
    first = 0x4E00
    for number, use in enumerate(uses):
        left = kept(use, strange(first), strange(first + 300))
        assert left < 200, "%d: %d bytes" % (number, left)
        first += 600


def test_half_a_surrogate_pair_is_written_as_json_can():
    halves = b"a\xed\xa0\x80\xed\x9f\xbf\xed\xbf\xbf".decode()
    assert json_text.encode(halves, 0) == b'"a\\ud800\xed\x9f\xbf\\udfff"'
