"""The keys of config.json one by one: what is accepted, what is refused and in which words."""

import json
import sys

from example import EXAMPLE, accepts, changed, checked, holds, load_text, refuses
from firmware.sensors import drivers


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
    given["buffer"]["ram_points"] = None  # what is read says how many
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
    accepts("buffer.ram_points", None)
    accepts("thermostat", None)
    accepts("sensors.0.rom", None)
    refuses("thermostat.frost", 16, "thermostat.frost: expected 0 to 15 °C or null, got 16")
    name = "buffer.ram_points: expected a whole number 16 to 65536 points or null, got "
    for value in (0, 15, 65537, 100.5, "100"):
        refuses("buffer.ram_points", value, name + json.dumps(value))
    refuses("thermostat.setpoint", None, "thermostat.setpoint: expected 5 to 35 °C, got null")


def test_an_unknown_key_is_named_with_those_that_exist():
    refuses("tls.caa", "x", "tls.caa: unknown key; expected one of ca, verify")
    refuses(
        "thermostat.relay.pim",
        1,
        "thermostat.relay.pim: unknown key; expected one of pin, active",
    )
    _, (problem,) = checked(changed("sensor", []))
    wanted = "sensor: unknown key; expected one of device, wifi, network, mqtt, "
    assert problem.startswith(wanted), problem


def test_a_missing_key_is_named():
    settings = json.loads(EXAMPLE)
    del settings["device"]["id"]
    del settings["sensors"][0]["pin"]
    del settings["thermostat"]["relay"]
    assert sorted(checked(settings)[1]) == [
        "device.id: missing; expected 1 to 64 characters, without / + # and spaces; "
        "or device.provision in place of it",
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
    assert problem.endswith(", pin, rom, nth, resolution"), problem
    settings, problems = checked(
        changed("sensors.0", {"prop": "temperature", "driver": "counter", "file": "c.txt"})
    )
    assert problems == [] and settings["sensors"][0]["file"] == "c.txt"
    refuses(
        "sensors.0.driver",
        "dht",
        "sensors[0].driver: expected "
        + " or ".join(['"%s"' % name for name in drivers()])
        + ', got "dht"',
    )


def test_a_driver_that_is_not_named_is_not_imported():
    for name in drivers():
        sys.modules.pop("firmware.sensors." + name, None)
    checked(changed("sensors.0", {"prop": "temperature", "driver": "counter"}))
    assert "firmware.sensors.counter" in sys.modules
    assert "firmware.sensors.ds18x20" not in sys.modules
    assert "firmware.sensors.room" not in sys.modules


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
        "tcp://mqtt.csip.io:1883",
        "tcp://mqtt.csip.io:8883",
        "wss://h/mqtt",
    ):
        accepts("mqtt.url", url)
    for url in ("http://localhost:8080/v3", "https://api.csip.io/v3/"):
        accepts("https.url", url)
    schemes = ("mqtt", "mqtts", "ws", "wss", "tcp")
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
    for hosts, what in (
        (["h:0"], '"h:0": its port is not a number from 1 to 65535'),
        (["a", "a:b"], '"a:b": its port is not a number from 1 to 65535'),
        (["a", 1, "b"], "1"),
        (["a b"], '"a b": its host has a character that no host has'),
        ([""], '"": it has no host'),
        (["ntp://a"], '"ntp://a": its port is not a number from 1 to 65535'),
        (["user:hunter2@a"], "(hidden): its port is not a number from 1 to 65535"),
        (["a"] * 5, "5"),
        (["a", ["b"]], "a list"),
        ([None], "null"),
    ):
        refuses("time.ntp", hosts, wanted + what)
    refuses("time.ntp", "pool.ntp.org", wanted + '"pool.ntp.org"')


def test_the_network_knows_the_device_by_these():
    name = "network.hostname: expected text of 1 to 32 characters or null, got "
    for key, good, bad, told in (
        ("hostname", "hall-1", "", name + '""'),
        (
            "country",
            "DE",
            "DEU",
            'network.country: expected text of 2 characters or null, got "DEU"',
        ),
        ("power_save", True, 1, "network.power_save: expected true or false, got 1"),
    ):
        accepts("network", {key: good})
        refuses("network", {key: bad}, told)
    settings, _ = checked(json.loads(EXAMPLE))
    assert settings["network"] == {
        "hostname": None,
        "country": None,
        "power_save": False,
        "dns": [],
    }


def test_name_servers_are_addresses():
    accepts("network", {"dns": ["192.0.2.1", "127.0.0.1:5353"]})
    wanted = "network.dns: expected a list of at most 2 IPv4 addresses, or address:port, got "
    for servers, what in (
        (["dns.example"], '"dns.example": it is no IPv4 address'),
        (["256.0.0.1"], '"256.0.0.1": it is no IPv4 address'),
        (["192.0.2.1", "192.0.2.2:0"], '"192.0.2.2:0": its port is not a number from 1 to 65535'),
        (["192.0.2.1"] * 3, "3"),
        ("192.0.2.1", '"192.0.2.1"'),
    ):
        refuses("network", {"dns": servers}, wanted + what)


def test_the_device_id_fits_into_a_topic():
    for bad in ("a/b", "a b", "#", "+", "", "a\nb", "x" * 65):
        _, (problem,) = checked(changed("device.id", bad))
        assert problem.startswith("device.id: expected 1 to 64 characters, without / + # and ")


def test_text_has_no_control_characters():
    for bad in ("a\nb", "\0", "\x7f"):
        _, (problem,) = checked(changed("wifi.0.ssid", bad))
        assert problem.startswith("wifi[0].ssid: expected text of 1 to 32 characters"), problem


def test_what_is_found_is_never_what_was_expected():
    """A control character that nobody sees, and a number that no float holds, are named."""
    ssid = "wifi[0].ssid: expected text of 1 to 32 characters, got "
    refuses("wifi.0.ssid", "home\n", ssid + '"home\\n", which has a control character')
    refuses("wifi.0.ssid", "\x7f", ssid + '"\x7f", which has a control character')
    secret = "wifi[0].password: expected text of 0 to 64 characters, got (hidden)"
    refuses("wifi.0.password", "hunter2\n", secret + ", which has a control character")
    refuses("wifi.0.password", "x" * 65, secret)
    for number in ("1e400", "-1e400"):
        text = EXAMPLE.replace('"grace_s": 10', '"grace_s": ' + number)
        assert load_text(text)[1] == [
            "mqtt.grace_s: expected 0 to 3600 seconds, got a number that is too large"
        ]


def test_the_id_of_a_key_has_no_colon():
    """Basic authentication separates it from the secret by one: RFC 7617, section 2."""
    accepts("device.key_id", "_key_1 x/+#")
    wanted = "device.key_id: expected 1 to 64 characters, without a colon, got "
    refuses("device.key_id", "_key_1:hunter2", wanted + "(hidden)")
    refuses("device.key_id", "", wanted + '""')
    refuses("device.key_id", 5, wanted + "5")


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
