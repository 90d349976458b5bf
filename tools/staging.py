"""New files on a board, whole or not at all.

They are staged in a folder of their own and checked against their SHA-256. Then they are put in
place in a few renames, firmware/ as one folder, which boot.py finishes if the power is cut. So
what starts on the board is the old or the new. This does not hold for a ROMFS partition: it is
written in place, and a board on which that was cut off starts nothing.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rich import progress
from rich.console import Console

from tools import ToolError
from tools.board import MAKE_ROOM, Board, BoardError, Progress
from tools.facts import kb

CONFIG = "config.json"
STAGING = "deploy.tmp"
OLD = "deploy.old"
_FINISH = f"{STAGING}/finish.py"
_FINISH_UNCHECKED = f"{STAGING}/finish.new"
_LAST = (CONFIG, "main.py", "boot.py")
# littlefs keeps whole blocks: at least one for a file, two for a folder.
_BLOCK = 4096


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
            path: f"{STAGING}/{path}"
            if path.startswith("firmware/")
            else f"{STAGING}/rest/{number}/{PurePosixPath(path).name}"
            for number, path in enumerate(self.staged)
        }

    def steps(self) -> list[tuple[str, str | None]]:
        """The renames and, without a target, removals that put everything in its place."""
        steps: list[tuple[str, str | None]] = []
        if self.replaces_firmware:
            steps.append(("firmware", OLD))
            if any(path.startswith("firmware/") for path in self.staged):
                steps.append((f"{STAGING}/firmware", "firmware"))
        staging = self.staging()
        rest = [path for path in self.staged if not path.startswith("firmware/")]
        steps += [(staging[path], path) for path in rest if path not in _LAST]
        # After what takes its place: littlefs looks through all folders when one becomes empty.
        steps += [(path, None) for path in self.remove if not path.startswith("firmware/")]
        return steps + [(staging[path], path) for path in _LAST if path in rest]


def bring_up_to_date(board: Board, todo: Plan, console: Console) -> None:
    for path in (STAGING, OLD, "deploy.pad"):
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
            board.clear(STAGING)
        raise
    except KeyboardInterrupt:
        board.interrupt()
        board.clear(STAGING)
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
    with progress_bar(console, "sending", sum(map(len, todo.send.values()))) as bar:
        done = 0
        for path, data in todo.send.items():
            board.write(staging[path], data, lambda n, before=done: bar(before + n))
            done += len(data)
    if todo.copy:
        with progress_bar(console, "copying", len(todo.copy)) as bar:
            board.copy("firmware", STAGING, [*todo.send, *todo.remove], bar)
    for path in todo.staged:
        if not path.startswith("firmware/"):
            board.make_folder(str(PurePosixPath(path).parent).strip("."))
    board.write(_FINISH_UNCHECKED, finish, lambda n: None)
    with progress_bar(console, "checking", len(staging) + 1) as bar:
        there = board.hashes([STAGING], bar)
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
    with progress_bar(console, "writing the image", len(image)) as bar:
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
        with progress_bar(console, "tidying up", len(todo.copy) + len(todo.remove)) as bar:
            board.clear(OLD, bar)
        board.clear(STAGING)
    except KeyboardInterrupt:
        raise Interrupted(
            f"{board.port}: stopped; the new files are in place, and the next deployment removes "
            "what is left of the old ones"
        ) from None


def sum_up(todo: Plan, console: Console) -> None:
    if todo.image is not None:
        console.print(f"An image of {kb(len(todo.image))} written to ROMFS and verified.")
    if todo.send or todo.remove:
        size = sum(map(len, todo.send.values()))
        console.print(
            f"{_files(len(todo.send))} sent and verified ({size} bytes), {todo.unchanged} "
            f"unchanged, {len(todo.remove)} removed."
        )
    else:
        console.print(f"The board is up to date: {_files(todo.unchanged)}, none sent.")


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


@contextlib.contextmanager
def progress_bar(console: Console, what: str, total: int) -> Iterator[Progress]:
    with progress.Progress(
        console=console, transient=True, disable=not console.is_terminal or not total
    ) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
