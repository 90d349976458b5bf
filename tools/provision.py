"""`csipio provision`: a table of MACs and rooms becomes devices, one configuration, and labels.

Devices are made on a stand-in, by its control file: the platform documents no call of its API that
makes one. All boards of a fleet get the same configuration, which has the fleet's key. What is
different in a room comes to its board with the identity.
"""

import csv
import html
import io
import json
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from tools import ROOT, ToolError
from tools.deploy import DeployError, configuration_files
from tools.platform.control import change, fleet_of, new_device
from tools.staging import CONFIG

_MAC = re.compile(r"[0-9a-f]{12}")
_COLUMNS = ("mac", "room")
_IDENTITY = ("id", "key_id", "key_secret")
_LABELS = "labels.csv"
_PRINTED = "labels.html"

_PAGE = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{fleet}</title><style>
body {{ font: 12pt sans-serif; margin: 0 }}
div {{ display: inline-block; width: 60mm; height: 25mm; padding: 3mm; border: 1px dashed #999;
       box-sizing: border-box; break-inside: avoid; overflow: hidden }}
b {{ display: block; font-size: 14pt }}
</style></head><body>
{labels}
</body></html>
"""


class ProvisionError(ToolError):
    """Nothing was made; the text says why."""


@dataclass
class Board:
    """One line of the table."""

    line: int
    mac: str
    room: str
    config: dict = field(default_factory=dict)
    """A part of a configuration, for this room alone."""


def provision(
    table: Path,
    config: Path,
    out: Path,
    folder: Path,
    name: str = "fleet",
    root: Path = ROOT,
    console: Console | None = None,
) -> None:
    """Make the devices of a table in a stand-in's `folder`, and the files in `out`.

    `config`: the config.json that all boards get; an identity in it is left out. Raises ToolError,
    and then nothing was changed.
    """
    console = Console() if console is None else console
    boards = read(table)
    if not (folder / "control.json").is_file():
        raise ProvisionError(
            f"{folder}: has no control.json; name the folder of `csipio platform --dir`"
        )
    files: dict[str, bytes] = {}
    made: list[str] = []

    def edit(tree: dict) -> None:
        fleet = fleet_of(tree, name)
        files.update(_files(table, boards, config, fleet, root))
        made.extend(_devices(tree, fleet, boards, table))
        devices = {device["name"]: device["id"] for device in _all(tree)}
        files.update(_labels(boards, devices, name))

    try:
        change(folder, edit)
        for path, data in files.items():
            _write(out / path, data)
    except OSError as error:
        raise ProvisionError(str(error)) from error
    console.print(f"{len(boards)} boards, {len(made)} new devices in fleet {name}.")
    console.print(f"Labels are in {out / _PRINTED} and {out / _LABELS}.", soft_wrap=True)
    console.print(
        f"Next, with each board: csipio flash IMAGE --files {out / CONFIG}", soft_wrap=True
    )


def read(table: Path) -> list[Board]:
    """The table's boards. Raises ProvisionError with the line of what is wrong."""
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise ProvisionError(f"{table}: cannot be read: {error}") from error
    rows = csv.DictReader(text.splitlines(), skipinitialspace=True, strict=True)
    boards: list[Board] = []
    seen: dict[str, int] = {}
    try:
        missing = [name for name in _COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            raise ProvisionError(
                f"{table}:1: expected the columns mac and room, and {missing[0]} is missing"
            )
        for row in rows:
            board = _board(row, f"{table}:{rows.line_num}", rows.line_num)
            for key in (board.mac, board.room):
                if key in seen:
                    raise ProvisionError(
                        f"{table}:{board.line}: {key} is in line {seen[key]} already"
                    )
                seen[key] = board.line
            boards.append(board)
    except csv.Error as error:
        raise ProvisionError(f"{table}:{rows.line_num}: {error}") from error
    if not boards:
        raise ProvisionError(f"{table}: has no boards")
    return boards


def _board(row: dict, where: str, line: int) -> Board:
    if None in row or None in row.values():
        raise ProvisionError(f"{where}: expected as many cells as there are columns")
    cells = {key.strip(): value.strip() for key, value in row.items()}
    mac = re.sub(r"[:.-]", "", cells.pop("mac").lower())
    if not _MAC.fullmatch(mac) or not int(mac, 16) or int(mac[:2], 16) & 1:
        raise ProvisionError(
            f"{where}: expected a board's MAC, such as 24:0a:c4:00:01:fe, got {row['mac']!r}"
        )
    room = cells.pop("room")
    if not room or room.startswith("_") or "/" in room or not room.isprintable():
        raise ProvisionError(
            f"{where}: expected a room, without / and not beginning with _, got {room!r}"
        )
    board = Board(line, ":".join(re.findall("..", mac)), room)
    for key, cell in cells.items():
        if not cell:
            continue
        *sections, last = key.split(".")
        part = board.config
        for section in sections:
            part = part.setdefault(section, {})
        try:
            part[last] = json.loads(cell)
        except ValueError:
            part[last] = cell
    return board


def _files(
    table: Path, boards: list[Board], config: Path, fleet: dict, root: Path
) -> dict[str, bytes]:
    """The configuration and its certificates, checked by the firmware's own rules, with every
    room's part, too. Raises ToolError.
    """
    try:
        settings = json.loads(config.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ProvisionError(f"{config}: cannot be read: {error}") from error
    device, tls = {}, {}
    if isinstance(settings, dict):
        device, tls = settings.get("device", {}), settings.get("tls", {})
    if not all(isinstance(section, dict) for section in (settings, device, tls)):
        raise ProvisionError(f"{config}: expected an object with sections")
    key = {name: fleet[name] for name in ("key_id", "key_secret")}
    settings["device"] = {name: device[name] for name in device if name not in _IDENTITY}
    settings["device"]["provision"] = (device.get("provision") or {}) | key
    with tempfile.TemporaryDirectory(prefix="csipio-provision-") as temporary:
        path = Path(temporary) / CONFIG
        name = str(tls.get("ca", "certs/ca.pem")).lstrip("/")
        authority = config.parent / name
        if authority.is_file() and ".." not in Path(name).parts:
            (path.parent / name).parent.mkdir(parents=True, exist_ok=True)
            (path.parent / name).write_bytes(authority.read_bytes())
        for place, tree in _variants(table, config, boards, settings):
            _write(path, (json.dumps(tree, indent=1) + "\n").encode())
            try:
                files = configuration_files(path, root)
            except DeployError as error:
                words = str(error).replace(temporary, str(config.parent))
                raise ProvisionError(f"{place}: {words}") from None
    return files


def _variants(
    table: Path, config: Path, boards: list[Board], settings: dict
) -> Iterator[tuple[str, dict]]:
    """What is to be valid, and where it is from; the last is what all boards get."""
    tried = []
    for board in boards:
        if board.config and board.config not in tried:
            tried.append(board.config)
            yield f"{table}:{board.line}", _merged(settings, board.config)
    yield str(config), settings


def _merged(tree: dict, part: dict) -> dict:
    """RFC 7396, as the firmware does it."""
    merged = dict(tree)
    for key, value in part.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            below = merged.get(key)
            merged[key] = _merged(below if isinstance(below, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def _devices(tree: dict, fleet: dict, boards: list[Board], table: Path) -> list[str]:
    """Put the boards into the fleet; the names of the devices that had to be made."""
    made = []
    for other in tree["fleets"]:
        for board in boards:
            if other is not fleet and any(b.get("mac") == board.mac for b in other["boards"]):
                raise ProvisionError(
                    f"{table}:{board.line}: {board.mac} is in fleet {other['name']} already"
                )
    rooms, macs = {board.room for board in boards}, {board.mac for board in boards}
    fleet["boards"] = [
        board
        for board in fleet["boards"]
        if board["device"] not in rooms and board.get("mac") not in macs
    ]
    known = {device["name"] for device in _all(tree)}
    for board in boards:
        if board.room not in known:
            tree["devices"].append(new_device(board.room))
            made.append(board.room)
        entry: dict = {"mac": board.mac, "device": board.room}
        if board.config:
            entry["config"] = board.config
        fleet["boards"].append(entry)
    return made


def _all(tree: dict) -> list[dict]:
    return [{"name": "thermostat", **tree["device"]}, *tree["devices"]]


def _labels(boards: list[Board], devices: dict[str, str], name: str) -> dict[str, bytes]:
    """What is printed and put on the boards: nothing of it is secret."""
    lines = [(board.mac, board.room, devices[board.room]) for board in boards]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("mac", "room", "device"), *lines])
    labels = "\n".join(
        f"<div><b>{html.escape(room)}</b>{mac}<br>{device}</div>" for mac, room, device in lines
    )
    page = _PAGE.format(fleet=html.escape(name), labels=labels)
    return {_LABELS: text.getvalue().encode(), _PRINTED: page.encode()}


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all; what has a secret is for its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    mode = 0o600 if path.name == CONFIG else 0o644
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(data)
    part.replace(path)
