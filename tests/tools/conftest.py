"""Fixtures of the tests of the tools."""

import io
import json
import shutil

import pytest
from rich.console import Console

from tests.tools.terminal import CONFIG, PEM, port
from tools import ROOT, micropython
from tools.board import Board
from tools.build import build


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """A source tree with the real firmware and a main.py that only starts, and its bytecode."""
    root = tmp_path_factory.mktemp("built")
    for folder in ("firmware", "lib"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "boot.py").write_text("print('boot')\n")
    (root / "main.py").write_text("from firmware import app\nprint('main')\n")
    build(root)
    return root


@pytest.fixture
def root(built, tmp_path):
    """A copy of it."""
    return shutil.copytree(built, tmp_path / "source")


@pytest.fixture
def disk(tmp_path):
    """The folder that is the board's file system."""
    disk = tmp_path / "board"
    disk.mkdir()
    return disk


@pytest.fixture
def unix_port(disk):
    """The name of a port with the unix port's REPL behind it."""
    with port(micropython.command(), disk) as name:
        yield name


@pytest.fixture
def config(tmp_path):
    """A valid configuration with the CA file beside it."""
    folder = tmp_path / "configuration"
    (folder / "certs").mkdir(parents=True)
    (folder / "certs" / "ca.pem").write_text(PEM)
    path = folder / "mine.json"
    path.write_text(json.dumps(CONFIG))
    return path


@pytest.fixture
def said():
    """A console; what was said on it is in its `file`."""
    return Console(file=io.StringIO(), width=200, force_terminal=False)


@pytest.fixture
def like_esp32(disk, monkeypatch):
    """Makes the unix port pass for an ESP32, but for the soft reset, which would end it.

    Its `machine` notes what is done to it, a line each, in the file that this returns.
    """
    notes = disk / "machine.txt"
    (disk / "machine.py").write_text(
        "def note(text):\n"
        "    with open('machine.txt', 'a') as file:\n"
        "        file.write(text + '\\n')\n"
        "def WDT(timeout):\n"
        "    note('watchdog %d' % timeout)\n"
        "def reset():\n"
        "    note('reset')\n"
    )
    enter, evaluate = Board._enter, Board._eval
    monkeypatch.setattr(Board, "_enter", lambda self, soft_reset=False: enter(self))
    monkeypatch.setattr(
        Board,
        "_eval",
        lambda self, text: "esp32" if "platform" in text else evaluate(self, text),
    )
    return notes
