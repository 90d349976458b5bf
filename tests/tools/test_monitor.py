"""Watching a board on a pseudo-terminal, with a person's keys on another one."""

import io
import os
import pty
import re
import threading
import time
import tty

import pytest
from rich.console import Console

from tools.monitor import Lines, MonitorError, monitor


class Watched:
    """A monitor that runs: the board's end of its port, the person's keys, what is shown."""

    def __init__(self, link, record=None):
        self.link = link
        self.plug_in()
        self.keys, theirs = pty.openpty()
        self.shown = io.StringIO()
        console = Console(file=self.shown, width=200, force_terminal=True, highlight=False)
        keys = os.fdopen(theirs)
        self.thread = threading.Thread(
            target=monitor, args=(str(link), record, console, keys), daemon=True
        )
        self.thread.start()
        self.wait_for("Ctrl-] ends this")

    def plug_in(self):
        self.board, theirs = pty.openpty()
        tty.setraw(theirs)
        self.theirs = theirs
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(os.ttyname(theirs))

    def unplug(self):
        os.close(self.board)
        os.close(self.theirs)
        self.link.unlink()

    def say(self, data):
        os.write(self.board, data)

    def press(self, keys):
        os.write(self.keys, keys)

    def wait_for(self, text, seconds=10):
        until = time.monotonic() + seconds
        while text not in self.shown.getvalue():
            assert time.monotonic() < until, (text, self.shown.getvalue())
            time.sleep(0.02)

    def heard(self):
        return os.read(self.board, 100)

    def end(self):
        self.press(b"\x1d")
        self.thread.join(10)
        assert not self.thread.is_alive()


@pytest.fixture
def watched(tmp_path):
    watched = Watched(tmp_path / "port", tmp_path / "log.txt")
    yield watched
    if watched.thread.is_alive():
        watched.end()


def test_lines_have_the_wall_clocks_time_and_their_levels_colour(watched, tmp_path):
    watched.say(b"       0.134 I app: firmware 0.2.0\r\n       1.500 E uplink: no network\r\n")
    watched.wait_for("no network")
    lines = watched.shown.getvalue().splitlines()[1:]
    assert re.search(r"\d\d:\d\d:\d\d .*0\.134 I app: firmware 0\.2\.0", lines[0])
    assert "\x1b[1;31m" in lines[1] and "\x1b[1;31m" not in lines[0], "an error is red"
    watched.end()
    recorded = (tmp_path / "log.txt").read_text()
    assert re.match(r"\d\d:\d\d:\d\d        0\.134 I app: firmware 0\.2\.0\n", recorded)
    assert "\x1b" not in recorded


def test_keys_go_to_the_board_ctrl_c_too(watched):
    watched.press(b"\x03")
    assert watched.heard() == b"\x03"
    watched.press(b"x\r")
    assert watched.heard() == b"x\r"


def test_a_prompt_is_shown_although_its_line_has_not_ended(watched):
    watched.say(b"\r\n>>> ")
    watched.wait_for(">>> ")
    watched.say(b"1\r\n")
    watched.wait_for(">>> 1\n")


def test_a_cable_that_is_pulled_is_waited_for(watched):
    watched.say(b"half a line")
    watched.wait_for("half a line")
    watched.unplug()
    watched.wait_for("gone; waiting for it")
    watched.plug_in()
    watched.wait_for("back")
    watched.say(b"whole again\r\n")
    watched.wait_for("whole again")


def test_it_ends_while_the_board_is_gone(watched):
    watched.unplug()
    watched.wait_for("gone")
    watched.end()


def test_a_port_that_is_not_there_is_told(tmp_path):
    with pytest.raises(MonitorError, match="cannot be opened"):
        monitor(str(tmp_path / "none"))
    with pytest.raises(MonitorError, match="cannot be written: Is a directory"):
        monitor(str(tmp_path / "none"), record=tmp_path)


def test_characters_that_are_cut_in_two_are_put_together():
    shown = []
    lines = Lines(lambda stamp, text, ends: shown.append(text))
    for byte in "21.5 °C\n".encode():
        lines.feed(bytes([byte]))
    assert shown == ["21.5 °C"]
