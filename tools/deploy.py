"""Put the firmware, and a configuration if one is given, on a board.

The board is asked what it is. Where its MicroPython image has the firmware frozen in, only the
configuration is sent; where there is a ROMFS partition, the firmware goes there as an image;
where there is memory enough, as .mpy files. The new firmware/ is made whole in a folder of its
own: what changed is sent, the rest copied on the board, and all of it checked against its SHA-256.
Then firmware/ is moved as one folder, in a few renames that boot.py finishes if the power is cut.
So what starts on the board is the old firmware or the new one. This does not hold for a ROMFS
partition: it is written in place, and a board on which that was cut off starts nothing.
"""

import contextlib
import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from rich import progress
from rich.console import Console

from tools import ROOT, ToolError, micropython
from tools.board import MAKE_ROOM, Board, BoardError, Progress
from tools.build import build, sources
from tools.facts import FILES, Facts, Way, kb

# What the firmware is sent as: bytecode, or the sources themselves.
Source = Literal["mpy", "py"]

CONFIG = "config.json"
# The oldest MicroPython that runs the firmware.
_OLDEST = (1, 23)
_STAGING = "deploy.tmp"
_OLD = "deploy.old"
_FINISH = f"{_STAGING}/finish.py"
_FINISH_UNCHECKED = f"{_STAGING}/finish.new"
_LAST = (CONFIG, "main.py", "boot.py")
# littlefs keeps whole blocks: at least one for a file, two for a folder.
_BLOCK = 4096

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


class Interrupted(ToolError):
    """Ctrl-C; the text says what is on the board now."""


@dataclass
class Plan:
    """What is to be done on the board. `send` is files by their path there."""

    send: dict[str, bytes]
    copy: dict[str, bytes]
    """Files of the firmware that did not change: the new folder gets them from the old one."""
    remove: list[str]
    unchanged: int
    image: bytes | None = None
    """For the ROMFS partition; None if it is not to be written."""

    @property
    def replaces_firmware(self) -> bool:
        """Whether the folder firmware/ is replaced, or goes away."""
        return any(path.startswith("firmware/") for path in [*self.send, *self.remove])

    @property
    def staged(self) -> dict[str, bytes]:
        return self.send | self.copy

    def staging(self) -> dict[str, str]:
        """Where each staged file lies meanwhile.

        A file that is not moved with firmware/ gets a folder of its own: to move a file, littlefs
        reads through all that ever happened in the folder that it is moved out of.
        """
        return {
            path: f"{_STAGING}/{path}"
            if path.startswith("firmware/")
            else f"{_STAGING}/rest/{number}/{PurePosixPath(path).name}"
            for number, path in enumerate(self.staged)
        }

    def steps(self) -> list[tuple[str, str | None]]:
        """The renames and, without a target, removals that put everything in its place."""
        steps: list[tuple[str, str | None]] = []
        if self.replaces_firmware:
            steps.append(("firmware", _OLD))
            if any(path.startswith("firmware/") for path in self.staged):
                steps.append((f"{_STAGING}/firmware", "firmware"))
        staging = self.staging()
        rest = [path for path in self.staged if not path.startswith("firmware/")]
        steps += [(staging[path], path) for path in rest if path not in _LAST]
        # After what takes its place: littlefs looks through all folders when one becomes empty.
        steps += [(path, None) for path in self.remove if not path.startswith("firmware/")]
        return steps + [(staging[path], path) for path in _LAST if path in rest]


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
        _bring_up_to_date(board, todo, console)
        _sum_up(todo, console)
        if config is None and not board.hashes([CONFIG]):
            console.print(f"There is no {CONFIG} on the board yet: give one with --config FILE.")
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
        files[name] = authority.read_bytes()
    elif {"mqtts", "wss", "https"}.intersection(checked["settings"]["schemes"]):
        raise DeployError(
            f"{config}: tls.ca is {name}, but there is no {authority}; "
            "put the CA certificates (PEM) there"
        )
    return files


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
        files |= {path: data for path, data in firmware.items() if "/" not in path}
    elif way == "files":
        files |= {
            path: data
            for path, data in firmware.items()
            if not (facts.frozen_umqtt and path.startswith("lib/umqtt/"))
        }
    if way != "frozen":
        _check_bytecode(board, facts, firmware)
    there = board.hashes({path.split("/")[0] for path in files} | {"firmware"})
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
        if path not in files and (path.startswith("firmware/") or path in twins)
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


def _bring_up_to_date(board: Board, todo: Plan, console: Console) -> None:
    for path in (_STAGING, _OLD, "deploy.pad"):
        board.clear(path)
    staging = todo.staging()
    steps = todo.steps()
    if steps:
        with _given_up(board, "nothing was changed: the board keeps what it had"):
            _check_room(board, todo)
            _stage(board, todo, staging, _finish(steps), console)
    if todo.image is not None:
        with _given_up(
            board,
            "the ROMFS partition is half written, and the board starts no firmware from it "
            "until the next deployment",
        ):
            _write_rom(board, todo.image, console)
    if steps:
        _put_in_place(board, todo, steps)
        _tidy(board, todo, console)


@contextlib.contextmanager
def _given_up(board: Board, left: str) -> Iterator[None]:
    """Remove what was staged after a failure or Ctrl-C; for that, `left` says what is left."""
    try:
        yield
    except BoardError:
        with contextlib.suppress(BoardError):
            board.clear(_STAGING)
        raise
    except KeyboardInterrupt:
        board.interrupt()
        board.clear(_STAGING)
        raise Interrupted(f"{board.port}: stopped; {left}") from None


def _finish(steps: list[tuple[str, str | None]]) -> bytes:
    """What the board runs at its next start if the steps are cut off."""
    code = (Path(__file__).with_name("on_board") / "finish.py").read_text()
    return f"{code}\n\n_finish({steps!r})\n".encode()


def _check_room(board: Board, todo: Plan) -> None:
    """Refuse before anything is sent what the file system has no room for."""
    files = todo.staged
    folders = {PurePosixPath(path).parent for path in todo.staging().values()}
    need = sum(-(-len(data) // _BLOCK) for data in files.values()) + 2 * len(folders)
    free = board.free()
    if need * _BLOCK > free:
        raise BoardError(
            f"{board.port}: the board's file system is full: the new files need "
            f"{kb(need * _BLOCK)} beside the old ones, which stay until the new are whole, and "
            f"{kb(free)} are free. {MAKE_ROOM}"
        )


def _stage(
    board: Board, todo: Plan, staging: dict[str, str], finish: bytes, console: Console
) -> None:
    """Make the new tree, and check what the board reads back from it."""
    with _bar(console, "sending", sum(map(len, todo.send.values()))) as bar:
        done = 0
        for path, data in todo.send.items():
            board.write(staging[path], data, lambda n, before=done: bar(before + n))
            done += len(data)
    if todo.copy:
        with _bar(console, "copying", len(todo.copy)) as bar:
            board.copy("firmware", _STAGING, [*todo.send, *todo.remove], bar)
    for path in todo.staged:
        if not path.startswith("firmware/"):
            board.make_folder(str(PurePosixPath(path).parent).strip("."))
    board.write(_FINISH_UNCHECKED, finish, lambda n: None)
    with _bar(console, "checking", len(staging) + 1) as bar:
        there = board.hashes([_STAGING], bar)
    wanted = {staging[path]: (path, data) for path, data in todo.staged.items()}
    wanted[_FINISH_UNCHECKED] = ("the end of the deployment", finish)
    for staged, (path, data) in wanted.items():
        if there.get(staged) != hashlib.sha256(data).hexdigest():
            raise BoardError(
                f"{board.port}: {path} did not arrive unharmed; the board keeps its old firmware. "
                "Try again, with another cable if it stays so"
            )


def _write_rom(board: Board, image: bytes, console: Console) -> None:
    """Write the ROMFS partition, and check what the board reads back from it.

    Half an image must not run: main.py comes back when the image is whole. A firmware/ in the
    file system is another firmware, which runs until then.
    """
    if not board.hashes(["firmware"]):
        board.clear("main.py")
    with _bar(console, "writing the image", len(image)) as bar:
        board.write_rom(image, bar)
    if board.rom_hash(len(image)) != hashlib.sha256(image).hexdigest():
        raise BoardError(
            f"{board.port}: the ROMFS image did not arrive unharmed. The board starts no firmware "
            "from it: deploy again, with another cable if it stays so"
        )


def _put_in_place(board: Board, todo: Plan, steps: list[tuple[str, str | None]]) -> None:
    """The moving phase: each step is short, and the first rename decides for all.

    littlefs renames in one step or not at all. A boot.py that does not yet finish what was cut
    off is replaced before. Ctrl-C does not leave it half done.
    """
    board.settle()
    boot = "boot.py"
    if _FINISH.encode() in todo.send.get(boot, b"") and not board.can_finish():
        board.step(todo.staging()[boot], boot)
    try:
        board.step(_FINISH_UNCHECKED, _FINISH)
        for source, target in steps:
            board.step(source, target)
        board.step(_FINISH, None)
    except BoardError as error:
        raise BoardError(
            f"{error}. The new files are whole on the board: its next start puts them in place. "
            "Deploy again to be sure"
        ) from error
    except KeyboardInterrupt:
        board.interrupt()
        board.step(_FINISH_UNCHECKED, _FINISH)
        board.finish_cut_off()
        raise Interrupted(
            f"{board.port}: stopped; the new files were whole, and are in place now"
        ) from None


def _tidy(board: Board, todo: Plan, console: Console) -> None:
    """Remove what was replaced. If this is cut off, the next deployment does it."""
    try:
        with _bar(console, "tidying up", len(todo.copy) + len(todo.remove)) as bar:
            board.clear(_OLD, bar)
        board.clear(_STAGING)
    except KeyboardInterrupt:
        raise Interrupted(
            f"{board.port}: stopped; the new files are in place, and the next deployment removes "
            "what is left of the old ones"
        ) from None


def _sum_up(todo: Plan, console: Console) -> None:
    if todo.image is not None:
        console.print(f"An image of {kb(len(todo.image))} written to ROMFS and verified.")
    if todo.send or todo.remove:
        size = sum(map(len, todo.send.values()))
        console.print(
            f"{len(todo.send)} files sent and verified ({size} bytes), {todo.unchanged} "
            f"unchanged, {len(todo.remove)} removed."
        )
    else:
        console.print(f"The board is up to date: {todo.unchanged} files, none sent.")


@contextlib.contextmanager
def _bar(console: Console, what: str, total: int) -> Iterator[Progress]:
    with progress.Progress(
        console=console, transient=True, disable=not console.is_terminal or not total
    ) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


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
