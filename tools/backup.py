"""What a board keeps, taken off it, and put on another one.

That is everything on its file system but the firmware: configuration and certificates, what
commands have set, and the journal of readings that wait.
"""

import contextlib
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from tools import ToolError
from tools.board import Board
from tools.staging import CONFIG, OLD, STAGING, Plan, bring_up_to_date, progress_bar, sum_up

# What a deployment puts on a board, and leaves there when it was cut off.
_FIRMWARE = {"boot.py", "main.py", "firmware", "lib", STAGING, OLD}
# In the folder of a backup while it is made.
_UNFINISHED = "backup.unfinished"


class BackupError(ToolError):
    """Nothing was changed; the text says why."""


def backup(
    port: str, folder: Path, reset: bool = True, console: Console | None = None
) -> list[str]:
    """Copy what the board on `port` keeps into `folder`; the paths. Raises ToolError.

    The firmware there is stopped, so that all readings are on its flash, and started again after
    that with `reset`. For a board that is going to be replaced, leave it stopped: what it goes on
    measuring is not in the copy. One that is cut off leaves nothing that can be restored.
    """
    console = Console() if console is None else console
    if folder.exists() and not folder.is_dir():
        raise BackupError(f"{folder}: is no folder; name a new one")
    if folder.exists() and any(path.name != _UNFINISHED for path in folder.iterdir()):
        raise BackupError(f"{folder}: is not empty; name a new folder")
    with Board(port, reset) as board:
        board.finish_cut_off()
        kept = _kept(board)
        if not kept:
            raise BackupError(f"{port}: nothing but the firmware is on the board")
        with _whole(folder) as place, progress_bar(console, "reading", len(kept)) as bar:
            for number, (path, sha) in enumerate(kept.items()):
                data = board.read(path)
                if hashlib.sha256(data).hexdigest() != sha:
                    raise BackupError(f"{port}: {path} did not arrive unharmed; try again")
                target = place / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
                bar(number + 1)
        if reset:
            board.reset()
    size = sum((folder / path).stat().st_size for path in kept)
    they = "1 file is" if len(kept) == 1 else f"{len(kept)} files are"
    console.print(f"{they} in {folder} ({size} bytes), each checked.")
    return list(kept)


def restore(port: str, folder: Path, reset: bool = True, console: Console | None = None) -> Plan:
    """Put what `backup` copied on the board on `port`, in place of what it keeps; what was done.

    Raises ToolError. A board whose power is cut meanwhile has the old files or the new ones.
    """
    console = Console() if console is None else console
    if (folder / _UNFINISHED).exists():
        raise BackupError(f"{folder}: this backup was cut off; make a new one: `csipio backup`")
    if not (folder / CONFIG).is_file():
        raise BackupError(f"{folder}: has no {CONFIG}; name a folder that `csipio backup` made")
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    foreign = sorted({path.split("/")[0] for path in files} & _FIRMWARE)
    if foreign:
        raise BackupError(f"{folder}: {foreign[0]} is the firmware's; deploy puts that on a board")
    with Board(port, reset) as board:
        board.finish_cut_off()
        there = _kept(board)
        send = {
            path: data
            for path, data in files.items()
            if there.get(path) != hashlib.sha256(data).hexdigest()
        }
        gone = sorted(path for path in there if path not in files)
        todo = Plan(send, {}, gone, len(files) - len(send))
        bring_up_to_date(board, todo, console)
        sum_up(todo, console)
        if reset:
            board.reset()
    return todo


@contextlib.contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A place for files that come into `folder` together, or not at all.

    Where this program was ended in between, the place is still there: `restore` refuses that, and
    the next backup makes it anew.
    """
    is_new = not folder.exists()
    place = folder / _UNFINISHED
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        yield place
    except BaseException:
        shutil.rmtree(place)
        if is_new:
            folder.rmdir()
        raise
    for path in list(place.iterdir()):
        path.rename(folder / path.name)
    place.rmdir()


def _kept(board: Board) -> dict[str, str]:
    """The SHA-256 of every file on the board that is not the firmware's, by path."""
    return board.hashes(name for name in board.names() if name not in _FIRMWARE)
