"""What survives a restart: written whole or not at all, and not too often."""

import json
import os

from firmware.base import files
from firmware.commands.store import Store
from flash import HALF, NEW, OLD, Flash, formatted, mount, umount

HEAP = "8M"

T0 = 1795344000000


def filled(path="settings.json", **values):
    store = Store(path)
    for name, value in values.items():
        store.put(name, value, T0)
    store.flush()
    return store


def test_without_a_file_there_is_nothing():
    store = Store()
    assert store.get("setpoint") is None
    assert store.time("setpoint") == 0
    store.flush()
    assert os.listdir() == [], "nothing was set, nothing is written"


def test_values_and_times_come_back():
    filled(setpoint=21.5, mode="heat", schedule="daily 06:30 home", config=None)
    store = Store()
    assert list(store.get("setpoint")) == [21.5, T0]
    assert store.get("mode")[0] == "heat"
    assert store.get("config") is not None and store.get("config")[0] is None
    assert store.time("schedule") == T0
    with open("settings.json") as file:
        assert json.load(file)["values"]["setpoint"] == [21.5, T0], "it is JSON, for a person"
    assert os.listdir() == ["settings.json"]


def test_it_is_written_eight_times_at_once_and_then_every_five_seconds():
    store = Store()
    written = []
    for ms in range(0, 60000, 1000):
        store.put("setpoint", 5 + ms // 1000, T0 + ms)
        store.tick(ms)
        written.append(Store().get("setpoint")[0] - 5)
    assert written[:8] == list(range(8))
    # One more has come due meanwhile.
    assert written[10:] == [second // 5 * 5 for second in range(10, 60)]
    os.remove("settings.json")
    store.tick(70000)
    assert os.listdir() == ["settings.json"], "what was set last is due"
    os.remove("settings.json")
    store.tick(80000)
    assert os.listdir() == [], "nothing has changed"


def test_what_is_set_at_the_end_is_flushed():
    store = Store()
    store.put("setpoint", 19.0, T0)
    store.tick(0)
    store.put("setpoint", 20.0, T0 + 1)
    assert not store.kept()
    assert Store().get("setpoint")[0] == 19.0
    store.flush()
    assert store.kept()
    assert Store().get("setpoint")[0] == 20.0


def test_a_damaged_file_is_ignored_and_written_anew():
    filled(setpoint=21.5, mode="heat")
    with open("settings.json", "rb") as file:
        good = file.read()
    bad = [good[:n] for n in range(0, len(good), 5)]
    for i in range(0, len(good), 7):
        flipped = bytearray(good)
        flipped[i] ^= 4
        bad.append(bytes(flipped))
    bad += [b"", b"{}", b"[1]", b"null", good + b"\n", good * 100, b"\xff" * 4096]
    # With a sum that is right: made by somebody, but not by a store.
    import binascii

    for body in (b'{"values": [1]', b'{"values": {"a": 1}', b'{"values": {"a": [1, "x"]}'):
        bad.append(body + b', "crc32": %d}' % binascii.crc32(body))
    for data in bad:
        with open("settings.json", "wb") as file:
            file.write(data)
        store = Store()
        assert store.get("setpoint") is None and store.time("mode") == 0, data
        store.put("setpoint", 20.0, T0)
        store.flush()
        assert Store().get("setpoint")[0] == 20.0


def test_a_file_system_that_fails_costs_nothing_but_the_file():
    store = Store("no/such/folder/settings.json")
    store.put("setpoint", 20.0, T0)
    for ms in range(0, 20000, 1000):
        store.tick(ms)
    assert store.get("setpoint")[0] == 20.0
    os.mkdir("no")
    os.mkdir("no/such")
    os.mkdir("no/such/folder")
    store.tick(30000)
    assert Store("no/such/folder/settings.json").get("setpoint")[0] == 20.0


def test_the_power_may_go_at_any_moment_of_a_writing():
    """On a littlefs: after every cut the file is the old or the new one, and can be written."""
    empty = formatted(16)
    flash = Flash(16, empty)
    mount(flash)
    filled("/flash/settings.json", setpoint=18.0, schedule="daily 06:30 home;" * 50)
    umount()
    before = bytes(flash.data)

    def write():
        store = Store("/flash/settings.json")
        store.put("setpoint", 24.0, T0 + 1)
        store.flush()

    flash = Flash(16, before)
    mount(flash)
    write()
    umount()
    operations = flash.operations
    assert operations > 3
    found = {}
    for cut_at in range(1, operations + 1):
        for leaves in (OLD, NEW, HALF):
            flash = Flash(16, before)
            mount(flash)
            flash.cut_at = cut_at
            flash.cut_leaves = leaves
            write()  # raises nothing
            umount()
            assert flash.dead
            flash = Flash(16, flash.data)
            mount(flash)
            store = Store("/flash/settings.json")
            kept = store.get("setpoint")
            assert kept is not None and kept[0] in (18.0, 24.0), (cut_at, leaves, kept)
            assert len(store.get("schedule")[0]) == 850
            found[kept[0]] = True
            write()
            assert Store("/flash/settings.json").get("setpoint")[0] == 24.0
            umount()
    assert len(found) == 2, "no cut was late enough, or none early enough"


def test_a_full_file_system_keeps_what_was_there():
    flash = Flash(16, formatted(16))
    mount(flash)
    try:
        filled("/flash/settings.json", setpoint=18.0, schedule="x" * 900)
        failures = number = 0
        while failures < 3:
            number += 1
            try:
                with open("/flash/%d" % number, "wb") as file:
                    file.write(b"\xff" * 4000)
            except OSError:
                failures += 1
        store = Store("/flash/settings.json")
        store.put("setpoint", 24.0, T0 + 1)
        store.put("schedule", "y" * 3000, T0 + 1)
        store.flush()
        assert Store("/flash/settings.json").get("setpoint")[0] == 18.0
        for number in range(1, 4):
            os.remove("/flash/%d" % number)
        store.flush()
        assert Store("/flash/settings.json").get("setpoint")[0] == 24.0
    finally:
        umount()


def test_the_old_file_stays_until_the_new_one_is_whole():
    """Also on a file system that writes in place, as the unix port's."""

    class Dying:
        def rename(self, old, new):
            raise OSError(5)

    store = filled(setpoint=18.0)
    store.put("setpoint", 24.0, T0 + 1)
    files.os = Dying()
    try:
        store.flush()
    finally:
        files.os = os
    assert Store().get("setpoint")[0] == 18.0
    store.flush()
    assert Store().get("setpoint")[0] == 24.0
