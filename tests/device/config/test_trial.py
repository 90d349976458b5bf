"""A configuration from afar: merged, checked as a whole, tried, and kept or given up."""

import asyncio
import gc
import json
import os
import sys

from firmware.base import uptime
from firmware.config import load, trial
from flash import HALF, NEW, OLD, Flash, formatted, mount, umount

HEAP = "8M"

CONFIG = {
    "device": {"id": "_dev_1", "key_id": "_key_1", "key_secret": "geheim"},
    "wifi": [{"ssid": "home", "password": "wifi-password"}],
    "mqtt": {"url": "mqtts://one.example:8883"},
    "sensors": [{"prop": "temperature", "driver": "room"}],
    "thermostat": {"sensor": "temperature", "relay": {"pin": 26}, "setpoint": 20},
}
TWO = {"mqtt": {"url": "mqtts://two.example:8883"}}
KEPT = ["config.good.json", "config.json"]


def fresh(config=CONFIG):
    """The folder of a device that runs with this configuration."""
    for name in os.listdir():
        os.remove(name)
    write("config.json", config)
    trial.begin()


def write(name, tree):
    with open(name, "w") as file:
        file.write(json.dumps(tree))


def read(name="config.json"):
    with open(name) as file:
        return json.load(file)


def start():
    """As the device starts: the broker that is in force then; None without a configuration."""
    trial.begin()
    settings, _ = load.load_good()
    return settings and settings["mqtt"]["url"][8:11]


def refused(part):
    before = read()
    files = sorted(os.listdir())
    try:
        trial.propose(part)
    except ValueError as error:
        assert read() == before
        assert sorted(os.listdir()) == files
        assert "geheim" not in str(error) and "wifi-password" not in str(error), str(error)
        return str(error)
    raise AssertionError(part)


def test_a_part_is_merged_and_on_trial_after_a_restart():
    fresh()
    assert not trial.pending()
    assert trial.propose(TWO) == (TWO, 1)
    expected = dict(CONFIG)
    expected.update(TWO)
    assert read() == expected
    assert read("config.old.json") == CONFIG
    trial.begin()
    assert trial.pending()
    assert trial.note() is None
    trial.confirm()
    assert not trial.pending()
    assert sorted(os.listdir()) == KEPT
    assert read() == read("config.good.json") == expected


def missing(part, worked, reached):
    """What a part still needs, if it was sent where some ways had worked, and some do now."""
    fresh()
    trial.propose(part, worked)
    trial.begin()
    return trial.missing(reached)


def test_a_new_address_has_to_be_reached():
    both = ("mqtt", "https")
    for part in (TWO, {"mqtt": None}):
        for worked in (("https",), both):
            assert missing(part, worked, ()) == "mqtt", part
            assert missing(part, worked, ("https",)) == "mqtt", part
            assert missing(part, worked, ("mqtt",)) == "", part
    url = {"url": "https://other.example/v3"}
    for worked in (("mqtt",), both):
        assert missing({"https": url}, worked, ("mqtt",)) == "https"
        assert missing({"https": url}, worked, ("https",)) == ""
        assert missing({"https": url, "mqtt": TWO["mqtt"]}, worked, ()) == "mqtt and https"
        assert missing({"https": url, "mqtt": TWO["mqtt"]}, worked, both) == ""


def test_what_a_way_depends_on_may_not_cost_it():
    for part in (
        {"device": {"key_secret": "neu"}},
        {"wifi": []},
        {"tls": {"ca": "other.pem"}},
        {"time": {"ntp": []}},
    ):
        for worked in (("mqtt",), ("https",), ("mqtt", "https")):
            assert missing(part, worked, worked) == "", part
            assert missing(part, worked, ()) == " and ".join(worked), part
        assert missing(part, ("mqtt", "https"), ("mqtt",)) == "https"
        assert missing(part, (), ()) == "mqtt or https"
        assert missing(part, (), ("mqtt",)) == ""
    for part, way, other in (
        ({"mqtt": {"keepalive_s": 20}}, "mqtt", "https"),
        ({"https": {"poll_s": 20}}, "https", "mqtt"),
    ):
        assert missing(part, (way,), (other,)) == way
        assert missing(part, (other,), (other,)) == "", "it did not work before"


def test_what_no_way_depends_on_has_to_reach_the_platform_over_either():
    for worked in ((), ("mqtt",), ("mqtt", "https")):
        assert missing({"health": {"every_s": 60}}, worked, ()) == "mqtt or https"
        for reached in (("mqtt",), ("https",)):
            assert missing({"health": {"every_s": 60}}, worked, reached) == ""


def test_what_is_on_trial_is_not_the_last_good_one():
    broken = json.loads(json.dumps(CONFIG))
    broken["thermostat"]["setpoint"] = 99
    part = {"thermostat": {"setpoint": 21}, "mqtt": TWO["mqtt"]}
    for found in (CONFIG, broken):
        fresh()
        assert start() == "one"
        write("config.json", found)
        assert start() == "one"
        trial.propose(part)
        assert start() == "two"
        assert read("config.good.json") == CONFIG
        trial.roll_back("nobody answered")
        assert read() == found
        assert start() == "one", "the file is as it was, and so is what is in force"
        assert trial.note() == "nobody answered"

        trial.propose(part)
        assert start() == "two"
        trial.confirm()
        assert read("config.good.json") == read()
        assert start() == "two"
        os.remove("config.json")
        assert start() == "two", "it is the good one now"


def test_what_becomes_of_the_file_during_a_trial_does_not_make_it_the_good_one():
    for damage in (lambda: os.remove("config.json"), lambda: write("config.json", 5)):
        fresh()
        start()
        trial.propose(TWO)
        assert start() == "two"
        damage()
        assert start() == "one" and not trial.pending()
        assert start() == "one"
        # At the last moment: what is kept is what was tried.
        fresh()
        start()
        trial.propose(TWO)
        start()
        damage()
        trial.confirm()
        assert start() == "one"


def test_one_that_this_firmware_refuses_is_given_up():
    """It was checked by the firmware before, which may have been another one."""
    fresh()
    start()
    trial.propose(TWO)
    write("config.json", dict(CONFIG, mqtt={"url": "mqtts://two.example", "older": 1}))
    mark = read("trial.json")
    mark["crc"] = trial.sum_of("config.json")
    write("trial.json", mark)
    assert start() == "one" and not trial.pending()
    assert (
        trial.note()
        == "mqtt.older: unknown key; expected one of url, keepalive_s, grace_s, max_packet"
    )
    assert read() == CONFIG


def test_a_good_one_that_cannot_be_written_is_written_at_the_next_start():
    fresh()
    start()
    trial.propose(TWO)
    start()
    os.mkdir("config.good.json.new")
    trial.confirm()
    assert not trial.pending() and read("config.good.json") == CONFIG
    os.rmdir("config.good.json.new")
    assert start() == "two"
    assert read("config.good.json") == read()


async def test_it_is_kept_when_it_has_reached_the_platform_or_rolled_back_in_time():
    reached = []
    for way, within_ms in (("https", 500), ("mqtt", 60000)):
        fresh()
        trial.propose(TWO)
        trial.begin()

        async def reach(way=way):
            await asyncio.sleep_ms(200)
            reached.append(way)

        task = asyncio.create_task(reach())
        kept = await trial.is_kept(lambda: reached, uptime.ms() + within_ms)
        await task
        assert kept is (way == "mqtt")
        assert not trial.pending()
        assert read() == (dict(CONFIG, **TWO) if kept else CONFIG)
        assert trial.note() == (
            None if kept else "the platform was not reached over mqtt with it in time"
        )


def test_one_that_fails_is_given_up_and_told_once():
    fresh()
    trial.propose(TWO)
    trial.begin()
    trial.roll_back("nobody answered")
    assert read() == CONFIG
    trial.begin()
    assert not trial.pending()
    assert trial.note() == "nobody answered"
    assert trial.note() is None
    trial.begin()
    assert trial.note() is None
    assert sorted(os.listdir()) == ["config.json"]


def test_one_that_crashes_is_given_up_after_three_starts():
    fresh()
    trial.propose(TWO)
    for _ in range(3):
        trial.begin()
        assert trial.pending()
        assert read() != CONFIG
    trial.begin()
    assert not trial.pending()
    assert read() == CONFIG
    assert trial.note() == "the device did not keep running with it"


def test_a_second_one_has_to_wait():
    fresh()
    trial.propose(TWO)
    again = "another configuration is on trial; wait until it is kept or given up"
    assert refused({"health": {"every_s": 60}}) == again
    trial.begin()
    assert refused({"health": {"every_s": 60}}) == again
    trial.confirm()
    trial.propose({"health": {"every_s": 60}})


def test_what_changes_nothing_needs_no_trial():
    fresh()
    files = os.listdir()
    for part in ({}, {"mqtt": {}}, {"mqtt": {"url": "mqtts://one.example:8883"}}, {"tls": None}):
        _, changes = trial.propose(part)
        # An empty section is one that was not there.
        assert not changes, part
        assert os.listdir() == files
    assert trial.propose({"health": {}})[1], "it is there now"


def test_objects_merge_lists_replace_and_null_removes():
    """The rules of RFC 7396, and some of its examples (appendix A)."""
    from firmware.config.change import merge

    for target, patch, result in (
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": 1}, {"a": 1.0}, {"a": 1.0}),
        ({"a": 1}, {"a": True}, {"a": True}),
    ):
        before = json.dumps(target)
        changes = merge(target, patch)
        assert target == result, (before, patch, target)
        assert changes == (json.dumps(target) != before), (before, patch)


def test_a_wrong_part_is_refused_with_the_name_of_what_is_wrong():
    fresh()
    assert refused({"mqtt": {"ulr": "x"}}).startswith(
        "mqtt.ulr: unknown key; expected one of url, keepalive_s"
    )
    assert refused({"mqtts": {}}).startswith("mqtts: unknown key; expected one of device")
    assert refused({"mqtt": {"keepalive_s": 1}}) == (
        "mqtt.keepalive_s: expected a whole number 5 to 60 seconds, got 1"
    )
    for part in ({"mqtt": 5}, {"mqtt": []}, {"wifi": {}}, {"sensors": "x"}, {"tls": True}):
        (name,) = part
        assert refused(part) == name + ": expected a section of a configuration"
    assert refused({"device": {"id": None}}).startswith("device.id: missing")
    assert refused({"sensors": []}) == (
        'thermostat.sensor: expected the prop of one of the sensors, got "temperature"'
    )
    assert refused({"thermostat": {"schedule": ["daily 06:30 home", "never"]}}).startswith(
        "thermostat.schedule[1]: expected days, time and preset"
    )
    assert refused({"time": {"zone": "Europe/Berlin"}}).startswith(
        "time.zone: expected an offset to UTC in hours"
    )
    deep = {}
    for _ in range(100):
        deep = {"a": deep}
    assert refused({"mqtt": deep}) == "it is nested too deeply"


def test_the_sections_are_those_of_the_schema():
    from firmware.config import change, schema

    assert tuple([row[0] for row in schema.SCHEMA]) == change.SECTIONS
    secrets = set()

    def look(rows):
        for key, kind, limits, _, _, _ in rows:
            if kind == "secret":
                secrets.add(key)
            elif kind == "section":
                look(limits)
            elif kind in ("sections", "sensors"):
                look(limits[1])

    look(schema.SCHEMA)
    assert secrets == set(change._SECRETS)
    change.forget()


def test_secrets_are_taken_and_not_shown():
    fresh()
    part = {
        "device": {"key_secret": "neues-geheimnis"},
        "wifi": [{"ssid": "other", "password": "anderes"}, {"ssid": "open"}],
    }
    shown, changes = trial.propose(part)
    assert changes
    assert shown == {
        "device": {"key_secret": "(hidden)"},
        "wifi": [{"ssid": "other", "password": "(hidden)"}, {"ssid": "open"}],
    }
    assert read()["device"]["key_secret"] == "neues-geheimnis"
    assert read()["device"]["id"] == "_dev_1"
    assert read()["wifi"] == part["wifi"]


def test_of_what_is_long_only_the_sections_are_shown():
    """A value of more than 1 KiB is not sent; its bytes count."""
    from firmware.config import change

    for name, fits in (("o", True), ("é", True), ("\U0001f600", False)):
        part = {"wifi": [{"ssid": name * 32}] * 8}
        assert len(json.dumps(part)) < 1000
        assert change.shown(part) == (part if fits else {"wifi": "(long)"}), name
    change.forget()


def test_what_stands_for_a_secret_is_no_secret():
    fresh()
    words = '"(hidden)" only stands for a secret; leave the key out'
    assert refused({"device": {"key_secret": "(hidden)"}}) == words
    assert refused({"wifi": [{"ssid": "home", "password": "(hidden)"}]}) == words


def test_where_the_file_is_broken_the_last_good_one_is_what_is_changed():
    fresh()
    write("config.good.json", CONFIG)
    for broken in ("{", json.dumps({"mqtt": {"keepalive_s": 1}})):
        fresh()
        write("config.good.json", CONFIG)
        with open("config.json", "w") as file:
            file.write(broken)
        assert trial.propose(TWO)[1]
        trial.begin()
        assert read()["mqtt"] == TWO["mqtt"]
        trial.roll_back("nobody answered")
        trial.begin()
        assert read() == CONFIG, "it is a good one that is back"


def test_what_it_needs_is_forgotten_again():
    fresh()
    trial.propose(TWO)
    for name in ("amend", "config", "validate", "schema"):
        assert "firmware." + name not in sys.modules
        assert not hasattr(sys.modules["firmware"], name)
    gc.collect()


def test_flash_that_cannot_be_written_does_not_keep_the_device_from_starting():
    class Full:
        """The file system, but nothing can be renamed on it."""

        def rename(self, old, new):
            raise OSError(28)

        remove = rename
        stat = os.stat

    for state in ("proposed", "put aside", "crashes"):
        fresh()
        if state == "put aside":
            write("trial.json", {"part": TWO, "worked": []})
        else:
            trial.propose(TWO)
        if state == "crashes":
            for _ in range(3):
                trial.begin()
        trial.os = Full()
        try:
            trial.begin()
        finally:
            trial.os = os
        assert read() in (CONFIG, dict(CONFIG, **TWO))


def short_of_memory():
    """No check fits into what is free."""
    trial._ROOM = 1 << 60


def test_where_memory_is_short_the_check_is_made_at_the_next_start():
    room = trial._ROOM
    try:
        fresh()
        short_of_memory()
        part = {"mqtt": TWO["mqtt"], "device": {"key_secret": "neues-geheimnis"}}
        assert trial.propose(part) == (None, 1)
        assert read() == CONFIG, "nothing is checked yet"
        assert refused(TWO) == (
            "another configuration is on trial; wait until it is kept or given up"
        )
        trial.begin()
        assert trial.pending()
        assert trial.checked == dict(part, device={"key_secret": "(hidden)"})
        assert read()["mqtt"] == TWO["mqtt"] and read("config.old.json") == CONFIG
        assert "neues-geheimnis" not in str(read("trial.json"))
        trial.confirm()
        assert sorted(os.listdir()) == KEPT
        trial.begin()
        assert trial.checked is None, "it is told once"

        fresh()
        trial.propose({"mqtt": {"ulr": "x"}})
        trial.begin()
        assert not trial.pending() and trial.checked is None
        assert read() == CONFIG
        assert trial.note().startswith("mqtt.ulr: unknown key")
        # Another one is not at once: each such check costs a restart.
        assert trial.propose(TWO) == (None, 60000)
        trial.begin()
        assert trial.pending() and start() == "two"

        fresh()
        trial.propose({"mqtt": {}})
        trial.begin()
        assert not trial.pending() and trial.note() is None
        assert trial.checked == {"mqtt": {}}, "there was nothing wrong with it"
        assert sorted(os.listdir()) == ["config.json"], "it changes nothing"
    finally:
        trial._ROOM = room
        trial.refused = False


def test_what_the_part_named_is_known_while_it_is_on_trial():
    fresh()
    part = {"thermostat": {"setpoint": 23, "mode": "off"}, "wifi": [], "feed": {"max_age_s": 5}}
    trial.propose(part)
    trial.begin()
    assert sorted(trial.named()) == ["mode", "preset", "report_every", "setpoint"]
    trial.confirm()
    assert trial.named() == []


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
        '{"part": 5}',
        '{"part": {"x": 1}, "worked": []}',
        '{"part": {}, "worked": 5}',
        '{"failed": 5}',
    ):
        fresh()
        with open("trial.json", "w") as file:
            file.write(text)
        trial.begin()
        assert not trial.pending(), text
        trial.note()
        assert read() == CONFIG
        assert "trial.json" not in os.listdir(), text
        trial.propose(TWO)
        trial.begin()
        assert trial.pending()


def test_the_power_may_go_at_any_moment():
    """On a littlefs: whatever is cut off, the configuration is one of the two, whole; the old one
    comes back unless the new one was confirmed.
    """
    power_may_go(CONFIG)


def test_the_power_may_go_where_the_last_good_one_is_in_force():
    """As above, where the file has a wrong value, which the part mends."""
    broken = json.loads(json.dumps(CONFIG))
    broken["thermostat"]["setpoint"] = 99
    power_may_go(broken)


def power_may_go(found):
    part = {"thermostat": {"setpoint": 21}, "mqtt": TWO["mqtt"]}
    empty = Flash(32, formatted(32))
    mount(empty)
    here = os.getcwd()
    os.chdir("/flash")
    fresh()
    start()
    write("config.json", found)
    os.chdir(here)
    umount()
    before = bytes(empty.data)

    def proposed():
        trial.propose(part)

    def confirmed():
        trial.propose(part)
        start()
        if trial.pending():
            trial.confirm()

    def rolled_back():
        trial.propose(part)
        start()
        if trial.pending():
            trial.roll_back("nobody answered")
        start()
        trial.note()

    def deferred():
        room = trial._ROOM
        short_of_memory()
        try:
            trial.propose(part)
        finally:
            trial._ROOM = room
        start()
        if trial.pending():
            trial.confirm()

    for scenario in (proposed, confirmed, rolled_back, deferred):
        outcomes = []
        flash, _ = run(before, scenario, 0, OLD)
        operations = flash.operations
        for cut_at in range(1, operations + 1):
            # As it was, as it should be, or half done: each at a third of the operations, and as
            # it should be at the last.
            leaves = NEW if cut_at == operations else (OLD, NEW, HALF)[cut_at % 3]
            flash, finished = run(before, scenario, cut_at, leaves)
            assert not finished
            flash = Flash(32, flash.data)
            mount(flash)
            os.chdir("/flash")
            try:
                in_force = start()
                outcomes.append(in_force)
                if trial.pending():
                    assert in_force == "two", (scenario, cut_at)
                    assert read("config.good.json") == CONFIG, (scenario, cut_at)
                    trial.roll_back("nobody answered")
                    in_force = start()
                    assert read() == found, (scenario, cut_at)
                    assert in_force == "one", (scenario, cut_at)
                elif in_force == "one":
                    assert read() == found, (scenario, cut_at)
                else:
                    assert scenario in (confirmed, deferred), (scenario, cut_at)
                    assert read("config.good.json") == read(), (scenario, cut_at)
                trial.note()
                # The next one is not in its way.
                assert trial.propose({"thermostat": {"setpoint": 22}})[1]
                assert start() == in_force
                assert trial.pending()
            finally:
                os.chdir(here)
                umount()
        assert "one" in outcomes and "two" in outcomes, scenario


def run(image, scenario, cut_at, leaves):
    """The flash after a scenario that the power was cut in, and whether it came to its end."""
    flash = Flash(32, image)
    mount(flash)
    here = os.getcwd()
    os.chdir("/flash")
    trial.begin()
    flash.operations = 0
    flash.cut_at = cut_at
    flash.cut_leaves = leaves
    finished = False
    try:
        scenario()
        finished = not flash.dead
    except OSError:
        pass
    finally:
        os.chdir(here)
        umount()
    return flash, finished
