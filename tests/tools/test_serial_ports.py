"""Which board is meant, and a deployment to all of them."""

import io
import json
import sys
from types import SimpleNamespace

import pytest
from rich.console import Console

from tests.tools.terminal import files, port
from tools import many_boards, micropython, serial_ports
from tools.serial_ports import PortError, chosen, split


@pytest.fixture
def plugged(monkeypatch):
    """Plug in these ports; those of a computer itself have no vendor."""

    def plug(*names, own=("/dev/ttyS0",)):
        ports = [SimpleNamespace(device=name, vid=0x10C4) for name in names]
        ports += [SimpleNamespace(device=name, vid=None) for name in own]
        monkeypatch.setattr(serial_ports.serial.tools.list_ports, "comports", lambda: ports)

    return plug


def test_the_only_board_need_not_be_named(plugged):
    plugged("/dev/ttyUSB0")
    assert chosen(None) == "/dev/ttyUSB0" and chosen("/dev/ttyACM1") == "/dev/ttyACM1"
    port, path = split(["image.bin"], "IMAGE")
    assert (port, str(path)) == ("/dev/ttyUSB0", "image.bin")
    assert split(["/dev/ttyACM1", "image.bin"], "IMAGE")[0] == "/dev/ttyACM1"


def test_two_boards_have_to_be_told_apart(plugged):
    plugged("/dev/ttyUSB1", "/dev/ttyUSB0")
    with pytest.raises(PortError, match="2 boards; name one of /dev/ttyUSB0, /dev/ttyUSB1"):
        chosen(None)


def test_no_board_is_told(plugged):
    plugged()
    with pytest.raises(PortError, match="no board was found: plug one in"):
        chosen(None)
    with pytest.raises(PortError, match="no board was found"):
        many_boards.deploy([], [])


@pytest.mark.parametrize("words", [["image.bin", "PORT"], ["PORT"]])
def test_a_port_is_not_taken_for_a_file(plugged, words):
    """To read one as a file would wait for ever."""
    plugged("/dev/ttyUSB0")
    with open("/dev/ptmx", "rb") as terminal:
        words = [word.replace("PORT", terminal.name) for word in words]
        with pytest.raises(PortError, match="/dev/ptmx is a port; expected IMAGE after it"):
            split(words, "IMAGE")


@pytest.mark.skipif(sys.platform != "linux", reason="pseudo-terminals as mpremote knows them")
@pytest.mark.timeout(300)
def test_every_board_gets_a_line_and_a_failure_stops_no_other(tmp_path, config):
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    said = Console(file=io.StringIO(), width=500)
    with (
        port(micropython.command(), folders[0]) as a,
        port(micropython.command(), folders[1]) as b,
    ):
        none = str(tmp_path / "none")
        failed = many_boards.deploy([a, none, b], ["--config", str(config)], said)
    assert failed == [none]
    lines = said.file.getvalue().splitlines()
    assert len(lines) == 4 and lines[-1] == "2 of 3 boards are up to date."
    (wrong,) = [line for line in lines if line.startswith(none)]
    assert wrong.startswith(f"{none}: failed: no such port"), wrong
    for folder in folders:
        there = files(folder)
        assert "firmware/app.mpy" in there
        assert json.loads(there["config.json"])["device"]["id"] == "_dev_1"
