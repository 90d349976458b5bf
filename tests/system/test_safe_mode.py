"""A firmware that dies three times: safe mode, what it tells, and how it ends."""

import json
import struct

import pytest

from tests.system.device import wait
from tests.system.test_commands import latest
from tests.system.test_door import write

# No start can make the regulation. It waits for the next one less long than a real one, and an
# hour has passed when the file `hour` is there.
BROKEN = """
import os, time
from firmware import app
from firmware.base import uptime
class Soon:
    sleep = lambda seconds: time.sleep(2)
app.time = Soon
ms = uptime.ms
ahead_ms = 0
def later():
    global ahead_ms
    if not ahead_ms and "hour" in os.listdir():
        os.remove("hour")
        ahead_ms = 3600000
    return ms() + ahead_ms
uptime.ms = later
def fail(*arguments):
    raise ValueError("broken for a test: %s")
def break_it():
    if "mended" not in os.listdir():
        app.Regulation = fail
break_it()
"""


def count(device, words):
    return sum(words in line for line in device.log)


# At each start, of which nothing is there in the next one.
AGAIN = """
import builtins
real = builtins.__import__
def __import__(name, *more):
    if name == "main":
        real("broken")
    return real(name, *more)
builtins.__import__ = __import__
"""


def broken(device, secret=""):
    """Start a firmware whose every start is broken, until the file `mended` is there."""
    (device.folder / "broken.py").write_text(BROKEN.replace("%s", secret))
    device.start_broken("import sys; sys.path.append('')\n" + AGAIN)


def in_safe_mode(device, times=1):
    wait(lambda: count(device, "W safe_mode: safe mode for an hour") >= times, "safe mode", 60)


def fault(platform):
    """What the platform was told, if it was."""
    return latest(platform, "lastfault")


@pytest.mark.timeout(180)
def test_three_broken_starts_lead_to_safe_mode_which_tells_why_and_ends_by_a_command(
    device, platform
):
    secret = device.config["device"]["key_secret"]
    device.config["thermostat"]["failsafe"] = {"on_s": 3599, "every_s": 3600}
    broken(device, secret)
    in_safe_mode(device)
    assert count(device, "ValueError: broken for a test") >= 3
    assert count(device, "restarting: failure") == 3
    device.wait_log("listening for commands")
    device.wait_log("I loop: relay on: no temperature")
    wait(lambda: fault(platform), "the fault")
    assert fault(platform).startswith("the run, firmware ")
    assert fault(platform).rstrip().endswith("ValueError: broken for a test: (hidden)")
    assert secret not in fault(platform)
    wait(lambda: latest(platform, "fault") == "safe mode", "the fault of the heating")
    wait(lambda: not (device.folder / "lastfault.txt").exists(), "the fault, forgotten")
    (device.folder / "mended").touch()
    write(platform, {"restart": True})
    device.wait_log("started by command")
    wait(lambda: latest(platform, "fault") == "none", "the heating as before")
    wait(lambda: latest(platform, "temperature"), "readings")
    assert len({value for _, _, value in platform.points("lastfault")}) == 1
    assert not any(secret in line for line in device.log if "broken" not in line)


@pytest.mark.timeout(180)
def test_it_ends_after_an_hour_and_what_is_not_told_is_kept(device, platform):
    platform.stop_mqtt()
    device.config["https"]["url"] = "https://localhost:1/v3"
    device.config["mqtt"]["url"] = "mqtts://localhost:1"
    broken(device)
    in_safe_mode(device)
    device.wait_log("MQTT: the connection was refused")
    kept = (device.folder / "lastfault.txt").read_text()
    assert "ValueError: broken for a test" in kept
    (device.folder / "mended").touch()
    (device.folder / "hour").touch()
    device.wait_log("restarting: safe-mode")
    device.wait_log("started by safe-mode")
    device.wait_log("relay on")
    assert count(device, "W safe_mode") == 1
    assert (device.folder / "lastfault.txt").read_text() == kept


@pytest.mark.timeout(180)
def test_power_cuts_and_ctrl_c_between_do_not_lead_to_it(device):
    for end in (device.kill, device.interrupt, device.kill):
        device.log.clear()
        broken(device)
        wait(lambda: count(device, "restarting in 10 s") >= 3, "three starts")
        end()
        # A board does not know of a restart whose power went.
        (device.folder / "restarted").unlink(missing_ok=True)
        assert count(device, "safe mode") == 0


@pytest.mark.timeout(180)
def test_it_ends_with_another_config_json(device, platform):
    broken(device)
    in_safe_mode(device)
    (device.folder / "mended").touch()
    device.config["thermostat"]["setpoint"] = 25
    (device.folder / "config.json").write_text(json.dumps(device.config))
    device.wait_log("restarting: config")
    device.wait_log("relay on")
    wait(lambda: latest(platform, "setpoint") == 25, "the new set point")


@pytest.mark.timeout(180)
def test_it_ends_with_a_configuration_from_afar(device, platform):
    broken(device)
    in_safe_mode(device)
    device.wait_log("listening for commands")
    (device.folder / "mended").touch()
    write(platform, {"config": {"thermostat": {"setpoint": 25}}})
    device.wait_log("the configuration is kept", 60)
    assert json.loads((device.folder / "config.json").read_text())["thermostat"]["setpoint"] == 25


@pytest.mark.timeout(180)
def test_a_configuration_on_trial_that_ends_every_start_is_rolled_back_and_no_safe_mode(
    device, platform
):
    (device.folder / "mended").touch()
    broken(device)
    device.wait_log("listening for commands")
    (device.folder / "mended").unlink()
    write(platform, {"config": {"thermostat": {"setpoint": 25}}})
    wait(lambda: count(device, "restarting in 10 s") >= 3, "the trial's starts", 60)
    (device.folder / "mended").touch()
    device.wait_log("started by failure")
    wait(lambda: (latest(platform, "lastcommand") or {}).get("ok") is False, "the refusal", 60)
    assert count(device, "safe mode") == 0


@pytest.mark.parametrize(("early", "reaches"), [(3, True), (4, False)])
def test_the_linked_firmware_has_it_too(device, platform, early, reaches):
    device.config["thermostat"]["failsafe"] = {"on_s": 3599, "every_s": 3600}
    device.config["device"]["led"] = 25
    device.config["health"]["every_s"] = 3600  # the fault does not wait for that
    # As a board's RTC has it.
    (device.folder / "retained").write_bytes(struct.pack("<II", 0, early))
    (device.folder / "restarted").write_text("failure")
    device.start()
    in_safe_mode(device)
    if reaches:
        wait(lambda: fault(platform), "the fault")
        assert "no traceback; started by failure" in fault(platform)
        wait(lambda: latest(platform, "relay") is True, "the relay on")
        write(platform, {"restart": True})
        device.wait_log("started by command")
        device.wait_log("loop: relay on: 1")
    else:
        device.wait_log("safe_mode: relay: True")
        assert not any("uplink" in line for line in device.log)
        assert device.interrupt() == 0
        device.wait_log("interrupted; the relay is off")
        device.log.clear()
        device.start()
        device.wait_log("loop: relay on: 1")
        assert count(device, "safe mode") == 0


# The firmware cannot be imported, until the file `mended` is there.
NO_IMPORT = """
import builtins, os, time
real = builtins.__import__
class Soon:
    sleep = lambda seconds: time.sleep(0.5)
def __import__(name, globals=None, locals=None, names=(), level=0):
    if name == "firmware" and "app" in (names or ()) and "mended" not in os.listdir():
        raise MemoryError("broken for a test")
    if name == "firmware" and "rescue" in (names or ()):
        real("firmware.rescue").rescue.time = Soon
    return real(name, globals, locals, names, level)
builtins.__import__ = __import__
"""


@pytest.mark.timeout(180)
@pytest.mark.parametrize("origin", ["romfs", "sources"])
def test_starts_that_die_while_the_firmware_is_imported_lead_to_it_too(device, platform, origin):
    device.start_broken(NO_IMPORT, origin=origin)
    wait(lambda: count(device, "The firmware cannot be loaded") >= 3, "three starts", 60)
    assert "the import, firmware " in (device.folder / "lastfault.txt").read_text()
    (device.folder / "mended").touch()
    in_safe_mode(device)
    wait(lambda: fault(platform), "the fault")
    assert fault(platform).startswith("the import, firmware ")
    assert fault(platform).rstrip().endswith("MemoryError: broken for a test")


@pytest.mark.timeout(180)
def test_ctrl_c_while_it_cannot_be_imported_gives_the_prompt_and_ends_the_row(device):
    device.start_broken(NO_IMPORT.replace("time.sleep(0.5)", "time.sleep(seconds)"))
    device.wait_log("The firmware cannot be loaded; restarting in 10 s. Ctrl-C gives the prompt.")
    assert device.interrupt() == 0
    device.wait_log("Stopped; the relay is off.")
    assert not (device.folder / "restarted").exists()
    (device.folder / "mended").touch()
    device.start()
    device.wait_log("listening for commands")
    assert count(device, "safe mode") == 0
