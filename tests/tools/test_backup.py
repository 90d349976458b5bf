"""Backup and restore, with the real mpremote to the unix port on a pseudo-terminal."""

import sys

import pytest

from tests.tools.terminal import files, port
from tools import micropython
from tools.backup import BackupError, backup, restore
from tools.board import Board, BoardError

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
