"""Faults that a thermostat meets in its life. None of them ends the process."""

import json
import time

import trustme

from tests.system.device import wait
from tests.system.test_commands import latest


def test_a_configuration_with_a_wrong_value_runs_on_the_last_good_one(device, platform):
    device.start()
    wait(lambda: latest(platform, "temperature"), "a temperature")
    assert device.interrupt() == 0
    broken = json.loads(json.dumps(device.config))
    broken["sensors"][0]["every_s"] = -3
    broken["device"]["key_secret"] = ["swordfish"]
    (device.folder / "config.json").write_text(json.dumps(broken))
    before = len(platform.points("temperature"))

    device.start_as_it_is()
    device.wait_log(r"sensors\[0\]\.every_s: expected 0\.1 to 86400 seconds, got -3")
    device.wait_log("running on the last good configuration")
    wait(lambda: len(platform.points("temperature")) > before, "further temperatures")
    assert "swordfish" not in "\n".join(device.log)


def test_without_any_good_configuration_it_waits_for_one(device, platform):
    (device.folder / "config.json").write_text("{")
    device.start_as_it_is()
    device.wait_log("config.json: not JSON at line 1")
    (device.folder / "config.json").write_text(json.dumps(device.config))
    wait(lambda: latest(platform, "temperature"), "a temperature")


def test_a_failing_sensor_is_told_once_and_the_others_go_on(device, platform):
    device.count()
    device.start()
    device.wait_log("mqtt_client: connected")
    (device.folder / "counter.txt").unlink()
    device.stop()
    (device.folder / "counter.txt").mkdir()
    before = len(platform.points("temperature"))

    device.start()
    device.wait_log("E sampler counter: no reading: cannot use counter.txt")
    wait(lambda: len(platform.points("temperature")) > before + 4, "further temperatures")
    assert len([line for line in device.log if "no reading" in line]) == 1
    (device.folder / "counter.txt").rmdir()
    device.wait_log("counter: reads again")
    wait(lambda: latest(platform, "counter") is not None, "a count")


def test_without_a_reading_the_relay_is_off_until_there_are_good_ones_again(device, platform):
    device.config["thermostat"]["stale_after_s"] = 5
    device.start_broken("""
import time
import firmware.sensors.room as room
began = time.ticks_ms()
def value(self, n, real=room.Driver.value):
    if 3000 < time.ticks_diff(time.ticks_ms(), began) < 12000:
        raise OSError("unplugged")
    return real(self, n)
room.Driver.value = value
""")
    device.wait_log("relay on")
    device.wait_log("W loop: fault: no reading")
    wait(lambda: latest(platform, "fault") == "no reading", "the fault, told")
    wait(lambda: latest(platform, "relay") is False, "the relay off")
    device.wait_log("the fault is over")
    wait(lambda: latest(platform, "fault") == "none", "the end of the fault, told")
    wait(lambda: latest(platform, "relay") is True, "the relay on")
    told = [line for line in device.log if "relay" in line or "fault" in line]
    at = next(i for i, line in enumerate(told) if "W loop: fault" in line)
    assert "relay off" in told[at - 1], "off first: " + "\n".join(told)


def test_a_full_buffer_drops_the_oldest_and_counts_them(device, platform):
    device.config["thermostat"] = None
    device.config["sensors"] = []
    device.config["buffer"] = {"ram_points": 16, "flash_kib": 0}
    device.config["health"] = {"every_s": 30}
    device.count()
    platform.stop_mqtt()
    platform.stop_https()
    device.start()
    wait(lambda: device.log and len(device.counted()) > 60, "sixty readings")
    platform.start_https()
    platform.start_mqtt()
    wait(lambda: platform.points("counter"), "readings after the outage", 60)
    device.interrupt()
    values = [value for _, _, value in platform.points("counter")]
    assert values == list(range(values[0], values[-1] + 1)), "the newest, without a gap"
    assert values[0] > 40


def test_refused_credentials_are_not_hammered(device, platform):
    device.config["device"] = dict(device.config["device"], key_secret="wrong")
    device.config["mqtt"]["grace_s"] = 0
    device.start()
    device.wait_log(r"MQTT: the broker refused device.key_id and device.key_secret.* in 6\d s")
    device.wait_log(r"HTTPS: the API refused device.key_id and device.key_secret.* in 6\d s")
    # Whatever would hammer does so within seconds: the first delays are below eight.
    time.sleep(8)
    attempts = [line for line in device.log if "refused" in line]
    assert len(attempts) == 2, "\n".join(device.log)
    assert device.running


def test_a_disabled_device_is_told_what_to_look_at(device, platform):
    platform.control(lambda tree: tree["device"].update(status="disabled"))
    device.start()
    device.wait_log("MQTT: the broker refused this device; is it disabled, or is the key")
    assert not platform.writes()


def test_a_certificate_of_another_authority_is_refused_on_both_transports(device, platform):
    trustme.CA().cert_pem.write_to_path(device.folder / "certs/ca.pem")
    device.config["mqtt"]["grace_s"] = 0
    device.start()
    device.wait_log("MQTT: the certificate of .* is not signed by .*; is tls.ca right")
    device.wait_log("HTTPS: the certificate of .* is not signed by .*; is tls.ca right")
    assert not platform.writes()
    assert not platform.connected


def test_a_missing_authority_is_told(device, platform):
    (device.folder / "certs/ca.pem").unlink()
    device.start()
    device.wait_log("MQTT: tls.ca: certs/ca.pem cannot be read .* put the CA there")
    assert device.running


def test_rejected_points_are_counted_and_told(device, platform):
    platform.control(lambda tree: tree["properties"].pop("temperature"))
    platform.stop_mqtt()
    device.config["mqtt"]["grace_s"] = 0
    device.start()
    device.wait_log("https_api: the platform rejected [0-9]+ of [0-9]+ points")
    wait(lambda: (latest(platform, "rejected") or 0) > 0, "the count of rejected points")


def test_too_many_feeds_wait_as_long_as_the_platform_asks(device, platform):
    platform.stop_mqtt()
    device.config["mqtt"]["grace_s"] = 0
    device.start()
    device.wait_log("HTTPS carries the feeds")
    # Lower than what was sent within the last minute already.
    platform.control(lambda tree: tree["limits"].update(rateLimit=2))
    line = device.wait_log(r"https_api: too many feeds \(429\); waiting [0-9]+ s", 60)
    assert 1 <= int(line.split("waiting ")[1].split()[0]) <= 60
    assert device.running


def test_the_limits_that_the_platform_states_are_kept(device, platform):
    platform.control(lambda tree: tree["limits"].update(rateLimit=240, maxNrOfDpPerFeed=3))
    device.config["health"]["every_s"] = 0
    device.count()
    device.start()
    device.wait_log("https_api: the platform takes 240 feeds a minute, 3 points each")
    wait(lambda: len(platform.points("counter")) > 50, "fifty readings")
    # Over MQTT a feed above a limit would be acknowledged, and lost.
    values = [value for _, _, value in platform.points("counter")]
    assert values == list(range(len(values)))
    assert not [line for line in platform.log() if "feed" in line], platform.log()


def test_ctrl_c_switches_the_relay_off_and_ends_cleanly(device, platform):
    device.start()
    device.wait_log("relay on")
    assert device.interrupt() == 0
    assert "interrupted; the relay is off" in device.log[-1]
    assert not [line for line in device.log if "Traceback" in line]


def test_a_disabled_device_is_told_so_and_not_that_its_key_is_wrong(device, platform):
    platform.control(lambda tree: tree["device"].update(status="disabled"))
    device.config["mqtt"]["grace_s"] = 0
    device.start()
    device.wait_log("MQTT: the broker refused this device; is it disabled, or is the key not that")
    device.wait_log(r"HTTPS: the API refused this device \(403\); is it disabled, or ")
    assert not [line for line in device.log if "key_secret" in line]
