"""Put the firmware, and a configuration if one is given, on a board.

The board is asked what it is. Where its MicroPython image has the firmware frozen in, only the
configuration is sent; where there is a ROMFS partition, the firmware goes there as an image;
where there is memory enough, as .mpy files. What changed is sent, and put in place as a whole: see
staging.py.
"""

import contextlib
import hashlib
import json
import re
import subprocess
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from rich.console import Console

from tools import ROOT, ToolError, micropython
from tools.board import Board, BoardError
from tools.build import build, sources
from tools.facts import FILES, Facts, Way, kb
from tools.staging import CONFIG, Interrupted, Plan, bring_up_to_date, sum_up

# What the firmware is sent as: bytecode, or the sources themselves.
Source = Literal["mpy", "py"]

# The oldest MicroPython that runs the firmware.
_OLDEST = (1, 23)

_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"  # begins each in a PEM file
_DER = b"\x30\x82"  # begins one in DER: an ASN.1 sequence whose length has two bytes

# Run by the unix port, with the configuration's path put in.
_CHECK = """
import json
from firmware.base.url import parse_url
from firmware.config import load
settings, problems = load.load(%r)
urls = [settings[way]["url"] for way in ("mqtt", "https")] if settings else []
print(json.dumps({"problems": problems, "settings": settings and {
    "ca": settings["tls"]["ca"],
    "schemes": [parse_url(url)[0] for url in urls],
}}))
"""


class DeployError(ToolError):
    """Nothing was deployed; the text says why."""


def deploy(
    port: str,
    config: Path | None = None,
    source: Source | None = None,
    reset: bool = True,
    root: Path = ROOT,
    console: Console | None = None,
) -> Plan:
    """Bring the board on `port` up to date and return what was done. Raises ToolError.

    Without `config`, a configuration that is on the board stays as it is. Without `source`, the
    firmware goes the way that fits the board; with it, as files in any case. With `reset`, the
    board is restarted at the end, and also after a failure, since it was stopped; the unix port
    is not.
    """
    console = Console() if console is None else console
    firmware = firmware_files(root, source or "mpy")
    settings = {} if config is None else configuration_files(config, root)
    board = Board(port)
    try:
        facts = board.facts()
        image = build(root).image.read_bytes()
        way = choose(board, facts, image, source)
        _tell(facts, way, root, console)
        board.finish_cut_off()
        todo = plan(board, facts, way, firmware, settings, image)
        bring_up_to_date(board, todo, console)
        sum_up(todo, console)
        if config is None and not board.hashes([CONFIG]):
            console.print(f"There is no {CONFIG} on the board yet. Next: csipio configure {port}")
        if reset and not board.is_unix_port:
            board.reset()
            console.print("The board restarts.")
    except BaseException as error:
        if reset and not board.is_unix_port:
            with contextlib.suppress(BoardError):
                board.reset()
        if isinstance(error, KeyboardInterrupt):
            raise Interrupted(f"{port}: stopped; nothing was changed") from None
        raise
    finally:
        board.close()
    return todo


def firmware_files(root: Path, source: Source) -> dict[str, bytes]:
    """The firmware by path on the board; boot.py and main.py, which start it, stay sources."""
    texts = sources(root)
    if "main.py" not in texts:
        raise DeployError(f"{root}: there is no firmware here (main.py is missing)")
    built = build(root).files
    files = {
        path: text.encode() for path, text in texts.items() if source == "py" or "/" not in path
    }
    if source == "mpy":
        for path in sorted(built.rglob("*/*.mpy")):
            files[path.relative_to(built).as_posix()] = path.read_bytes()
    return files


def configuration_files(config: Path, root: Path = ROOT) -> dict[str, bytes]:
    """The configuration, and the CA certificates that it names, by path on the board.

    It is checked by the firmware's own rules, run under the unix port. The certificates are
    looked for beside the configuration, at the path that they have on the board.
    """
    if not config.is_file():
        raise DeployError(f"{config}: no such file")
    checked = _check(config, root)
    if checked["problems"]:
        raise DeployError("\n  ".join([f"{config} is not valid:", *checked["problems"]]))
    files = {CONFIG: config.read_bytes()}
    name = checked["settings"]["ca"].lstrip("/")
    authority = config.parent / name
    if authority.is_file():
        files[name] = certificates(authority)
    elif {"mqtts", "wss", "https"}.intersection(checked["settings"]["schemes"]):
        raise DeployError(
            f"{config}: tls.ca is {name}, but there is no {authority}; "
            "put the CA certificates (PEM) there"
        )
    return files


def certificates(path: Path) -> bytes:
    """The file with the certificates to trust. Raises DeployError for what has none."""
    try:
        found = path.read_bytes()
    except OSError as error:
        raise DeployError(f"{path}: cannot be read: {error.strerror}") from error
    if _CERTIFICATE not in found and not found.startswith(_DER):
        raise DeployError(
            f"{path}: has no certificate; expected PEM, with {_CERTIFICATE.decode()}, or DER"
        )
    return found


def choose(board: Board, facts: Facts, image: bytes, source: Source | None) -> Way:
    """The way that the firmware goes to this board. Raises DeployError."""
    if facts.micropython[:2] < _OLDEST:
        version = ".".join(map(str, facts.micropython))
        raise DeployError(
            f"{board.port}: MicroPython {version} is on the board, and the firmware needs "
            f"{_OLDEST[0]}.{_OLDEST[1]} or newer: flash a newer one "
            "(https://micropython.org/download/)"
        )
    if source is not None and facts.frozen is not None:
        raise DeployError(
            f"{board.port}: firmware {facts.frozen} is part of the board's MicroPython image and "
            "comes before files: deploy without --source, or flash another MicroPython"
        )
    way = facts.way(len(image)) if source is None else "files"
    if way is None:
        raise DeployError(f"{board.port}: {facts.refusal(len(image))}")
    return way


def plan(
    board: Board,
    facts: Facts,
    way: Way,
    firmware: dict[str, bytes],
    settings: dict[str, bytes],
    image: bytes,
) -> Plan:
    """Compare what is to be on the board with what is there.

    Beside a frozen firmware, a firmware/ in the file system only takes room; it would be loaded
    before one in ROMFS. In both cases it goes.
    """
    files = dict(settings)
    if way == "romfs":
        # These alone start what is in the image.
        files |= {path: firmware[path] for path in ("boot.py", "main.py") if path in firmware}
    elif way == "files":
        files |= {
            path: data
            for path, data in firmware.items()
            if not (facts.frozen_umqtt and path.startswith("lib/umqtt/"))
        }
    if way != "frozen":
        _check_bytecode(board, facts, firmware)
    # These name a set of files that an update brought, which would go on running in their place.
    sets = {"firmware.set", "firmware.next"}
    there = board.hashes({path.split("/")[0] for path in files} | {"firmware"} | sets)
    # The largest folder is staged first: littlefs then has less to read for the others.
    send = {
        path: data
        for path, data in sorted(files.items(), key=lambda file: "firmware/" not in file[0])
        if there.get(path) != hashlib.sha256(data).hexdigest()
    }
    # MicroPython prefers x.py to x.mpy: the one that is not sent must go.
    twins = {_twin(path) for path in files}
    remove = [
        path
        for path in there
        if path not in files and (path.startswith("firmware/") or path in twins | sets)
    ]
    todo = Plan(send, {}, sorted(remove), len(files) - len(send))
    if todo.replaces_firmware:
        todo.copy = {
            path: data
            for path, data in files.items()
            if path.startswith("firmware/") and path not in send
        }
    if way == "romfs" and board.rom_hash(len(image)) != hashlib.sha256(image).hexdigest():
        todo.image = image
        # It goes while the image is written.
        todo.send["main.py"] = files["main.py"]
    return todo


def _tell(facts: Facts, way: Way, root: Path, console: Console) -> None:
    """Say which way is taken, where that is not plain."""
    if way == "frozen":
        here = re.search(r'^VERSION = "(.*)"', (root / "firmware/__init__.py").read_text(), re.M)
        ours = here[1] if here else "unknown"
        console.print(
            f"Firmware {facts.frozen} is part of the board's MicroPython image: only the "
            "configuration is deployed."
        )
        if facts.frozen != ours:
            console.print(
                f"This checkout is firmware {ours}, and the configuration was checked by its "
                "rules. To bring the board to it, build its image (`make image`) and flash it; "
                f"or check out the version {facts.frozen}."
            )
    elif way == "romfs":
        console.print("The firmware goes into the board's ROMFS partition.")
    elif not facts.is_unix_port and facts.for_python < FILES:
        console.print(
            f"The firmware takes {kb(FILES)} of RAM as files, and the board has "
            f"{kb(facts.for_python)}: it may not start."
        )


def _check_bytecode(board: Board, facts: Facts, files: dict[str, bytes]) -> None:
    """Refuse bytecode that the board's MicroPython does not load.

    The second byte of an .mpy file is its version.
    https://docs.micropython.org/en/latest/reference/mpyfiles.html
    """
    made = {data[1] for path, data in files.items() if path.endswith(".mpy")}
    if made - {facts.bytecode}:
        raise DeployError(
            f"{board.port}: the board's MicroPython loads bytecode of version {facts.bytecode}, "
            f"not {max(made)}: update MicroPython on the board, or deploy with --source py"
        )


def _check(config: Path, root: Path) -> dict[str, Any]:
    """Ask the firmware about a configuration: {"problems": […], "settings": None or {…}}."""
    process = subprocess.run(
        micropython.command("-c", _CHECK % str(config.absolute())),
        env=micropython.environment([root]),
        capture_output=True,
        text=True,
        timeout=60,
    )
    if process.returncode != 0:
        raise DeployError(
            f"{config} could not be checked:\n{(process.stderr or process.stdout).strip()}"
        )
    return json.loads(process.stdout)


def _twin(path: str) -> str | None:
    """The other file that MicroPython may load in place of this one: x.py for x.mpy, or back."""
    there = PurePosixPath(path)
    other = {".py": ".mpy", ".mpy": ".py"}.get(there.suffix)
    return None if other is None else str(there.with_suffix(other))
