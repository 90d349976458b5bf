"""What is refused before a byte is fetched, with words that say what to do."""

import asyncio

import firmware
import releases
from firmware.base import uptime
from firmware.update import manifest
from pieces import Pieces

TIMEOUT_S = 180
HEAP = "512K"


def refused(tree, kind="files", chip="unix"):
    try:
        manifest.check(tree, kind, chip)
    except ValueError as error:
        assert len(str(error)) <= 160, error
        return str(error)
    return None


async def wrong(tree, key=releases.KEY):
    try:
        await manifest.verify(tree, manifest.modulus_of(key))
    except ValueError as error:
        return str(error)
    return None


def plain(**changes):
    tree = {
        "url": "https://api.csip.io/releases/x",
        "version": "0.3.0",
        "kind": "files",
        "chip": "unix",
        "size": 5,
        "sha256": "0" * 64,
        "reads": [1],
        "writes": 1,
        "signature": "",
    }
    tree.update(changes)
    return tree


def test_a_newer_release_for_this_device_is_taken():
    assert refused(plain()) is None
    assert refused(plain(chip="any")) is None
    assert refused(plain(version="0.1.0.1")) is None
    assert refused(plain(version="0.10")) is None
    assert refused(plain(kind="app", chip="ESP32"), "app", "ESP32") is None
    assert refused(plain(reads=[1, 2], older=False)) is None


def test_what_is_not_for_this_device_is_refused():
    for changes, words in (
        ({"kind": "app"}, 'of the kind "app", and this device runs from "files"'),
        ({"chip": "ESP32"}, "for the chip ESP32, and this is unix"),
        ({"version": firmware.VERSION}, "runs version %s already" % firmware.VERSION),
        ({"version": firmware.VERSION + ".0"}, "already"),
        ({"version": "0.0.9"}, "`csipio release --older`"),
        ({"reads": [2, 3]}, "cannot read what this version keeps on flash (layout 1)"),
        ({"reads": [1, 2], "writes": 2}, "no way back from it: this version cannot read layout 2"),
        ({"url": "http://api.csip.io/x"}, "expected https://"),
    ):
        assert words in (refused(plain(**changes)) or ""), (changes, refused(plain(**changes)))
    assert refused(plain(version="0.0.9", older=True)) is None
    assert "chip" in refused(plain(kind="app", chip="any"), "app", "ESP32")


def test_a_manifest_that_is_none_is_refused():
    for name in plain():
        tree = plain()
        del tree[name]
        assert ("manifest: " + name) in refused(tree), name
        for value in (None, True, 1.5, {}):
            assert ("manifest: " + name) in refused(plain(**{name: value})), (name, value)
    for changes in (
        {"version": "1.0\nsize 9"},
        {"version": ""},
        {"version": "1..2"},
        {"version": "1.2.3.4.5"},
        {"version": "100000"},
        {"chip": "unix\nversion 9"},
        {"chip": ""},
        {"sha256": "0" * 63},
        {"sha256": "G" * 64},
        {"size": 0},
        {"size": -1},
        {"reads": []},
        {"reads": [1, "2"]},
        {"reads": [True]},
        {"kind": "other"},
    ):
        assert "out of its range" in refused(plain(**changes)), changes
    assert "older" in refused(plain(older=1))


async def test_the_signature_is_of_the_whole_text_and_of_this_key():
    tree = releases.release(b"image")
    assert await wrong(tree) is None
    assert "not of this device's key" in await wrong(dict(tree, url="https://other/x", older=True))
    assert await wrong(dict(tree, url="https://elsewhere.example/x")) is None
    for name, value in (
        ("version", "0.3.1"),
        ("size", 6),
        ("sha256", "0" * 64),
        ("reads", [1, 2]),
        ("writes", 2),
        ("chip", "any"),
        ("kind", "romfs"),
    ):
        assert "signature" in await wrong(dict(tree, **{name: value})), name
    for text in (
        "",
        "????",
        tree["signature"][:-4],
        releases.KEY,
        releases.encoded(0),
        releases.encoded(1),
    ):
        assert "signature" in await wrong(dict(tree, signature=text)), text
    other = releases.encoded(releases.number(releases.KEY) - 2)
    assert "signature" in await wrong(tree, other)
    for key in ("", "x", releases.KEY[4:], releases.encoded(0)):
        assert "`csipio keys show`" in await wrong(tree, key), key
    # The same number, one modulus further on.
    more = releases.number(tree["signature"]) + releases.number(releases.KEY)
    if more < 1 << 3072:
        assert "signature" in await wrong(dict(tree, signature=releases.encoded(more)))


async def test_the_loop_goes_on_while_it_is_checked():
    tree = releases.release(b"image")
    steps = 0
    done = asyncio.create_task(wrong(tree))
    while not done.done():
        await asyncio.sleep_ms(0)
        steps += 1
    assert steps > 16, "a turn for the others after each multiplication"
    assert uptime.ms() >= 0


async def test_it_is_checked_in_a_heap_of_small_pieces():
    """A number and its square would be 1.2 KB in two blocks, a number alone is 384 bytes."""
    tree = releases.release()
    with Pieces(450):
        assert await wrong(tree) is None
