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
- `fleets`: who may ask for an identity, and for which devices:
  `{"name": "house", "key_id": "_key_…", "key_secret": "…", "fault": "", "delay_s": 0, "boards":
  [{"mac": "24:0a:c4:00:01:fe", "device": "cellar", "config": {…}}]}`. A board is known by one of
  `id`, `cid`, `mac`, `sn`, `esn` and `imei`, and is the device of that name or id; `config` may be
  missing. The answer comes after `delay_s`. `fault` is one of
  - `""`: none,
  - `refuse`: CONNACK 5, `deaf`: SUBACK 0x80,
  - `silent`: no answer, `close`: the connection is closed in place of one,
  - `open`: it stays open after the answer, `strange`: an answer that makes no sense.
- `properties`: by lower-case name
  - `type`: number, boolean, string, enum, object or waypoint,
  - `access`: private, protected (the default) or public,
  - `publish`: always, changed or never (the default),
  - `min` and `max` of a number, either or both; `values` of an enum.

A key that was changed, or a device that was disabled, also ends the device's MQTT connection.
`name`, `devices`, `retained` and `fleets` may be missing.
"""

import hmac
import json
import logging
import os
import re
import secrets
from collections.abc import Callable
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
FAULTS = ("", "refuse", "deaf", "silent", "close", "open", "strange")
IDENTIFIERS = ("id", "cid", "mac", "sn", "esn", "imei")
_FLEET = {"name", "key_id", "key_secret", "fault", "delay_s", "boards"}
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

    def board(self, fleet: dict, asked: dict) -> dict | None:
        """The fleet's board that is meant by a request for an identity."""
        for board in fleet["boards"]:
            (by,) = board.keys() & set(IDENTIFIERS)
            if asked.get(by) == board[by]:
                return board
        return None

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
            tree = {"devices": [], "retained": {}, "fleets": [], **tree}
        _check(tree)
        self.device, self.client = tree["device"], tree["client"]
        self.devices = [self.device, *tree["devices"]]
        self.retained = tree["retained"]
        self.fleets = tree["fleets"]
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


def change(folder: Path, edit: Callable[[dict], object]) -> None:
    """Let `edit` change the tree of the control file in a stand-in's folder, which obeys it
    within a tenth of a second if it runs. Raises ControlError, OSError and what `edit` raises, and
    then nothing was changed.
    """
    path = folder / "control.json"
    try:
        tree = json.loads(path.read_bytes())
    except ValueError as error:
        raise ControlError(f"{path}: expected JSON: {error}") from None
    tree.setdefault("devices", [])
    tree.setdefault("fleets", [])
    edit(tree)
    _check({"retained": {}, **tree})
    write(path, tree)


def fleet_of(tree: dict, name: str) -> dict:
    """The fleet of that name, which is made if there is none."""
    for fleet in tree["fleets"]:
        if fleet["name"] == name:
            return fleet
    tree["fleets"].append(_new_fleet(name))
    return tree["fleets"][-1]


def _digits() -> str:
    return str(secrets.randbelow(9 * 10**17) + 10**17)


def _key() -> dict:
    return {"key_id": f"_key_{_digits()}", "key_secret": secrets.token_hex(16)}


def new_device(name: str) -> dict:
    """A device with a new id and key."""
    device = {"id": f"_dev_{_digits()}", "name": name, **_key()}
    return device | {"profile": "thermostat", "status": "debug"}


def _new_fleet(name: str) -> dict:
    """A fleet with a new key, and no boards yet."""
    return {"name": name, **_key(), "fault": "", "delay_s": 0, "boards": []}


def _first() -> dict:
    device = new_device(_NAMED)
    limits = {"rateLimit": 60, "maxNrOfDpPerFeed": 100}
    return {
        "device": device,
        "devices": [],
        "client": _key(),
        "limits": limits,
        "down": [],
        "retained": {},
        "properties": DEFAULT_PROPERTIES,
    }


def _check(tree: object) -> None:
    """Raise ControlError naming the first key that is not as the module's docstring says."""
    _expect(isinstance(tree, dict), "the file", "an object")
    _expect_keys(tree, {*_FIELDS, "devices", "down", "retained", "fleets", "properties"}, "")
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
    _expect(isinstance(tree["fleets"], list), "fleets", "a list")
    devices = taken["id"].keys() | taken["name"].keys()
    for index, fleet in enumerate(tree["fleets"]):
        _check_fleet(fleet, f"fleets[{index}]", taken["key_id"], devices)
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


def _check_fleet(fleet: object, where: str, keys: dict[str, str], devices: set[str]) -> None:
    """keys: those that are taken, and by whom; devices: all ids and names."""
    _expect(isinstance(fleet, dict), where, "an object")
    _expect_keys(fleet, _FLEET, f"{where}.")
    for name in ("name", "key_id", "key_secret"):
        value = fleet[name]
        _expect(isinstance(value, str) and value, f"{where}.{name}", "a string")
    owner = keys.setdefault(fleet["key_id"], where)
    _expect(owner == where, f"{where}.key_id", f"another one than {owner}.key_id")
    expected = "one of " + ", ".join(f'"{fault}"' for fault in FAULTS)
    _expect(fleet["fault"] in FAULTS, f"{where}.fault", expected)
    delay = fleet["delay_s"]
    _expect(properties.is_number(delay) and delay >= 0, f"{where}.delay_s", "a number from 0")
    _expect(isinstance(fleet["boards"], list), f"{where}.boards", "a list")
    known = set()
    for index, board in enumerate(fleet["boards"]):
        place = f"{where}.boards[{index}]"
        _expect(isinstance(board, dict), place, "an object")
        by = board.keys() & set(IDENTIFIERS)
        _expect(len(by) == 1, place, f"one of {', '.join(IDENTIFIERS)}")
        _expect_keys(board, {*by, "device", *(board.keys() & {"config"})}, f"{place}.")
        (by,) = by
        _expect(isinstance(board[by], str) and board[by], f"{place}.{by}", "a string")
        _expect((by, board[by]) not in known, f"{place}.{by}", "one that no other board has")
        known.add((by, board[by]))
        _expect(board["device"] in devices, f"{place}.device", "the name or id of a device")
        config = board.get("config", {})
        _expect(isinstance(config, dict), f"{place}.config", "an object")


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
