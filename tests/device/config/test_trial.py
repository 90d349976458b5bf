"""A configuration from afar on trial: kept or given up, at whichever start."""

import asyncio
import json
import os

from firmware.base import files, uptime
from firmware.config import trial
from tried import CONFIG, TWO, Device, read, write

KEPT = ["config.good.json", "config.json"]


def test_a_part_is_merged_and_on_trial_after_a_restart():
    device = Device()
    assert not device.trial.pending()
    assert device.propose(TWO) == (TWO, True)
    expected = dict(CONFIG)
    expected.update(TWO)
    assert read() == expected
    assert read("config.old.json") == CONFIG
    device.boot()
    assert device.trial.pending()
    assert device.trial.note() is None
    device.trial.confirm()
    assert not device.trial.pending()
    assert sorted(os.listdir()) == KEPT
    assert read() == read("config.good.json") == expected


def test_what_is_on_trial_is_not_the_last_good_one():
    broken = json.loads(json.dumps(CONFIG))
    broken["thermostat"]["setpoint"] = 99
    part = {"thermostat": {"setpoint": 21}, "mqtt": TWO["mqtt"]}
    for found in (CONFIG, broken):
        device = Device()
        assert device.start() == "one"
        write("config.json", found)
        assert device.start() == "one"
        device.propose(part)
        assert device.start() == "two"
        assert read("config.good.json") == CONFIG
        device.trial.roll_back("nobody answered")
        assert read() == found
        assert device.start() == "one", "the file is as it was, and so is what is in force"
        assert device.trial.note() == "nobody answered"

        device.propose(part)
        assert device.start() == "two"
        device.trial.confirm()
        assert read("config.good.json") == read()
        assert device.start() == "two"
        os.remove("config.json")
        assert device.start() == "two", "it is the good one now"


def test_what_becomes_of_the_file_during_a_trial_does_not_make_it_the_good_one():
    for damage in (lambda: os.remove("config.json"), lambda: write("config.json", 5)):
        device = Device()
        device.start()
        device.propose(TWO)
        assert device.start() == "two"
        damage()
        assert device.start() == "one" and not device.trial.pending()
        assert device.start() == "one"
        # At the last moment: what is kept is what was tried.
        device = Device()
        device.start()
        device.propose(TWO)
        device.start()
        damage()
        device.trial.confirm()
        assert device.start() == "one"


def test_one_that_this_firmware_refuses_is_given_up():
    """It was checked by the firmware before, which may have been another one."""
    device = Device()
    device.start()
    device.propose(TWO)
    write("config.json", dict(CONFIG, mqtt={"url": "mqtts://two.example", "older": 1}))
    mark = read("trial.json")
    mark["crc"] = files.crc32("config.json")
    write("trial.json", mark)
    assert device.start() == "one" and not device.trial.pending()
    assert (
        device.trial.note()
        == "mqtt.older: unknown key; expected one of url, keepalive_s, grace_s, max_packet"
    )
    assert read() == CONFIG


def test_a_good_one_that_cannot_be_written_is_written_at_the_next_start():
    device = Device()
    device.start()
    device.propose(TWO)
    device.start()
    os.mkdir("config.good.json.new")
    device.trial.confirm()
    assert not device.trial.pending() and read("config.good.json") == CONFIG
    os.rmdir("config.good.json.new")
    assert device.start() == "two"
    assert read("config.good.json") == read()


async def test_it_is_kept_as_soon_as_it_has_reached_the_platform():
    assert await tried("mqtt", 60000) == ([True], None)
    assert read() == dict(CONFIG, **TWO)


async def test_it_is_given_up_if_it_has_not_reached_the_platform_in_time():
    why = "the platform was not reached over mqtt with it in time"
    assert await tried("https", 500) == ([False], why)
    assert read() == CONFIG


async def tried(way, within_ms):
    """What a trial calls that reaches the platform over one way only, and what is told of it."""
    device = Device()
    device.propose(TWO)
    device.boot()
    reached = []
    called = []
    task = asyncio.create_task(
        device.trial.run(
            lambda: reached,
            uptime.ms() + within_ms,
            called.append,
        )
    )
    await asyncio.sleep_ms(200)
    assert device.trial.pending() and not called, "that is not decided yet"
    reached.append(way)
    await asyncio.sleep_ms(2500)
    assert not device.trial.pending()
    assert not task.done(), "its supervisor would start it again"
    task.cancel()
    return called, device.trial.note()


async def test_a_trial_that_runs_again_decides_no_more():
    device = Device()
    device.propose(TWO)
    device.boot()
    assert device.trial.decide(["mqtt"], False) is True
    said = []
    task = asyncio.create_task(device.trial.run(list, 0, said.append))
    await asyncio.sleep_ms(50)
    assert not task.done() and not said
    task.cancel()


def test_one_that_fails_is_given_up_and_told_once():
    device = Device()
    device.propose(TWO)
    device.boot()
    device.trial.roll_back("nobody answered")
    assert read() == CONFIG
    device.boot()
    assert not device.trial.pending()
    assert device.trial.note() == "nobody answered"
    assert device.trial.note() is None
    device.boot()
    assert device.trial.note() is None
    assert sorted(os.listdir()) == ["config.json"]


def test_one_that_crashes_is_given_up_after_three_starts():
    device = Device()
    device.propose(TWO)
    for _ in range(3):
        device.boot()
        assert device.trial.pending()
        assert read() != CONFIG
    device.boot()
    assert not device.trial.pending()
    assert read() == CONFIG
    assert device.trial.note() == "the device did not keep running with it"


def test_flash_that_cannot_be_written_does_not_keep_the_device_from_starting():
    class Full:
        """The file system, but nothing can be renamed or removed on it."""

        def rename(self, old, new):
            raise OSError(28)

        remove = rename
        stat = os.stat

    for boots in (0, 3):
        device = Device()
        device.propose(TWO)
        for _ in range(boots):
            device.boot()
        trial.os = files.os = Full()
        try:
            device.boot()
        finally:
            trial.os = files.os = os
        assert read() in (CONFIG, dict(CONFIG, **TWO))


def test_what_the_part_named_is_known_while_it_is_on_trial():
    device = Device()
    part = {"thermostat": {"setpoint": 23, "mode": "off"}, "wifi": [], "feed": {"max_age_s": 5}}
    device.propose(part)
    device.boot()
    assert sorted(device.trial.named()) == ["mode", "preset", "report_every", "setpoint"]
    device.trial.confirm()
    assert device.trial.named() == []


def test_a_mark_that_makes_no_sense_stops_nothing():
    for text in (
        "",
        "{",
        "[]",
        "null",
        "5",
        '{"crc": 1}',
        '{"crc": 1, "boots": "x", "names": {}, "needs": []}',
        '{"crc": 1, "boots": 0, "names": {}, "needs": 5}',
        '"x"',
        "{}",
        '{"part": {"x": 1}, "worked": []}',
        '{"failed": 5}',
    ):
        device = Device()
        with open("trial.json", "w") as file:
            file.write(text)
        device.boot()
        assert not device.trial.pending(), text
        device.trial.note()
        assert read() == CONFIG
        assert "trial.json" not in os.listdir(), text
        device.propose(TWO)
        device.boot()
        assert device.trial.pending()
