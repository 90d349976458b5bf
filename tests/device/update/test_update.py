"""An update, in a slot, in half a ROMFS partition, in a file and as a set of files: done, gone
back on, cut at every flash operation.
"""

import gc
import os
import sys

import flash
import releases
from firmware.base import uptime
from firmware.link import LinkError
from firmware.update import start
from updates import SLOT_BLOCKS, Updated

TIMEOUT_S = 600
HEAP = "4M"
APP = b"\xe9" + b"new" * 4000
FILES = releases.image(
    {"firmware/app.mpy": b"a" * 5000, "firmware/x/y.mpy": b"b" * 700, "lib/z.mpy": b""}
)
ROM = releases.rom({"firmware/app.mpy": b"new" * 4000, "firmware/x.mpy": b"", "lib/z.mpy": b"z"})
KINDS = ("app", "romfs", "image", "files")  # "image": the unix port's ROMFS, in files
IMAGES = {"app": APP, "romfs": ROM, "image": ROM, "files": FILES}
NEW = {"app": "ota_1", "romfs": "slot.b", "image": "slot.b", "files": "firmware.a"}
FIRST = {"app": "ota_0", "romfs": "", "image": "", "files": ""}
RELEASED = {
    "app": {"kind": "app", "chip": "ESP32"},
    "romfs": {"kind": "romfs", "chip": "any"},
    "image": {"kind": "romfs", "chip": "any"},
    "files": {"kind": "files", "chip": "unix"},
}


def tree(kind, **changes):
    made = dict(RELEASED[kind])
    made.update(changes)
    return releases.release(IMAGES[kind], **made)


async def test_it_is_fetched_in_ranges_tried_and_confirmed_once():
    for kind in KINDS:
        with Updated(kind, IMAGES[kind]) as device:
            device.hurried()
            assert await device.start(tree(kind)) == "restart"
            ranges = [headers["Range"] for headers in device.asked]
            size = len(IMAGES[kind])
            assert ranges == [
                "bytes=%d-%d" % (at, min(at + 4096, size) - 1) for at in range(0, size, 4096)
            ]
            assert await device.start() == "ended"
            assert device.result == "confirmed" and device.reasons[-1] == ""
            assert await device.start() == "ended"
            assert device.starts == [FIRST[kind], NEW[kind], NEW[kind]]
            assert device.partition.marks == (kind == "app")
            left = set(os.listdir()) - {"firmware.set", NEW[kind]}
            assert not left, left
            assert (NEW[kind] in os.listdir()) == (kind in ("image", "files"))
            if kind == "files":
                with open("firmware.a/firmware/x/y.mpy", "rb") as file:
                    assert file.read() == b"b" * 700
                assert os.stat("firmware.a/lib/z.mpy")[6] == 0


async def test_the_next_one_takes_the_other_place():
    for kind in KINDS:
        with Updated(kind, IMAGES[kind]) as device:
            device.hurried()
            for _ in range(2):
                assert await device.start(tree(kind)) == "restart"
                assert await device.start() == "ended"
                device.partition.images["ota_0"] = APP
            places = {
                "app": ["ota_0", "ota_1", "ota_1", "ota_0"],
                "romfs": ["", "slot.b", "slot.b", "slot.a"],
                "image": ["", "slot.b", "slot.b", "slot.a"],
                "files": ["", "firmware.a", "firmware.a", "firmware.b"],
            }
            assert device.starts == places[kind]
            assert device.result == "confirmed"


async def test_a_trial_has_one_start_and_only_a_power_cut_gives_it_another():
    for kind in KINDS:
        for cause, starts in (("watchdog", 1), ("failure", 1), ("power-on", 3)):
            with Updated(kind, IMAGES[kind]) as device:
                device.hurried()
                device.sent = False  # so that nothing confirms it
                assert await device.start(tree(kind)) == "restart"
                for _ in range(20):
                    ended = await device.start(
                        until=lambda: len(device.starts) % 2 == 0 and device._ticks > 5
                    )
                    if ended == "ended":
                        break
                    if ended == "stopped":
                        device.power_off()
                        device.cause = cause
                assert device.starts.count(NEW[kind]) == starts, (kind, cause, device.starts)
                assert device.starts[-1] == FIRST[kind]
                assert device.result == "went back: it did not keep running (%s)" % cause
                assert "update.json" not in os.listdir()


async def test_one_that_the_platform_does_not_hear_or_whose_tasks_die_goes_back():
    for kind in KINDS:
        for attribute, value, words in (
            ("sent", False, "the platform was not reached with it in time"),
            ("asked_for", False, "the platform was not reached with it in time"),
            ("restarts", None, "its tasks did not keep running"),
        ):
            with Updated(kind, IMAGES[kind]) as device:
                device.hurried()
                setattr(device, attribute, value if value is not None else 0)
                assert await device.start(tree(kind)) == "restart"
                real = uptime.ms

                def later(device=device, dies=attribute == "restarts", real=real):
                    device.restarts += dies
                    return real() + 1000 * device._ticks

                uptime.ms = later
                try:
                    assert await device.start() == "restart"
                finally:
                    uptime.ms = real
                assert await device.start() == "ended"
                assert device.starts == [FIRST[kind], NEW[kind], FIRST[kind]]
                assert device.result == "went back: " + words and device.reasons[-1] == words


async def test_what_broke_off_goes_on_where_it_was():
    """Also after a restart: what is on flash is not fetched again, but hashed."""
    size = 20 * 4096 - 5
    for kind in KINDS:
        image = b"\xe9" * size
        if kind == "files":
            image = releases.image({"firmware/a": b"x" * size})
        elif kind != "app":
            parts = {"lib/z": b"z" * (size - len(ROM)), "firmware/app.mpy": b"new" * 4000}
            image = releases.rom(parts)
        with Updated(kind, image) as device:
            device.hurried()
            device.chips.slots["ota_1"] = flash.Flash(24)
            rom = device.chips.slots["romfs"]
            device.chips.slots["romfs"] = flash.Flash(48, bytes(rom.data) + bytes(31 * 4096))
            device.chips.all = [device.chips.disk] + list(device.chips.slots.values())
            made = releases.release(image, **RELEASED[kind])
            device.partition.images["ota_1"] = image
            device.answers = [None] * 17 + [LinkError("gone")]
            ended = await device.start(made, until=lambda: len(device.asked) == 18)
            assert ended == "stopped"
            device.power_off()
            device.answers = []
            assert await device.start() == "restart"
            again = [headers["Range"] for headers in device.asked[18:]]
            first = int(again[0][6:].split("-")[0])
            # A slot's progress is noted every 64 KiB.
            assert first == (16 if kind in ("app", "romfs") else 17) * 4096, again
            assert await device.start() == "ended"
            assert device.result == "confirmed"


async def refused(device, tree):
    try:
        await device.start(tree)
    except ValueError as error:
        assert "update.json" not in os.listdir()
        return str(error)
    return None


async def test_too_large_an_image_is_refused():
    for kind in KINDS:
        slot = kind in ("app", "romfs")
        size = SLOT_BLOCKS * 4096 + 1 if slot else 1 << 20
        with Updated(kind, IMAGES[kind]) as device:
            why = await refused(device, tree(kind, size=size))
            assert why and ("slot" if slot else "buffer.flash_kib") in why, why


async def test_where_what_was_deployed_fills_more_than_its_half_nothing_is_written():
    for blocks, fits in ((SLOT_BLOCKS, True), (SLOT_BLOCKS + 1, False)):
        with Updated("romfs", ROM) as device:
            device.hurried()
            # Of as many bytes, with two of the three in front of what is counted.
            deployed = releases.rom({"firmware/app.mpy": b"old" * 3000, "lib/z": bytes(20000)})
            more = blocks * 4096 - len(deployed)
            rom = {"firmware/app.mpy": b"old" * 3000, "lib/z": bytes(20000 + more)}
            deployed = releases.rom(rom)
            assert len(deployed) == blocks * 4096
            device.chips.slots["romfs"].data[: len(deployed)] = deployed
            if fits:
                assert await device.start(tree("romfs")) == "restart"
                continue
            why = await refused(device, tree("romfs"))
            assert "the ROMFS image that runs has 36864 bytes" in why and "csipio deploy" in why
            assert device.chips.slots["romfs"].data[: len(deployed)] == deployed


async def test_a_half_that_cannot_be_mounted_is_passed_over():
    """The version before runs, whichever half that is in; and what is deployed ends an update."""
    for kind in ("romfs", "image"):
        with Updated(kind, ROM) as device:
            device.hurried()
            for half in ("slot.b", "slot.a"):
                assert await device.start(tree(kind)) == "restart"
                if kind == "romfs":
                    at = SLOT_BLOCKS * 4096 if half == "slot.b" else 0
                    device.chips.slots["romfs"].data[at] ^= 1
                else:
                    with open(half, "r+b") as file:
                        file.write(b"x")
                before = device.starts[-1]
                assert await device.start() == "ended"
                assert device.starts[-1] == before
                assert device.result == "went back: it did not keep running (update)"
                if half == "slot.b":
                    assert await device.start(tree(kind)) == "restart"
                    assert await device.start() == "ended"
                    assert device.starts[-1] == "slot.b" and device.result == "confirmed"
            for pointer in ("firmware.set", "firmware.next"):  # as `csipio deploy` does
                if pointer in os.listdir():
                    os.remove(pointer)
            await device.start()
            assert device.starts[-1] == ""


async def test_what_flash_reads_back_is_the_image_that_was_signed_or_is_not_run():
    for kind in KINDS:
        for at in (0, len(IMAGES[kind]) // 2, len(IMAGES[kind]) - 1):
            wrong = bytearray(IMAGES[kind])
            wrong[at] ^= 1
            with Updated(kind, bytes(wrong)) as device:
                device.hurried()
                assert await device.start(tree(kind)) == "ended"
                assert device.result.startswith("given up: the image is not the one that was")
                assert await device.start() == "ended"
                assert device.starts == [FIRST[kind]] * 2
                assert device.partition.boot == "ota_0"
                left = set(os.listdir()) - {NEW[kind]}
                assert not left, left


async def test_the_restart_waits_for_a_moment_without_heat():
    for kind in KINDS:
        with Updated(kind, IMAGES[kind]) as device:
            device.hurried()
            device.rests = False
            waits = [0]

            def look(device=device, waits=waits):
                waits[0] += device.told[-1].get("state") == "waiting"
                if waits[0] == 50:
                    assert "firmware.next" not in os.listdir()
                    assert device.partition.boot == "ota_0"
                    device.rests = True
                return False

            assert await device.start(tree(kind), until=look) == "restart"
            assert waits[0] >= 50


async def test_the_key_in_the_image_goes_before_that_of_the_configuration():
    """Who may send a configuration must not say whose releases an image takes."""
    other = releases.encoded(releases.number(releases.KEY) - 2)
    for image, configured, taken in (
        (releases.KEY, other, True),
        (releases.KEY, None, True),
        (other, releases.KEY, False),
        ("", releases.KEY, True),
        ("", other, False),
    ):
        with Updated("files", FILES) as device:
            device.key = configured
            start.UPDATE_KEY = image
            try:
                ended = await device.start(tree("files"), until=lambda device=device: device.told)
            finally:
                start.UPDATE_KEY = ""
            if taken:
                assert device.told[0].get("state") == "downloading", (ended, device.told)
            else:
                assert "its signature is not of this device's key" in device.result


async def cut_at(kind, at, leaves):
    """One update whose power is cut at that operation; False: there were fewer."""
    with Updated(kind, IMAGES[kind]) as device:
        device.hurried()
        # Something that must survive all of it.
        with open("config.json", "w") as file:
            file.write("kept")
        made = tree(kind)
        device.chips.cut(at, leaves)
        given = made
        struck = False
        for _ in range(12):
            try:
                ended = await device.start(given)
            except OSError:
                assert device.chips.dead, "an error without a cut"
                ended = "dead"
            given = None
            if ended == "dead":
                struck = True
                device.power_off()
                if "update.json" not in os.listdir() and not device.result:
                    given = made  # it was never begun: the platform sends it again
            elif ended == "ended":
                break
        else:
            raise AssertionError("it does not end: %s" % device.starts)
        assert device.result == "confirmed", (kind, at, leaves, device.told, device.starts)
        assert device.starts[-1] == NEW[kind] or given is made
        await device.start()
        assert device.starts[-1] == NEW[kind], (kind, at, leaves, device.starts)
        with open("config.json") as file:
            assert file.read() == "kept"
        return struck


async def test_the_power_may_go_at_every_flash_operation():
    for kind in KINDS:
        for leaves in (flash.OLD, flash.HALF, flash.NEW):
            at = 1
            while await cut_at(kind, at, leaves):
                at += 1
            assert at > 20, (kind, at)
            print("%s, %s: cut at %d operations" % (kind, leaves, at - 1))


async def kept(kind) -> int:
    """Bytes of the heap, at most, that an update keeps beside its code, before its end."""
    with Updated(kind, IMAGES[kind]) as device:
        device.hurried()
        made = tree(kind)
        gc.collect()
        before = gc.mem_alloc()
        most = [0]

        def look():
            gc.collect()
            most[0] = max(most[0], gc.mem_alloc() - before)
            return len(device.asked) == 2

        assert await device.start(made, until=look) == "stopped"
        return most[0]


# 8 KiB are allowed in all, of 32 bits. The code takes 4 of them where it runs from flash; what is
# kept of words, and of the test itself, is larger where they have 64 bits.
_MOST = 4096 if sys.maxsize < 1 << 32 else 6144


async def test_into_a_slot_it_keeps_little_in_ram():
    most = await kept("app")
    assert 0 < most < _MOST, most


async def test_into_half_a_partition_it_keeps_little_in_ram():
    assert 0 < await kept("romfs") < _MOST


async def test_as_a_file_it_keeps_little_in_ram():
    assert 0 < await kept("image") < _MOST


async def test_as_files_it_keeps_little_in_ram():
    assert 0 < await kept("files") < _MOST
