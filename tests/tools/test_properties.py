"""`csipio properties`: what has to be created on the platform for a device."""

import json
import subprocess
import sys

from tools import ROOT
from tools.platform.control import Control, write

WHOLE = {
    "device": {"id": "_dev_571692235317590466", "key_id": "_key_1", "key_secret": "hidden!"},
    "sensors": [
        {"prop": "room", "driver": "room"},
        {"prop": "outside", "driver": "ds18x20", "pin": 4},
    ],
    "thermostat": {"sensor": "room", "relay": {"pin": 26}, "stage2": {"pin": 27}},
    "health": {"properties": ["uptime", "transport"]},
}


def csipio(*arguments):
    command = [sys.executable, "-m", "tools", "properties", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def printed(folder, config):
    (folder / "config.json").write_text(json.dumps(config))
    done = csipio(folder)
    assert (done.returncode, done.stderr) == (0, "")
    return {row["name"]: row for row in json.loads(done.stdout)}


def test_they_are_those_of_the_configuration(tmp_path):
    rows = printed(tmp_path, WHOLE)
    assert {"room", "outside", "relay", "relay2", "fault", "uptime", "transport"} <= set(rows)
    assert not {"cooler", "freeheap", "temperature"} & set(rows)
    assert rows["setpoint"] == {
        "name": "setpoint",
        "type": "number",
        "access": "public",
        "publish": "always",
        "min": 5,
        "max": 35,
    }
    assert rows["outside"] == {
        "name": "outside",
        "type": "number",
        "access": "protected",
        "publish": "never",
    }
    assert rows["mode"]["values"] == ["off", "heat", "cool", "auto"]


def test_a_device_that_regulates_nothing_has_no_regulation_and_no_health_if_it_reports_none(
    tmp_path,
):
    config = {**WHOLE, "health": {"every_s": 0}}
    del config["thermostat"]
    names = {
        "room",
        "outside",
        "report_every",
        "restart",
        "identify",
        "config",
        "update",
        "lastcommand",
    }
    names |= {"lastfault"}  # told without any report, too
    assert set(printed(tmp_path, config)) == names


def test_without_a_configuration_they_are_all_that_the_firmware_has(tmp_path):
    done = csipio()
    rows = {row.pop("name"): row for row in json.loads(done.stdout)}
    declared = Control(tmp_path).properties
    assert set(declared) - set(rows) == {"temperature", "humidity", "counter"}
    # What is printed is what the stand-in takes.
    tree = json.loads((tmp_path / "control.json").read_text())
    write(tmp_path / "control.json", {**tree, "properties": rows})
    again = Control(tmp_path).properties
    assert again == {name: declared[name] for name in rows}


def test_a_mistake_is_told_in_a_line_without_a_secret(tmp_path):
    for text, words in (
        (b"{", "not JSON"),
        (json.dumps({**WHOLE, "x": 1}).encode(), "x: unknown"),
    ):
        path = tmp_path / "config.json"
        path.write_bytes(text)
        done = csipio(path)
        assert (done.returncode, done.stdout) == (2, "")
        (line,) = done.stderr.splitlines()
        assert line.count(str(path)) == 1
        assert line.startswith(f"csipio: {path}: ") and words in line and "hidden!" not in line
    done = csipio(tmp_path / "nowhere")
    assert done.returncode == 2 and "no such file; name a config.json" in done.stderr
