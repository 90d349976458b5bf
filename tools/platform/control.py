"""`control.json`: what a person or a test may change about the platform while it runs.

The file is made at first start, with new ids and secrets, and is read again whenever it has
changed (before every request, publish and connection, and ten times a second). A file that is
not valid changes nothing: the last good one stays in force, and the log says what is wrong.

    {
     "device":  {"id": "_dev_…", "name": "thermostat", "key_id": "_key_…", "key_secret": "…",
                 "profile": "thermostat", "status": "debug"},
     "devices": [],
     "client":  {"key_id": "_key_…", "key_secret": "…"},
     "limits":  {"rateLimit": 60, "maxNrOfDpPerFeed": 100},
     "down":    [],
     "retained": {},
     "properties": {
      "temperature": {"type": "number", "min": -55, "max": 125},
      "setpoint": {"type": "number", "access": "public", "publish": "always", "min": 5, "max": 35}
     }
    }

- `device`: the first device, and its key for both protocols. A path of the API may have its `name`
  in place of its id. `profile` is the left half of a qualified name, `profile$name`. `status` is
  one of
  - `debug`: what is refused goes to the device's log, with the reason,
  - `active`: it does not,
  - `disabled`: the device may not connect, and its writes are refused.
- `devices`: more of the same, each with an id, a name and a key of its own. All have the same
  properties.
- `client`: the key of a person or an application, for HTTPS only.
- `limits`: `rateLimit`, feeds per minute of the device, and separately of the client;
  `maxNrOfDpPerFeed`, points in one feed.
- `down`: `"mqtt"`, `"https"`, both or none: what does not listen now; its connections are cut.
- `retained`: by property, the value of a message that the broker has retained on the topic of
  its commands. A new one goes out as a command, too, as when somebody publishes it.
- `properties`: by lower-case name
  - `type`: number, boolean, string, enum, object or waypoint,
  - `access`: private, protected (the default) or public,
  - `publish`: always, changed or never (the default),
  - `min` and `max` of a number, either or both; `values` of an enum.

A key that was changed, or a device that was disabled, also ends the device's MQTT connection.
`name`, `devices` and `retained` may be missing.
"""

import hmac
import json
import logging
import os
import re
import secrets
from pathlib import Path

from . import properties
from .properties import Property

log = logging.getLogger(__name__)

LISTENERS = ("mqtt", "https")
STATUS = ("debug", "active", "disabled")

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_DEVICE_ID = re.compile(r"_dev_\d{18,21}")
_NAMED = "thermostat"  # the first device
_ENUM_VALUES = 100
_ENUM_CHARACTERS = 64
_DEVICE = {"id", "name", "key_id", "key_secret", "profile", "status"}
_FIELDS = {
    "device": _DEVICE,
    "client": {"key_id", "key_secret"},
    "limits": {"rateLimit", "maxNrOfDpPerFeed"},
}

COMMAND = {"access": "public", "publish": "always"}
DEFAULT_PROPERTIES = {
    "temperature": {"type": "number", "min": -55, "max": 125},
    "humidity": {"type": "number", "min": 0, "max": 100},
    "counter": {"type": "number"},
    "setpoint": {"type": "number", **COMMAND, "min": 5, "max": 35},
    "setpoint_cool": {"type": "number", **COMMAND, "min": 5, "max": 35},
    "mode": {"type": "enum", **COMMAND, "values": ["off", "heat", "cool", "auto"]},
    "preset": {
        "type": "enum",
        **COMMAND,
        "values": ["home", "away", "sleep", "boost", "manual"],
    },
    "schedule": {"type": "object", **COMMAND},
    "hold_until": {"type": "string", **COMMAND},
    "report_every": {"type": "number", **COMMAND, "min": 0.1, "max": 3600},
    "restart": {"type": "boolean", **COMMAND},
    "identify": {"type": "number", **COMMAND, "min": 0, "max": 300},
    "config": {"type": "object", **COMMAND},
    "update": {"type": "object", **COMMAND},
    "lastcommand": {"type": "object"},
    "relay": {"type": "boolean"},
    "relay2": {"type": "boolean"},
    "cooler": {"type": "boolean"},
    "fault": {"type": "string"},
    "uptime": {"type": "number"},
    "freeheap": {"type": "number"},
    "lowheap": {"type": "number"},
    "freeidf": {"type": "number"},
    "largestidf": {"type": "number"},
    "waiting": {"type": "number"},
    "spilled": {"type": "number"},
    "dropped": {"type": "number"},
    "rejected": {"type": "number"},
    "undated": {"type": "number"},
    "thinned": {"type": "number"},
    "lost": {"type": "number"},
    "damaged": {"type": "number"},
    "transport": {"type": "string"},
    "resetcause": {"type": "string"},
    "lastfault": {"type": "string"},
    "firmware": {"type": "string"},
    "reconnections": {"type": "number"},
    "unverified": {"type": "boolean"},
    "restarts": {"type": "number"},
    "rssi": {"type": "number"},
    "looppause": {"type": "number"},
    "relayseconds": {"type": "number"},
    "relaycycles": {"type": "number"},
}


class ControlError(ValueError):
    """The control file is not valid; the text names the key and what was expected."""


class Control:
    """The control file of `directory`, parsed. Raises ControlError if the first one is bad."""

    device: dict
    devices: list[dict]  # with the first one
    client: dict
    limits: dict
    down: frozenset
    retained: dict
    properties: dict[str, Property]

    def __init__(self, directory: Path):
        self.path = directory / "control.json"
        if not self.path.exists():
            write(self.path, _first())
        self._seen = self._stamp()
        self._apply(self.path.read_bytes())

    def refresh(self) -> None:
        """Read the file again if it has changed."""
        stamp = self._stamp()
        if stamp is None or stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._apply(self.path.read_bytes())
            log.info("control.json read")
        except (ControlError, OSError) as error:
            log.error("%s; the last good one stays in force", error)

    def find(self, ref: str) -> dict | None:
        """The device with this id or name."""
        return next((d for d in self.devices if ref in (d["id"], d["name"])), None)

    def property(self, device: dict, name: str) -> Property | None:
        """The device's property of this name, id or qualified name `profile$name`, in any case."""
        profile, separator, bare = name.lower().rpartition("$")
        if separator and profile != device["profile"].lower():
            return None
        if bare.startswith("_prp_"):
            return next((p for p in self.properties.values() if p.id == bare), None)
        return self.properties.get(bare)

    def _stamp(self) -> tuple | None:
        try:
            status = os.stat(self.path)
        except FileNotFoundError:  # between an editor's two steps
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _apply(self, text: bytes) -> None:
        try:
            tree = json.loads(text)
        except ValueError as error:
            raise ControlError(f"control.json: expected JSON: {error}") from None
        if isinstance(tree, dict):
            if isinstance(tree.get("device"), dict):
                tree["device"].setdefault("name", _NAMED)
            tree = {"devices": [], "retained": {}, **tree}
        _check(tree)
        self.device, self.client = tree["device"], tree["client"]
        self.devices = [self.device, *tree["devices"]]
        self.retained = tree["retained"]
        self.limits, self.down = tree["limits"], frozenset(tree["down"])
        self.properties = {
            name: Property(name, **{**spec, "values": tuple(spec.get("values", ()))})
            for name, spec in tree["properties"].items()
        }


def is_key(given: bytes, owner: dict) -> bool:
    """Whether `given`, `id:secret`, is the owner's key."""
    return hmac.compare_digest(given, f"{owner['key_id']}:{owner['key_secret']}".encode())


def write(path: Path, tree: dict) -> None:
    """Write a control file so that no reader sees half of it: one line a section or property."""
    lines = [f' "{name}": {json.dumps(tree[name])}' for name in tree if name != "properties"]
    rows = [f'  "{name}": {json.dumps(spec)}' for name, spec in tree["properties"].items()]
    lines.append(' "properties": {\n' + ",\n".join(rows) + "\n }")
    part = path.with_name(path.name + ".part")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write("{\n" + ",\n".join(lines) + "\n}\n")
    part.replace(path)


def _first() -> dict:
    def digits() -> str:
        return str(secrets.randbelow(9 * 10**17) + 10**17)

    def key() -> dict:
        return {"key_id": f"_key_{digits()}", "key_secret": secrets.token_hex(16)}

    device = {"id": f"_dev_{digits()}", "name": _NAMED, **key()}
    device |= {"profile": "thermostat", "status": "debug"}
    limits = {"rateLimit": 60, "maxNrOfDpPerFeed": 100}
    return {
        "device": device,
        "devices": [],
        "client": key(),
        "limits": limits,
        "down": [],
        "retained": {},
        "properties": DEFAULT_PROPERTIES,
    }


def _check(tree: object) -> None:
    """Raise ControlError naming the first key that is not as the module's docstring says."""
    _expect(isinstance(tree, dict), "the file", "an object")
    _expect_keys(tree, {*_FIELDS, "devices", "down", "retained", "properties"}, "")
    for section, keys in _FIELDS.items():
        _expect(isinstance(tree[section], dict), section, "an object")
        _expect_keys(tree[section], keys, section + ".")
    for name, value in tree["client"].items():
        _expect(isinstance(value, str) and value, f"client.{name}", "a string")
    _expect(isinstance(tree["devices"], list), "devices", "a list")
    taken = {"key_id": {tree["client"]["key_id"]: "client"}, "id": {}, "name": {}}
    _check_device(tree["device"], "device", taken)
    for index, device in enumerate(tree["devices"]):
        _check_device(device, f"devices[{index}]", taken)
    for name, value in tree["limits"].items():
        _expect(type(value) is int and value > 0, f"limits.{name}", "a whole number above 0")
    down = tree["down"]
    _expect(
        isinstance(down, list) and all(name in LISTENERS for name in down),
        "down",
        f"a list of {', '.join(LISTENERS)}",
    )
    for section in ("retained", "properties"):
        _expect(isinstance(tree[section], dict), section, "an object")
    for name in tree["retained"]:
        _expect(name in tree["properties"], f"retained.{name}", "the name of a property")
    for name, spec in tree["properties"].items():
        _check_property(name, spec)


def _check_device(device: object, where: str, taken: dict[str, dict[str, str]]) -> None:
    """taken: by key, whose value each is that no two devices may share."""
    _expect(isinstance(device, dict), where, "an object")
    _expect_keys(device, _DEVICE, f"{where}.")
    for name, value in device.items():
        _expect(isinstance(value, str) and value, f"{where}.{name}", "a string")
    _expect(_DEVICE_ID.fullmatch(device["id"]), f"{where}.id", "_dev_ and 18 to 21 digits")
    _expect(device["status"] in STATUS, f"{where}.status", f"one of {', '.join(STATUS)}")
    in_a_path = not device["name"].startswith("_") and "/" not in device["name"]
    _expect(in_a_path, f"{where}.name", "a name without /, that does not begin with _")
    for key, owners in taken.items():
        owner = owners.setdefault(device[key], where)
        _expect(owner == where, f"{where}.{key}", f"another one than {owner}.{key}")


def _check_property(name: str, spec: object) -> None:
    where = f"properties.{name}"
    _expect(_NAME.fullmatch(name), where, "a name of lower-case letters, digits and _")
    _expect(isinstance(spec, dict), where, "an object")
    kind = spec.get("type")
    _expect(kind in properties.TYPES, f"{where}.type", f"one of {', '.join(properties.TYPES)}")
    allowed = {"number": {"min", "max"}, "enum": {"values"}}.get(kind, set())
    for key, value in spec.items():
        _expect(key in {"type", "access", "publish"} | allowed, f"{where}.{key}", "no such key")
        if key in ("min", "max"):
            _expect(properties.is_number(value), f"{where}.{key}", "a number")
    for key, choices in (("access", properties.ACCESS), ("publish", properties.PUBLISH)):
        value = spec.get(key, choices[-1])
        _expect(value in choices, f"{where}.{key}", f"one of {', '.join(choices)}")
    if kind == "enum":
        values = spec.get("values")
        valid = isinstance(values, list) and 0 < len(values) <= _ENUM_VALUES
        valid = valid and all(
            properties.is_number(v) or (isinstance(v, str) and len(v) <= _ENUM_CHARACTERS)
            for v in values
        )
        _expect(valid, f"{where}.values", "1 to 100 strings of at most 64 characters, or numbers")


def _expect_keys(section: dict, keys: set, prefix: str) -> None:
    for name in sorted(section.keys() ^ keys):
        _expect(False, prefix + name, "to be there" if name in keys else "no such key")


def _expect(condition: object, where: str, expected: str) -> None:
    if not condition:
        raise ControlError(f"control.json: {where}: expected {expected}")
