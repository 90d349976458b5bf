"""Configure a board on a serial port: the board's own `setup`, asked from here.

The questions, the checks and the words are those of firmware/setup, which runs on the board. What
it asks for is asked for here, secrets without an echo, and its answer goes back over the line.
"""

import json
import os
import re
from pathlib import Path

from rich.console import Console
from rich.prompt import Prompt
from rich.text import Text

from tools import ROOT, ToolError
from tools.board import Board, BoardError
from tools.deploy import certificates, configuration_files
from tools.staging import Interrupted, Plan, bring_up_to_date, sum_up

_ASK = "\x1eask "  # begins a line that asks; ASCII's record separator
_SAVED = "Saved."  # begins what setup.save says when it has
_CHANGED = "Changed; setup.save()"  # what setup.set says, which is for its own prompt, too
_REFUSED = "Not changed: "  # and setup.set, when it has not
_AUTHORITY = "certs/ca.pem"
_TEXTS = ("ssid", "id", "key_id", "hostname")  # which may look like something else
_SECRETS = ("password", "key_secret")

# Runs on the board: what asks there prints what it asks for, and reads a line.
_REMOTE = f"""
import json, sys
import setup

def _ask(text, secret):
    print({_ASK!r} + json.dumps([text, secret]))
    answer = json.loads(sys.stdin.readline())
    if answer is None:
        raise KeyboardInterrupt
    return answer
"""


class ConfigureError(ToolError):
    """Nothing was changed; the text says why."""


def configure(
    port: str,
    file: Path | None = None,
    changes: list[str] | None = None,
    authority: Path | None = None,
    reset: bool = True,
    root: Path = ROOT,
    console: Console | None = None,
) -> bool:
    """Configure the board on `port`; whether it is saved, and all that was tried there is well.

    With `file`, that becomes its config.json; with `changes`, each `key=value` is set; else it
    asks. `authority`: the certificates to trust, PEM, for where tls.ca has them unless it is told
    otherwise. Raises ToolError.
    """
    console = Console() if console is None else console
    settings = configuration_files(file, root) if file else {}
    if authority:
        settings[_AUTHORITY] = certificates(authority)
    wanted = [_change(change, console) for change in changes or []]
    with Board(port, reset) as board:
        board.finish_cut_off()
        if not board.has("setup"):
            raise ConfigureError(
                f"{port}: the firmware on the board has no `setup`: deploy it, or flash its image"
            )
        board.run(_REMOTE, lambda line: None)
        if settings and not file and not board.hashes([_AUTHORITY]):
            # It takes the place of nothing, and the answers are tried with it.
            _send(board, settings, console)
            settings = {}
        tried = False
        if file:
            saved = True
        elif wanted:
            saved = _set(board, wanted, console)
        else:
            lines = _talk(board, "setup.wizard(_ask)", console)
            saved = any(line.startswith(_SAVED) for line in lines)
            tried = _is_right(lines)
        # What is refused, or stopped, changes no certificate either.
        if saved and settings:
            try:
                _send(board, settings, console)
            except (BoardError, Interrupted) as error:
                if file:
                    raise
                raise type(error)(
                    f"the configuration is saved; of the certificates: {error}. Give --ca again"
                ) from error
        if saved and (file or wanted):
            try:
                tried = _is_right(_talk(board, "setup.check()", console))
            except KeyboardInterrupt:
                console.print("Stopped; it is saved, and not all of it is tried.")
        if saved and not tried:
            console.print("It is saved; what is told to be wrong is not mended by that.")
        if reset and not board.is_unix_port:
            board.reset()
            console.print("The board restarts.")
    return saved and tried


def _send(board: Board, files: dict[str, bytes], console: Console) -> None:
    todo = Plan(files, {}, [], 0)
    bring_up_to_date(board, todo, console)
    sum_up(todo, console)


def _change(change: str, console: Console) -> tuple[str, object]:
    """(key, value) of `key=value`; of a secret's key alone, whose value is asked for.

    Raises ConfigureError.
    """
    key, equals, text = change.partition("=")
    if key.rpartition(".")[2] in _SECRETS:
        variable = "CSIPIO_" + re.sub(r"\W+", "_", key).strip("_").upper()
        if equals:
            raise ConfigureError(
                f"{key}: a secret in a command is seen by others, and remembered: give "
                f"`--set {key}` alone, which asks for it, or put it into ${variable}"
            )
        return key, os.environ.get(variable) or _secret(key, variable, console)
    if not equals:
        raise ConfigureError(f"{change}: expected key=value, such as thermostat.setpoint=20.5")
    try:
        value = json.loads(text)
    except ValueError:
        return key, text
    # A network may be called 12345678, or true.
    return key, text if key.rpartition(".")[2] in _TEXTS and type(value) is not str else value


def _secret(key: str, variable: str, console: Console) -> str:
    try:
        return Prompt.ask(key, password=True, console=console)
    except (KeyboardInterrupt, EOFError):
        raise ConfigureError(
            f"{key}: nothing was changed; where nobody can answer, put it into ${variable}"
        ) from None


def _json(value: object) -> str:
    """As it is, not escaped: MicroPython does not join the two halves of an emoji's escape."""
    return json.dumps(value, ensure_ascii=False)


def _set(board: Board, wanted: list[tuple[str, object]], console: Console) -> bool:
    """Set them all and save; or change nothing, and say what is wrong."""
    for key, value in wanted:
        code = f"setup.set({key!r}, json.loads({_json(value)!r}))"
        if any(line.startswith(_REFUSED) for line in _talk(board, code, console)):
            return False
    return any(line.startswith(_SAVED) for line in _talk(board, "setup.save()", console))


def _is_right(lines: list[str]) -> bool:
    """Whether all that the board tried is well: what was mended meanwhile is told twice."""
    verdicts = {}
    for line in lines:
        verdict, _, rest = line.partition("  ")
        if verdict in ("ok", "wrong"):
            verdicts[rest.partition(":")[0]] = verdict
    return "wrong" not in verdicts.values()


def _talk(board: Board, code: str, console: Console) -> list[str]:
    """Run code on the board, show what it prints, and answer what it asks; the lines."""
    shown = []

    def hear(line: str) -> str | None:
        if line.startswith(_ASK):
            text, secret = json.loads(line.removeprefix(_ASK))
            return _json(_answer(text, secret, console))
        shown.append(line)
        if line.startswith(_SAVED):
            line = _SAVED  # what it says of Ctrl-D is for its own prompt
        elif line.startswith(_CHANGED):
            line = "Changed."
        style = "red" if line.startswith(("wrong ", _REFUSED)) else ""
        console.print(Text(line, style), soft_wrap=True)
        return None

    board.run(code, hear)
    return shown


def _answer(text: str, secret: bool, console: Console) -> str | None:
    """What the user says; None for Ctrl-C, which ends the questions on the board."""
    try:
        words = text.strip().removesuffix(":")
        return Prompt.ask(
            Text(words), password=secret, console=console, default="", show_default=False
        )
    except (KeyboardInterrupt, EOFError):
        console.print()
        return None
