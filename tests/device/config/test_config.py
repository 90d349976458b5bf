"""config.json: what is accepted, what is refused and in which words, and the last good one."""

import json
import os
import random
import sys

from firmware.config import load, schema
from firmware.sensors import DRIVERS, driver

# The design's example, with every key of the schema.
EXAMPLE = """
    {
     "device":     {"id": "_dev_571692235317590466", "key_id": "_key_1", "key_secret": "s"},
     "wifi":       [{"ssid": "home", "password": "p"}],
     "mqtt":       {"url": "mqtts://mqtt.csip.io:8883", "keepalive_s": 25, "grace_s": 10},
     "https":      {"url": "https://api.csip.io/v3"},
     "tls":        {"ca": "certs/ca.pem", "verify": true},
     "time":       {"ntp": ["pool.ntp.org"]},
     "feed":       {"format": "plain", "max_points": 100, "max_age_s": 10, "per_minute": 60},
     "buffer":     {"ram_points": 1024, "flash_kib": 512, "spill_after_s": 30,
                    "when_full": "oldest"},
     "sensors":    [{"prop": "temperature", "driver": "ds18x20", "pin": 4, "every_s": 5,
                     "decimals": 2}],
     "thermostat": {"sensor": "temperature", "relay": {"pin": 26, "active": "high"},
                    "mode": "heat", "setpoint": 21.0, "hysteresis": 0.5,
                    "min_on_s": 180, "min_off_s": 180, "stale_after_s": 120, "frost": 5.0},
     "health":     {"every_s": 300}
    }
"""


def load_text(text):
    with open("config.json", "w") as file:
        file.write(text)
    return load.load("config.json")


def checked(settings):
    return load_text(json.dumps(settings))


def changed(path, value):
    """The example with one value changed; a path is like `sensors.0.every_s`."""
    settings = json.loads(EXAMPLE)
    *way, last = path.split(".")
    place = settings
    for step in way:
        place = place[int(step)] if step.isdigit() else place[step]
    place[int(last) if last.isdigit() else last] = value
    return settings


def accepts(path, value):
    settings, problems = checked(changed(path, value))
    assert problems == [], (path, value, problems)
    assert settings is not None


def refuses(path, value, *expected):
    settings, problems = checked(changed(path, value))
    assert problems == list(expected), (path, value, problems)
    assert settings is None


def holds(settings, expected):
    """Whether the settings have all that is expected, and maybe more."""
    for key, value in expected.items():
        if type(value) is dict:
            holds(settings[key], value)
        elif value and type(value) is list and type(value[0]) is dict:
            assert len(settings[key]) == len(value), key
            for one, other in zip(settings[key], value):
                holds(one, other)
        else:
            assert settings[key] == value, (key, settings[key])


def test_the_example_is_accepted_as_it_stands():
    settings, problems = load_text(EXAMPLE)
    assert problems == []
    holds(settings, json.loads(EXAMPLE))


def test_defaults_are_those_of_the_example():
    given = json.loads(EXAMPLE)
    settings, problems = checked(
        {
            "device": given["device"],
            "sensors": [{"prop": "temperature", "driver": "ds18x20", "pin": 4}],
            "thermostat": {"sensor": "temperature", "relay": {"pin": 26}},
        }
    )
    assert problems == []
    del given["wifi"]
    holds(settings, given)


def test_only_the_device_is_required():
    settings, problems = checked({"device": json.loads(EXAMPLE)["device"]})
    assert problems == []
    assert settings["thermostat"] is None
    assert settings["sensors"] == [] and settings["wifi"] == []


def test_defaults_are_not_shared_between_two_loads():
    first, _ = checked({"device": json.loads(EXAMPLE)["device"]})
    first["time"]["ntp"].append("x")
    first["mqtt"]["grace_s"] = 99
    second, _ = checked({"device": json.loads(EXAMPLE)["device"]})
    assert second["time"]["ntp"] == ["pool.ntp.org"] and second["mqtt"]["grace_s"] == 10


def test_a_number_out_of_range_is_named_with_what_was_expected():
    settings = changed("sensors.0.every_s", 5)
    settings["sensors"].append({"prop": "room", "driver": "room", "every_s": -3})
    assert checked(settings) == (
        None,
        ["sensors[1].every_s: expected 0.1 to 86400 seconds, got -3"],
    )


def test_the_limits_belong_to_the_range():
    for value in (0.1, 1, 3600, 3600.0):
        accepts("feed.max_age_s", value)
    huge = 1e300 if float("inf") > 1e300 else 1e38  # as this port's floats have 64 bits or 32
    for value in (0.09, 0, 3600.5, huge, -huge):
        refuses(
            "feed.max_age_s",
            value,
            "feed.max_age_s: expected 0.1 to 3600 seconds, got " + json.dumps(value),
        )


def test_infinity_and_huge_integers_are_out_of_range():
    for number in ("1e999", "-1e999", "9" * 400):
        text = EXAMPLE.replace('"every_s": 5,', '"every_s": %s,' % number)
        _, (problem,) = load_text(text)
        assert problem.startswith("sensors[0].every_s: expected 0.1 to 86400 seconds, got ")
        assert len(problem) < 120


def test_a_wrong_type_is_named():
    number = "mqtt.grace_s: expected 0 to 3600 seconds, got "
    refuses("mqtt.grace_s", "ten", number + '"ten"')
    refuses("mqtt.grace_s", True, number + "true")
    refuses("mqtt.grace_s", None, number + "null")
    refuses("mqtt.grace_s", [10], number + "a list")
    refuses("mqtt.grace_s", {"s": 10}, number + "an object")
    whole = "feed.max_points: expected a whole number 1 to 1000 points, got "
    refuses("feed.max_points", "many", whole + '"many"')
    refuses("feed.max_points", 1.5, whole + "1.5")
    refuses("feed.max_points", 10.0, whole + "10.0")
    refuses("feed.max_points", True, whole + "true")
    refuses("feed.format", 1, 'feed.format: expected "plain" or "compact", got 1')
    refuses("feed.format", "Plain", 'feed.format: expected "plain" or "compact", got "Plain"')
    refuses("tls.verify", 1, "tls.verify: expected true or false, got 1")
    refuses("tls.ca", 1, "tls.ca: expected text of 1 to 128 characters, got 1")


def test_a_wrong_type_of_section_is_named_without_its_value():
    refuses("mqtt", "mqtt://u:p@h", "mqtt: expected an object, got a text")
    refuses("mqtt", None, "mqtt: expected an object, got null")
    refuses("device", ["s"], "device: expected an object, got a list")
    refuses("wifi", "pass", "wifi: expected a list of at most 8 objects, got a text")
    refuses("wifi.0", "pass", "wifi[0]: expected an object, got a text")
    refuses("sensors", {}, "sensors: expected a list of at most 24 objects, got an object")
    refuses("sensors.0", 3, "sensors[0]: expected an object, got a number")
    refuses("thermostat.relay", 26, "thermostat.relay: expected an object, got a number")


def test_null_is_accepted_only_where_it_means_something():
    accepts("thermostat.frost", None)
    accepts("thermostat", None)
    accepts("sensors.0.rom", None)
    refuses("thermostat.frost", 16, "thermostat.frost: expected 0 to 15 °C or null, got 16")
    refuses("thermostat.setpoint", None, "thermostat.setpoint: expected 5 to 35 °C, got null")


def test_an_unknown_key_is_named_with_those_that_exist():
    refuses("tls.caa", "x", "tls.caa: unknown key; expected one of ca, verify")
    refuses(
        "thermostat.relay.pim",
        1,
        "thermostat.relay.pim: unknown key; expected one of pin, active",
    )
    _, (problem,) = checked(changed("sensor", []))
    assert problem.startswith("sensor: unknown key; expected one of device, wifi, mqtt, "), problem


def test_a_missing_key_is_named():
    settings = json.loads(EXAMPLE)
    del settings["device"]["id"]
    del settings["sensors"][0]["pin"]
    del settings["thermostat"]["relay"]
    assert sorted(checked(settings)[1]) == [
        "device.id: missing; expected 1 to 64 characters, without / + # and spaces",
        "sensors[0].pin: missing; expected a whole number 0 to 48",
        "thermostat.relay: missing; expected an object",
    ]
    assert checked({}) == (None, ["device: missing; expected an object"])


def test_all_problems_are_told_at_once_up_to_a_point():
    settings = changed("mqtt.grace_s", -1)
    settings["feed"]["format"] = "x"
    assert len(checked(settings)[1]) == 2
    settings["feed"] = {"key%d" % i: i for i in range(300)}
    problems = checked(settings)[1]
    assert len(problems) == 21
    assert problems[-1] == "and more: mend these first"


def test_each_driver_has_its_own_keys():
    _, (problem,) = checked(changed("sensors.0.file", "x"))
    assert problem.startswith("sensors[0].file: unknown key; expected one of prop, driver, ")
    assert problem.endswith(", pin, rom"), problem
    settings, problems = checked(
        changed("sensors.0", {"prop": "temperature", "driver": "counter", "file": "c.txt"})
    )
    assert problems == [] and settings["sensors"][0]["file"] == "c.txt"
    refuses(
        "sensors.0.driver",
        "dht",
        'sensors[0].driver: expected "counter" or "ds18x20" or "room", got "dht"',
    )


def test_a_driver_that_is_not_named_is_not_imported():
    for name in DRIVERS:
        sys.modules.pop("firmware.sensors." + name, None)
    checked(changed("sensors.0", {"prop": "temperature", "driver": "counter"}))
    assert "firmware.sensors.counter" in sys.modules
    assert "firmware.sensors.ds18x20" not in sys.modules
    assert "firmware.sensors.room" not in sys.modules


def test_names_of_properties_are_legal_and_their_own():
    for name in ("t", "room-1", "climate$temperature", "a_b", "x" * 64):
        settings = changed("sensors.0.prop", name)
        settings["thermostat"]["sensor"] = name
        assert checked(settings)[1] == [], name
    for name in ("Temperature", "a/b", "a+b", "#", "", "a b", "°", "x" * 65):
        _, problems = checked(changed("sensors.0.prop", name))
        assert problems[0].startswith("sensors[0].prop: expected 1 to 64 of a-z 0-9 _ - $, got ")
    for name in ("setpoint", "mode", "relay", "uptime", "freeheap"):
        settings = changed("sensors.0.prop", name)
        settings["thermostat"]["sensor"] = name
        assert checked(settings)[1] == [
            "sensors[0].prop: expected a name that the firmware does not use itself, "
            'got "%s"' % name
        ]


def test_two_sensors_cannot_share_a_property():
    settings = changed("sensors.0.pin", 4)
    settings["sensors"].append({"prop": "temperature", "driver": "room"})
    assert checked(settings)[1] == [
        'sensors[1].prop: expected a name of its own, got "temperature", which is sensors[0]'
    ]


def test_the_thermostat_needs_a_sensor_that_exists():
    refuses(
        "thermostat.sensor",
        "outside",
        'thermostat.sensor: expected the prop of one of the sensors, got "outside"',
    )
    refuses(
        "sensors",
        [],
        'thermostat.sensor: expected the prop of one of the sensors, got "temperature"',
    )


def regulated(**changes):
    """The problems of a thermostat with these keys."""
    settings = json.loads(EXAMPLE)
    settings["thermostat"].update(changes)
    return checked(settings)[1]


def test_a_stale_reading_is_older_than_the_sensors_period():
    assert regulated(stale_after_s=5.5) == []
    assert regulated(stale_after_s=5) == [
        "thermostat.stale_after_s: expected more than the sensor's every_s, got 5"
    ]


def test_a_mode_needs_its_relay():
    for mode in ("cool", "auto"):
        assert regulated(mode=mode, cooler={"pin": 25}) == []
        assert regulated(mode=mode) == [
            'thermostat.mode: expected a cooler for it, got "%s"' % mode
        ]


def test_heating_and_cooling_are_kept_apart():
    cooler = {"pin": 25}
    assert regulated(mode="auto", cooler=cooler, setpoint=20, setpoint_cool=22) == []
    assert regulated(mode="auto", cooler=cooler, setpoint=20.5, setpoint_cool=22) == [
        "thermostat.setpoint_cool: expected at least setpoint + dead_band, 22.5, got 22"
    ]
    assert regulated(mode="heat", cooler=cooler, setpoint=20.5, setpoint_cool=22) == []
    assert regulated(cooler=cooler, dead_band=1, hysteresis=1.5) == [
        "thermostat.dead_band: expected more than the hysteresis, got 1"
    ]


def test_a_maximum_time_leaves_room_for_the_minimum_times():
    assert regulated(max_on_s=3600) == []
    assert regulated(max_on_s=0, min_off_s=0) == []
    assert regulated(max_on_s=180) == [
        "thermostat.max_on_s: expected more than min_on_s, or 0, got 180"
    ]
    assert regulated(max_on_s=3600, min_off_s=0) == [
        "thermostat.min_off_s: expected more than 0, as max_on_s is not 0, got 0"
    ]


def test_a_cycle_leaves_room_for_the_minimum_times():
    assert regulated(failsafe={"on_s": 180, "every_s": 361}) == []
    assert regulated(failsafe={"on_s": 179, "every_s": 3600}) == [
        "thermostat.failsafe.on_s: expected at least min_on_s, got 179"
    ]
    assert regulated(failsafe={"on_s": 180, "every_s": 360}) == [
        "thermostat.failsafe.every_s: expected more than on_s + min_off_s, got 360"
    ]
    assert regulated(regulator="hysteresis", pi={"cycle_s": 60}) == []
    assert regulated(regulator="pi", pi={"cycle_s": 361}) == []
    assert regulated(regulator="pi", pi={"cycle_s": 360}) == [
        "thermostat.pi.cycle_s: expected more than min_on_s + min_off_s, got 360"
    ]


def test_every_relay_has_a_pin_of_its_own():
    assert regulated(cooler={"pin": 25}, stage2={"pin": 27}) == []
    assert regulated(cooler={"pin": 26}) == [
        "thermostat.cooler.pin: expected a pin of its own, got 26, which is thermostat.relay's"
    ]
    assert regulated(cooler={"pin": 27}, stage2={"pin": 27}) == [
        "thermostat.cooler.pin: expected a pin of its own, got 27, which is thermostat.stage2's"
    ]
    assert regulated(stage2={"pin": 4}) == [
        "thermostat.stage2.pin: expected a pin of its own, got 4, which is sensors[0]'s"
    ]


def test_the_properties_of_health_are_those_that_there_are():
    accepts("health.properties", [])
    accepts("health.properties", ["uptime", "looppause"])
    for given, shown in ((["uptime", "mood"], '"mood"'), ([7], "7"), ("uptime", '"uptime"')):
        problem = checked(changed("health.properties", given))[1][0]
        assert problem.startswith(
            "health.properties: expected a list of some of uptime, freeheap,"
        )
        assert problem.endswith(", got " + shown), problem


def test_there_is_a_largest_number_of_sensors():
    sensors = [{"prop": "s%d" % i, "driver": "room"} for i in range(25)]
    sensors[0]["prop"] = "temperature"
    accepts("sensors", sensors[:24])
    refuses("sensors", sensors, "sensors: expected a list of at most 24 objects, got 25")


def test_urls():
    for url in (
        "mqtt://localhost:1883",
        "mqtts://192.0.2.1",
        "MQTTS://Mqtt.csip.io/",
        "wss://h/mqtt",
    ):
        accepts("mqtt.url", url)
    for url in ("http://localhost:8080/v3", "https://api.csip.io/v3/"):
        accepts("https.url", url)
    schemes = ("mqtt", "mqtts", "ws", "wss")
    wanted = " or ".join([scheme + "://host:port" for scheme in schemes])
    wanted = "mqtt.url: expected %s, got " % wanted
    for url, flaw in (
        ("mqtt.csip.io", "it has no scheme"),
        ("amqp://h:8000", "its scheme is unknown"),
        ("https://h", "its scheme is none of these"),
        ("mqtt://", "it has no host"),
        ("mqtt://:1883", "it has no host"),
        ("mqtt://h:", "its port is not a number from 1 to 65535"),
        ("mqtt://h:0", "its port is not a number from 1 to 65535"),
        ("mqtt://h:99999", "its port is not a number from 1 to 65535"),
        ("mqtt://h:1e3", "its port is not a number from 1 to 65535"),
        ("mqtt://h/topic", "it takes no path"),
        ("mqtt://a b", "its host has a character that no host has"),
    ):
        refuses("mqtt.url", url, '%s"%s": %s' % (wanted, url, flaw))
    refuses("mqtt.url", 1883, wanted + "1883")
    _, (problem,) = checked(changed("https.url", "https://h/v3?a=b"))
    assert problem.endswith("its path has a character that it must not have"), problem


def test_time_servers():
    for hosts in ([], ["pool.ntp.org"], ["127.0.0.1:12345", "a", "b", "c"]):
        accepts("time.ntp", hosts)
    wanted = "time.ntp: expected a list of at most 4 host or host:port, got "
    for hosts in (["a:b"], ["a", 1], ["a b"], [""], ["a"] * 5, ["ntp://a"]):
        refuses("time.ntp", hosts, wanted + "a list")
    refuses("time.ntp", "pool.ntp.org", wanted + '"pool.ntp.org"')


def test_the_device_id_fits_into_a_topic():
    for bad in ("a/b", "a b", "#", "+", "", "a\nb", "x" * 65):
        _, (problem,) = checked(changed("device.id", bad))
        assert problem.startswith("device.id: expected 1 to 64 characters, without / + # and ")


def test_text_has_no_control_characters():
    refuses(
        "wifi.0.ssid", "a\nb", 'wifi[0].ssid: expected text of 1 to 32 characters, got "a\\nb"'
    )


def test_a_long_value_is_shown_short():
    _, (problem,) = checked(changed("tls.ca", "x" * 10000))
    assert problem.endswith("xxx…") and len(problem) < 100, problem


def test_no_secret_is_in_any_message():
    secret = "hunter2"
    for path, value in (
        ("device.key_secret", secret * 30),
        ("device.key_secret", [secret]),
        ("device.key_secret", secret + "\n"),
        ("wifi.0.password", secret * 30),
        ("wifi.0.password", {"is": secret}),
        ("wifi.0", secret),
        ("wifi", secret),
        ("device", secret),
        ("device.key_secrt", secret),
        ("password", secret),
        ("mqtt.url", "mqtts://user:%s@h:8883" % secret),
        ("https.url", "https://user:%s@h/v3" % secret),
        ("mqtt", [secret]),
    ):
        settings, problems = checked(changed(path, value))
        assert settings is None and len(problems) == 1, (path, problems)
        assert "hunter" not in problems[0], problems
    # Nor where the file is broken right behind it.
    _, problems = load_text(EXAMPLE.replace('"s"}', '"%s" "x"' % secret + "oops"))
    assert "hunter" not in problems[0], problems


def test_broken_json_is_told_with_its_line():
    for text, line in (
        ('{\n "mqtt": {},\n "feed" oops\n}', 3),
        ('{\n "mqtt": tru\n}', 2),
        ("", 1),
        ("{", 1),
        ("{}\n}", 2),
        ("hello", 1),
        ('{"a": 1}\n\n\nx', 4),
    ):
        assert load_text(text) == (
            None,
            [
                "config.json: not JSON at line %d or just before; look for a comma, quote or "
                "bracket that is missing or one too many" % line
            ],
        ), text


def test_what_is_not_utf8_is_not_json():
    with open("config.json", "wb") as file:
        file.write(b'{"device": {"id": "\xff\xfe"}}')
    assert "not JSON at line 1" in load.load("config.json")[1][0]


def test_a_byte_order_mark_is_forgiven():
    assert load_text("\ufeff" + EXAMPLE)[1] == []


def test_another_top_level_is_refused():
    for text in ("[]", "3", "null", '"text"'):
        assert load_text(text)[1] == [
            "config.json: expected an object with sections: begin with { and end with }"
        ]


def test_a_missing_file_is_told_with_what_to_do():
    assert load.load("config.json") == (
        None,
        ["config.json: no such file; write one, see Configuration in README.md"],
    )


def test_an_unreadable_file_is_told():
    os.mkdir("config.json")
    settings, (problem,) = load.load("config.json")
    assert settings is None and problem.startswith("config.json: cannot be read: "), problem


def test_a_huge_file_is_not_read():
    assert load_text(EXAMPLE + " " * 16384)[1] == [
        "config.json: larger than 16384 bytes; is it the right file?"
    ]


def test_nesting_cannot_break_it():
    for text in ("[" * 16000, '{"a":' * 3000, '{"mqtt":%s%s}' % ("[" * 8000, "]" * 8000)):
        settings, problems = load_text(text)
        assert settings is None and len(problems) in (1, 2), problems


def test_no_mutation_of_the_example_breaks_it():
    """Bytes changed in the text, and values of any type at any place; settings or problems."""
    values = (None, True, -1, 1e999, 10**40, "", "x" * 50, "°/+#", [], [[]], {}, {"a": 1}, [{}])
    random.seed(11)
    for round_ in range(600):
        if round_ % 2:
            text = bytearray(EXAMPLE.encode())
            for _ in range(random.randint(1, 3)):
                text[random.randint(0, len(text) - 1)] = random.getrandbits(8)
        else:
            place = json.loads(EXAMPLE)
            text = place
            while True:
                keys = list(place) if type(place) is dict else list(range(len(place)))
                key = random.choice(keys)
                if type(place[key]) not in (dict, list) or not place[key] or round_ % 6 == 0:
                    place[key] = random.choice(values)
                    break
                place = place[key]
            text = json.dumps(text).replace("inf", "1e999")
        with open("config.json", "wb") as file:
            file.write(text)
        settings, problems = load.load("config.json")
        assert (settings is None) == bool(problems), text


def test_good_settings_are_kept_for_later():
    load_text(EXAMPLE)
    settings, problems = load.load_good()
    assert problems == [] and settings["mqtt"]["grace_s"] == 10
    with open("config.good.json") as file:
        assert file.read() == EXAMPLE
    assert sorted(os.listdir()) == ["config.good.json", "config.json"]


def test_bad_settings_yield_the_last_good_ones_and_the_problems():
    load_text(EXAMPLE)
    load.load_good()
    for text in (EXAMPLE.replace('"grace_s": 10', '"grace_s": -1'), "{", "[]"):
        load_text(text)
        settings, problems = load.load_good()
        assert settings["mqtt"]["grace_s"] == 10
        assert len(problems) == 1, problems
    os.unlink("config.json")
    settings, problems = load.load_good()
    assert settings["mqtt"]["grace_s"] == 10 and "no such file" in problems[0]


def test_newer_good_settings_replace_the_older():
    load_text(EXAMPLE)
    load.load_good()
    load_text(EXAMPLE.replace('"grace_s": 10', '"grace_s": 20'))
    load.load_good()
    load_text("{")
    assert load.load_good()[0]["mqtt"]["grace_s"] == 20


def test_without_any_good_settings_there_are_none():
    load_text("{")
    settings, problems = load.load_good()
    assert settings is None and len(problems) == 1, problems


def test_a_damaged_last_good_file_is_told_as_well():
    load_text("{")
    with open("config.good.json", "w") as file:
        file.write("[]")
    settings, problems = load.load_good()
    assert settings is None
    assert [problem.split(":")[0] for problem in problems] == ["config.json", "config.good.json"]


def test_settings_that_cannot_be_kept_are_used_all_the_same():
    load_text(EXAMPLE)
    os.mkdir("config.good.json.new")
    settings, (problem,) = load.load_good()
    assert settings is not None
    assert problem.startswith("config.good.json: cannot be written"), problem


def test_settings_are_not_written_again_when_they_are_the_same():
    load_text(EXAMPLE)
    load.load_good()
    os.mkdir("config.good.json.new")  # a second write would fail at this
    assert load.load_good()[1] == []


def test_the_memory_of_the_schema_comes_back():
    load.forget()
    for name in ("config", "schema", "validate"):
        assert "firmware." + name not in sys.modules
        assert not hasattr(sys.modules["firmware"], name)
    from firmware.config import load as again

    assert again.load("config.json")[0] is None


def test_every_row_is_whole_and_its_default_fits():
    def check(prefix, rows):
        for key, kind, limits, unit, default, meaning in rows:
            name = prefix + key
            assert meaning and type(unit) is str, name
            if kind == "section":
                check(name + ".", limits)
            elif kind in ("sections", "sensors"):
                check(name + "[].", limits[1])
            elif default is not ...:
                value = list(default) if type(default) is tuple else default
                assert check.fits(kind, limits, value), name
                assert check.expected(kind, limits, unit), name

    check("", schema.SCHEMA)
    for name in DRIVERS:
        check(name + ".", driver(name).KEYS)
