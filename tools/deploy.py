"""Put the firmware, and a configuration if one is given, on a board.

Only what changed is sent. It goes into a folder of its own on the board, is checked there against
its SHA-256, and then moved into place, main.py last: until then the old firmware is whole, and
the moment in which a power cut could leave a mixture is that of some renames. A deployment that
was cut off is mended by the next one.
"""

import contextlib
import hashlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from rich.console import Console
from rich.progress import Progress

from tools import ROOT, ToolError, micropython
from tools.board import Board, BoardError
from tools.build import build, sources

# What the firmware is sent as: bytecode, or the sources themselves.
Source = Literal["mpy", "py"]

CONFIG = "config.json"
_STAGING = "deploy.tmp"
_LAST = (CONFIG, "boot.py", "main.py")

# Run by the unix port, with the configuration's path put in.
_CHECK = """
import json
from firmware.config import load
settings, problems = load.load(%r)
print(json.dumps({"problems": problems, "settings": settings and {
    "ca": settings["tls"]["ca"],
    "urls": [settings["mqtt"]["url"], settings["https"]["url"]],
}}))
"""


class DeployError(ToolError):
    """Nothing was deployed; the text says why."""


@dataclass
class Plan:
    """What is to be done on the board: files to send by their path there, files to remove."""

    send: dict[str, bytes]
    remove: list[str]
    unchanged: int


def deploy(
    port: str,
    config: Path | None = None,
    source: Source = "mpy",
    reset: bool = True,
    root: Path = ROOT,
    console: Console | None = None,
) -> Plan:
    """Bring the board on `port` up to date and return what was done. Raises ToolError.

    Without `config`, a configuration that is on the board stays as it is. With `reset`, the board
    is restarted at the end, and also after a failure, since it was stopped; the unix port is not.
    """
    console = Console() if console is None else console
    files = firmware_files(root, source)
    if config is not None:
        files |= configuration_files(config, root)
    board = Board(port)
    try:
        plan = _bring_up_to_date(board, files, source, console)
        if config is None and not board.hashes([CONFIG]):
            console.print(f"There is no {CONFIG} on the board yet: give one with --config FILE.")
        if reset and not board.is_unix_port:
            board.reset()
            console.print("The board restarts.")
    except BaseException:
        if reset and not board.is_unix_port:
            with contextlib.suppress(BoardError):
                board.reset()
        raise
    finally:
        board.close()
    return plan


def firmware_files(root: Path, source: Source) -> dict[str, bytes]:
    """The firmware by path on the board; boot.py and main.py, which start it, stay sources."""
    files = {}
    out = build(root)
    for path in sources(root):
        if source == "py" or path.parent == Path():
            files[path.as_posix()] = (root / path).read_bytes()
        else:
            compiled = path.with_suffix(".mpy")
            files[compiled.as_posix()] = (out / compiled).read_bytes()
    if "main.py" not in files:
        raise DeployError(f"{root}: there is no firmware here (main.py is missing)")
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
        files[name] = authority.read_bytes()
    elif any(url.startswith(("mqtts:", "wss:", "https:")) for url in checked["settings"]["urls"]):
        raise DeployError(
            f"{config}: tls.ca is {name}, but there is no {authority}; "
            "put the CA certificates (PEM) there"
        )
    return files


def plan(board: Board, files: dict[str, bytes], source: Source) -> Plan:
    """Compare `files` with what is on the board."""
    if board.has_frozen("umqtt.simple"):
        files = {path: data for path, data in files.items() if not path.startswith("lib/umqtt/")}
    if source == "mpy":
        _check_bytecode(board, files)
    there = board.hashes({path.split("/")[0] for path in files} | {"firmware"})
    send = {
        path: data
        for path, data in files.items()
        if there.get(path) != hashlib.sha256(data).hexdigest()
    }
    # MicroPython prefers x.py to x.mpy: the one that is not sent must go.
    twins = {_twin(path) for path in files}
    remove = [
        path
        for path in there
        if path not in files and (path.startswith("firmware/") or path in twins)
    ]
    return Plan(send, sorted(remove), len(files) - len(send))


def _bring_up_to_date(
    board: Board, files: dict[str, bytes], source: Source, console: Console
) -> Plan:
    todo = plan(board, files, source)
    staged = {path: f"{_STAGING}/{number}" for number, path in enumerate(todo.send)}
    board.clear(_STAGING)
    try:
        _send(board, todo.send, staged, console)
        _verify(board, todo.send, staged)
    except BoardError:
        with contextlib.suppress(BoardError):
            board.clear(_STAGING)
        raise
    for path in staged:
        if path not in _LAST:
            board.move(staged[path], path)
    for path in todo.remove:
        board.remove(path)
    for path in _LAST:
        if path in staged:
            board.move(staged[path], path)
    board.clear(_STAGING)
    if todo.send or todo.remove:
        size = sum(map(len, todo.send.values()))
        console.print(
            f"{len(todo.send)} files sent and verified ({size} bytes), {todo.unchanged} "
            f"unchanged, {len(todo.remove)} removed."
        )
    else:
        console.print(f"The board is up to date: {todo.unchanged} files, none sent.")
    return todo


def _send(board: Board, files: dict[str, bytes], staged: dict[str, str], console: Console) -> None:
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        total = progress.add_task("", total=sum(map(len, files.values())))
        done = 0
        for path, data in files.items():
            progress.update(total, description=path)
            board.write(
                staged[path],
                data,
                lambda n, _, before=done: progress.update(total, completed=before + n),
            )
            done += len(data)


def _verify(board: Board, files: dict[str, bytes], staged: dict[str, str]) -> None:
    """Compare what the board reads back with what was sent."""
    there = board.hashes([_STAGING])
    for path, data in files.items():
        if there.get(staged[path]) != hashlib.sha256(data).hexdigest():
            raise BoardError(
                f"{board.port}: {path} did not arrive unharmed; the board keeps its old firmware. "
                "Try again, with another cable if it stays so"
            )


def _check_bytecode(board: Board, files: dict[str, bytes]) -> None:
    """Refuse bytecode that the board's MicroPython does not load.

    The second byte of an .mpy file is its version.
    https://docs.micropython.org/en/latest/reference/mpyfiles.html
    """
    made = {data[1] for path, data in files.items() if path.endswith(".mpy")}
    loads = board.bytecode_version()
    if made - {loads}:
        raise DeployError(
            f"{board.port}: the board's MicroPython loads bytecode of version {loads}, not "
            f"{max(made)}: update MicroPython on the board, or deploy with --source py"
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
