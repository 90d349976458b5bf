"""The properties that a device writes, and takes commands by: they have to exist on the platform,
which rejects points of any other, over MQTT without a word to the device.

What a device has depends on its configuration. The firmware's tables say the names, and the types
of commands; the stand-in declares the types of the rest.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

from tools import ROOT, ToolError, micropython
from tools.platform.control import COMMAND, DEFAULT_PROPERTIES

# Runs inside MicroPython. Without a configuration it is a device that has everything but sensors.
_PRINT = """
import json, sys
from firmware.commands import table
from firmware.config import load
from firmware.supervision import health
settings, problems = None, []
if len(sys.argv) > 1:
    settings, problems = load.load(sys.argv[1])
print(json.dumps({
    "problems": [] if settings else problems,
    "settings": settings and {
        "sensors": settings["sensors"],
        "thermostat": settings["thermostat"],
        "health": settings["health"],
    },
    "health": health.names(),
    "commands": [row[:6] for row in table.rows()],
}))
"""
# The firmware's kinds of values as the platform's types.
TYPES = {
    "number": "number",
    "whole number": "number",
    "choice": "enum",
    "true or false": "boolean",
    "schedule": "object",
    "object": "object",
    "time": "string",
}
# Drivers whose readings are true or false; those of all others are numbers.
_SWITCHES = ("contact",)
# What the regulation reports, and the section of `thermostat` without which there is none.
_REGULATION = {"relay": "relay", "relay2": "stage2", "cooler": "cooler", "fault": "relay"}


def properties(config: Path | None = None) -> list[dict[str, Any]]:
    """Each property: its name, type, access and publish, and limits where a command has some; and
    by which part of a configuration it is there (`when`). Raises ToolError.
    """
    firmware = _asked(config)
    settings = firmware["settings"]
    regulated = settings is None or settings["thermostat"]
    found = [_sensor(spec) for spec in settings["sensors"]] if settings else []
    for name, section in _REGULATION.items():
        if settings is None or (regulated and regulated[section]):
            when = f"`thermostat.{section}`" if section != "relay" else "`thermostat`"
            found.append({"name": name, **_reported(name), "when": when})
    for name, kind, limits, _, owner, _ in firmware["commands"]:
        if regulated or owner == "device":
            when = "always" if owner == "device" else "`thermostat`"
            found.append({"name": name, **_command(kind, limits), "when": when})
    always = ("lastcommand", "lastfault")
    found += [{"name": name, **_reported(name), "when": "always"} for name in always]
    health = firmware["health"]
    if settings:
        section = settings["health"]
        health = section["properties"] if section["every_s"] else []
    when = "`health.properties`"
    found += [{"name": n, **_reported(n), "when": when} for n in health if n not in always]
    return found


def _asked(config):
    arguments = [] if config is None else [str(config.absolute())]
    done = subprocess.run(
        micropython.command("-c", _PRINT, *arguments),
        env=micropython.environment([ROOT]),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise ToolError(f"the firmware's tables cannot be printed:\n{done.stdout}{done.stderr}")
    answer = json.loads(done.stdout)
    if answer["problems"]:
        problems = [problem.removeprefix(f"{config}: ") for problem in answer["problems"]]
        raise ToolError(f"{config}: " + "; ".join(problems))
    return answer


def _sensor(spec):
    kind = "boolean" if spec["driver"] in _SWITCHES else "number"
    row = {"name": spec["prop"], "type": kind, "access": "protected", "publish": "never"}
    return {**row, "when": "`sensors`"}


def _reported(name):
    return {"type": DEFAULT_PROPERTIES[name]["type"], "access": "protected", "publish": "never"}


def _command(kind, limits):
    row = {"type": TYPES[kind], **COMMAND}
    if row["type"] == "number":
        row["min"], row["max"] = limits
    elif row["type"] == "enum":
        row["values"] = limits
    return row


def main(path: Path | None) -> None:
    """Print them as JSON. `path`: a config.json, or the folder that has one."""
    if path is not None and path.is_dir():
        path = path / "config.json"
    if path is not None and not path.is_file():
        raise ToolError(f"{path}: no such file; name a config.json, or the folder that has one")
    rows = [{key: row[key] for key in row if key != "when"} for row in properties(path)]
    print("[\n" + ",\n".join(f" {json.dumps(row)}" for row in rows) + "\n]")
