"""Backup and restore, with the real mpremote to the unix port on a pseudo-terminal."""

import sys
from unittest.mock import Mock

import pytest

from tests.tools.terminal import files, port, wait_for
from tools import ToolError, micropython
from tools.backup import BackupError, backup, restore
from tools.board import Board, BoardError
from tools.configure import configure

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="mpremote knows pseudo-terminals on Linux only"
)

KEPT = {
    "config.json": b'{"device": {}}',
    "certs/ca.pem": b"certificate\n",
    "settings.json": b'{"values": {}}',
    "journal/00000001.seg": bytes(range(256)) * 20,
    "empty": b"",
}
FIRMWARE = {"boot.py": b"1\n", "main.py": b"2\n", "firmware/app.mpy": b"M"}


def fill(folder, contents):
    for path, data in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


def test_what_a_board_keeps_comes_on_another_one(unix_port, disk, tmp_path, said):
    fill(disk, {**KEPT, **FIRMWARE})
    backup(unix_port, tmp_path / "copy", console=said)
    assert files(tmp_path / "copy") == KEPT
    assert "5 files are in" in said.file.getvalue() and "each checked" in said.file.getvalue()

    other = tmp_path / "other"
    other.mkdir()
    fill(other, {**FIRMWARE, "config.json": b"old", "settings.json": KEPT["settings.json"]})
    fill(other, {"journal/00000009.seg": b"of that board"})
    with port(micropython.command(), other) as name:
        done = restore(name, tmp_path / "copy", console=said)
    assert files(other) == {**KEPT, **FIRMWARE}
    assert done.unchanged == 1 and done.remove == ["journal/00000009.seg"]


def test_nothing_is_overwritten_here(unix_port, disk, tmp_path):
    fill(disk, KEPT)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "mine").write_text("")
    with pytest.raises(BackupError, match="is not empty; name a new folder"):
        backup(unix_port, tmp_path / "copy")
    with pytest.raises(BackupError, match="mine: is no folder; name a new one"):
        backup(unix_port, tmp_path / "copy" / "mine")


def test_a_board_with_the_firmware_alone_has_nothing_to_keep(unix_port, disk, tmp_path):
    fill(disk, FIRMWARE)
    with pytest.raises(BackupError, match="nothing but the firmware"):
        backup(unix_port, tmp_path / "copy")


def test_only_a_backup_is_restored(unix_port, tmp_path):
    with pytest.raises(BackupError, match=r"has no config.json; name a folder that"):
        restore(unix_port, tmp_path)
    fill(tmp_path, {"config.json": b"{}", "main.py": b""})
    with pytest.raises(BackupError, match=r"main.py is the firmware's; deploy puts that"):
        restore(unix_port, tmp_path)


def test_a_board_that_is_pulled_while_it_is_restored_keeps_what_it_had(
    disk, tmp_path, said, monkeypatch
):
    fill(disk, FIRMWARE | {"config.json": b"old"})
    fill(tmp_path / "copy", KEPT)
    for writes in range(len(KEPT) + 1):
        with port(micropython.command(), disk) as name:
            left = writes

            def pulled(self, path, data, progress, real=Board.write):
                nonlocal left
                if left == 0:
                    raise BoardError("the cable was pulled")
                left -= 1
                real(self, path, data, progress)

            monkeypatch.setattr(Board, "write", pulled)
            with pytest.raises(BoardError, match="pulled"):
                restore(name, tmp_path / "copy", console=said)
            monkeypatch.undo()
        there = files(disk)
        assert {path: there[path] for path in (*FIRMWARE, "config.json")} == {
            **FIRMWARE,
            "config.json": b"old",
        }


def test_one_file_is_one_file(unix_port, disk, tmp_path, said):
    fill(disk, {"config.json": b"{}"})
    backup(unix_port, tmp_path / "copy", console=said)
    assert "1 file is in" in said.file.getvalue()
    (disk / "config.json").write_bytes(b"other")
    restore(unix_port, tmp_path / "copy", console=said)
    assert "1 file sent and verified" in said.file.getvalue()
    restore(unix_port, tmp_path / "copy", console=said)
    assert "The board is up to date: 1 file, none sent." in said.file.getvalue()


def without_firmware(port, folder, reset):
    configure(port, changes=["a=1"], reset=reset)


def nothing_there(port, folder, reset):
    backup(port, folder / "copy", reset=reset)


def stopped(port, folder, reset):
    fill(folder / "copy", KEPT)
    restore(port, folder / "copy", reset=reset)


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("command", [without_firmware, nothing_there, stopped])
def test_after_a_failure_the_board_runs_again(
    unix_port, tmp_path, monkeypatch, command, reset, like_esp32
):
    monkeypatch.setattr(Board, "free", Mock(side_effect=KeyboardInterrupt))
    monkeypatch.setattr(Board, "names", lambda self: [])
    monkeypatch.setattr(Board, "has", lambda self, module: False)
    with pytest.raises((ToolError, KeyboardInterrupt)):
        command(unix_port, tmp_path, reset)
    wanted = "watchdog 600000\n" + ("reset\n" if reset else "")
    wait_for(lambda: like_esp32.read_text() == wanted)


def test_where_it_cannot_be_restarted_it_is_told_how(
    unix_port, disk, tmp_path, monkeypatch, like_esp32
):
    fill(disk, KEPT)
    lost = Mock(side_effect=BoardError("the cable was pulled"))
    monkeypatch.setattr(Board, "reset", lost)
    monkeypatch.setattr(Board, "hashes", lost)
    with pytest.raises(BoardError, match=r"pulled. Its firmware stands still: .* EN or RST"):
        backup(unix_port, tmp_path / "copy")
