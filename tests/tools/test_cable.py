"""A cable that is pulled at every moment of `configure`, `backup` and `restore`.

The board has the old or the new, whole, and the next run succeeds. What the board does at its next
start is done by its own boot.py.
"""

import json
import shutil
import subprocess
import sys
from unittest.mock import Mock

import pytest
import rich.prompt

from tests.tools.cable import pulled_everywhere
from tests.tools.terminal import CONFIG, PEM, UNREACHABLE, files, port
from tools import ROOT, ToolError, board, micropython
from tools.backup import BackupError, backup, restore
from tools.board import Board, BoardError
from tools.build import build
from tools.configure import configure

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="pseudo-terminals as mpremote knows them"),
    pytest.mark.timeout(300),
]

FIRMWARE = {"boot.py": (ROOT / "boot.py").read_bytes(), "main.py": b"2\n"}
KEPT = {
    "config.json": json.dumps(UNREACHABLE).encode(),
    "certs/ca.pem": b"old certificate\n",
    "settings.json": b'{"values": {}}',
    "journal/00000001.seg": bytes(range(256)) * 3,
}
OTHER = {
    "config.json": json.dumps(CONFIG).encode(),
    "certs/ca.pem": b"new certificate\n",
    "settings.json": b'{"values": {"a": 1}}',
    "journal/00000002.seg": bytes(range(100)),
}

# A board whose power goes when a file was written to that often; each time it writes at once.
LOSES_POWER = """
import builtins, io, os
real = open
left = %d

class File(io.IOBase):
    def __init__(self, file):
        self.file = file

    def write(self, data):
        global left
        left -= 1
        if left < 0:
            os.system("kill -9 $PPID")
        count = self.file.write(data)
        self.file.flush()
        return count

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

def opened(path, mode="r", **more):
    file = real(path, mode, **more)
    return File(file) if "w" in mode else file

builtins.open = opened
"""


@pytest.fixture(scope="module")
def path():
    """Where MicroPython finds the firmware, and `setup`."""
    firmware = build().files
    return [firmware, firmware / "lib", firmware / "firmware/setup"]


def fill(folder, contents):
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def start(disk):
    """What the board does before main.py when its power is back."""
    subprocess.run(micropython.command("boot.py"), cwd=disk, check=True, timeout=30)


def there(disk):
    """What is on the board, but for what a deployment, or a save, leaves to be tidied up."""
    return {
        name: data
        for name, data in files(disk).items()
        if not name.startswith("deploy.") and name != "config.json.new"
    }


def on_a_board(disk, path, act):
    with port(micropython.command(), disk, path) as name:
        return act(name)


def cut_off(monkeypatch, disk, path, act, is_new, old=KEPT):
    """Cut `act(port)` off everywhere: the board has the old configuration or the new one, and all
    else that it had. Yields (its certificates, whether it has the old one, whether it has started
    since)."""
    seen = set()
    fill(disk, FIRMWARE | old)
    for _ in pulled_everywhere(monkeypatch, lambda: on_a_board(disk, path, act)):
        for restarted in (False, True):
            if restarted:
                start(disk)
            found = there(disk)
            config = found.pop("config.json")
            assert config == old["config.json"] or is_new(json.loads(config)), config
            yield found.pop("certs/ca.pem"), config == old["config.json"], restarted
            rest = (FIRMWARE | old).items()
            assert found == {k: v for k, v in rest if k not in ("config.json", "certs/ca.pem")}
        seen.add(config == old["config.json"])
        # The next run finds what this one left behind; here at once, else in the next round.
        if config != old["config.json"]:
            on_a_board(disk, path, act)
            assert is_new(json.loads((disk / "config.json").read_text()))
            fill(disk, FIRMWARE | old)
    assert is_new(json.loads((disk / "config.json").read_text()))
    assert not (disk / "deploy.tmp").exists()
    assert seen == {True, False}


def test_a_file_comes_with_its_certificates_or_not_at_all(monkeypatch, disk, path, said, config):
    def act(name):
        configure(name, file=config, console=said)

    for authority, is_old, restarted in cut_off(monkeypatch, disk, path, act, CONFIG.__eq__):
        if restarted or not is_old:
            assert authority == (KEPT["certs/ca.pem"] if is_old else PEM.encode())


def test_keys_are_all_set_or_none(monkeypatch, disk, path, said):
    changes = ["feed.max_points=7", "time.zone=CET-1"]
    new = UNREACHABLE | {"feed": {"max_points": 7}, "time": {"ntp": [], "zone": "CET-1"}}

    def act(name):
        configure(name, changes=changes, console=said)

    for authority, *_ in cut_off(monkeypatch, disk, path, act, new.__eq__):
        assert authority == KEPT["certs/ca.pem"]


@pytest.mark.parametrize("writes", [0, 1, 20, 50])
def test_the_old_one_is_whole_when_the_power_goes_while_it_is_saved(
    monkeypatch, disk, path, said, writes
):
    monkeypatch.setattr(board, "_SILENCE_S", 0.5)
    monkeypatch.setattr(board, "_READ_S", 0.1)
    fill(disk, FIRMWARE | KEPT)
    changes = ["feed.max_points=7"]
    with (
        port(micropython.command("-i", "-c", LOSES_POWER % writes), disk, path) as name,
        pytest.raises(BoardError),
    ):
        configure(name, changes=changes, console=said)
    assert there(disk) == FIRMWARE | KEPT
    half = (disk / "config.json.new").read_bytes()
    assert bool(half) == bool(writes) and not half.endswith(b"}}")
    on_a_board(disk, path, lambda name: configure(name, changes=changes, console=said))
    assert json.loads(files(disk)["config.json"]) == UNREACHABLE | {"feed": {"max_points": 7}}
    assert not (disk / "config.json.new").exists()


def test_an_authority_never_comes_without_the_keys(monkeypatch, disk, path, said, tmp_path):
    (tmp_path / "mine.pem").write_text(PEM)
    new = UNREACHABLE | {"feed": {"max_points": 7}}

    def act(name):
        changes = ["feed.max_points=7"]
        configure(name, changes=changes, authority=tmp_path / "mine.pem", console=said)

    for authority, is_old, _ in cut_off(monkeypatch, disk, path, act, new.__eq__):
        assert authority == KEPT["certs/ca.pem"] or not is_old
    assert (disk / "certs" / "ca.pem").read_text() == PEM


def test_that_the_keys_are_saved_is_told_where_the_certificates_are_not(
    monkeypatch, disk, path, said, tmp_path
):
    (tmp_path / "mine.pem").write_text(PEM)

    def act(name):
        changes = ["feed.max_points=7"]
        configure(name, changes=changes, authority=tmp_path / "mine.pem", console=said)

    for raised, words in ((KeyboardInterrupt(), "stopped"), (BoardError("pulled"), "pulled")):
        fill(disk, FIRMWARE | KEPT)
        with monkeypatch.context() as patch:
            patch.setattr(Board, "write", Mock(side_effect=raised))
            with pytest.raises(ToolError, match=f"configuration is saved; .*{words}"):
                on_a_board(disk, path, act)
        assert json.loads(files(disk)["config.json"]) == UNREACHABLE | {"feed": {"max_points": 7}}
        assert files(disk)["certs/ca.pem"] == KEPT["certs/ca.pem"]


def test_what_is_refused_changes_no_certificate(disk, path, said, tmp_path):
    (tmp_path / "mine.pem").write_text(PEM)
    fill(disk, FIRMWARE | KEPT)
    changes = ["feed.format=fat"]
    on_a_board(
        disk,
        path,
        lambda name: configure(
            name, changes=changes, authority=tmp_path / "mine.pem", console=said
        ),
    )
    assert files(disk) == FIRMWARE | KEPT


def test_the_questions_change_all_or_nothing(monkeypatch, disk, path, said):
    answers = ("_dev_2", "", "", "room", "26", "", "20.5", "CET-1")

    def act(name):
        left = list(answers)
        with monkeypatch.context() as patch:
            get = classmethod(lambda *_, **__: left.pop(0))
            patch.setattr(rich.prompt.PromptBase, "get_input", get)
            configure(name, console=said)

    def is_new(found):
        return found["device"]["id"] == "_dev_2" and found["time"]["zone"] == "CET-1"

    for authority, *_ in cut_off(monkeypatch, disk, path, act, is_new):
        assert authority == KEPT["certs/ca.pem"]


def half_restored(monkeypatch, disk, folder, said, steps):
    """Restore `folder`, cut off after so many of the steps that put it in its place."""
    step, left = Board.step, steps

    def pulled(self, source, target):
        nonlocal left
        left -= 1
        if left < 0:
            raise BoardError("the cable was pulled")
        step(self, source, target)

    with monkeypatch.context() as patch:
        patch.setattr(Board, "step", pulled)
        with pytest.raises(BoardError, match="pulled"):
            on_a_board(disk, (), lambda name: restore(name, folder, console=said))


def test_a_restore_is_whole_at_the_next_start_or_has_not_begun(monkeypatch, disk, tmp_path, said):
    fill(tmp_path / "copy", OTHER)
    fill(disk, FIRMWARE | KEPT)
    seen = set()

    def act(name):
        restore(name, tmp_path / "copy", console=said)

    for _ in pulled_everywhere(monkeypatch, lambda: on_a_board(disk, (), act)):
        assert files(disk)["config.json"] in (KEPT["config.json"], OTHER["config.json"])
        start(disk)
        is_old = there(disk)["config.json"] == KEPT["config.json"]
        assert there(disk) == FIRMWARE | (KEPT if is_old else OTHER)
        seen.add(is_old)
        if not is_old:
            on_a_board(disk, (), act)
            assert files(disk) == FIRMWARE | OTHER
            fill(disk, FIRMWARE | KEPT)
    assert files(disk) == FIRMWARE | OTHER
    assert seen == {True, False}


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5])
def test_what_follows_a_restore_that_was_cut_off_finds_it_whole(
    monkeypatch, disk, path, tmp_path, said, steps
):
    fill(tmp_path / "copy", OTHER)
    fill(tmp_path / "third", {**KEPT, "config.json": b"{}"})

    fill(disk, FIRMWARE | KEPT)
    half_restored(monkeypatch, disk, tmp_path / "copy", said, steps)
    on_a_board(disk, (), lambda name: restore(name, tmp_path / "third", console=said))
    assert files(disk) == FIRMWARE | files(tmp_path / "third")

    fill(disk, FIRMWARE | KEPT)
    half_restored(monkeypatch, disk, tmp_path / "copy", said, steps)
    on_a_board(disk, (), lambda name: backup(name, tmp_path / "saved", console=said))
    assert files(tmp_path / "saved") == OTHER

    fill(disk, FIRMWARE | KEPT)
    half_restored(monkeypatch, disk, tmp_path / "copy", said, steps)
    changes = ["feed.max_points=7"]
    on_a_board(disk, path, lambda name: configure(name, changes=changes, console=said))
    start(disk)
    new = json.dumps(json.loads(OTHER["config.json"]) | {"feed": {"max_points": 7}})
    assert json.loads(files(disk)["config.json"]) == json.loads(new)
    assert there(disk) | {"config.json": b""} == FIRMWARE | OTHER | {"config.json": b""}


def test_a_backup_is_whole_or_is_not_there(monkeypatch, disk, tmp_path, said):
    fill(disk, FIRMWARE | KEPT)
    copy = tmp_path / "copy"

    def act(name):
        backup(name, copy, console=said)

    whole = set()
    for _ in pulled_everywhere(monkeypatch, lambda: on_a_board(disk, (), act)):
        assert files(disk) == FIRMWARE | KEPT
        # The restart at the end may still be missing.
        whole.add(copy.exists())
        if copy.exists():
            assert files(copy) == KEPT
            shutil.rmtree(copy)
    assert files(copy) == KEPT
    assert whole == {True, False}


def test_a_backup_whose_program_was_killed_is_not_restored(disk, tmp_path, said):
    fill(disk, FIRMWARE | KEPT)
    copy = tmp_path / "copy"
    kill = (
        "import os, sys\nfrom pathlib import Path\n"
        "from tools.backup import backup\nfrom tools.board import Board\n"
        "real, left = Board.read, [3]\n"
        "def read(self, path):\n"
        "    left[0] -= 1\n"
        "    return real(self, path) if left[0] else os._exit(9)\n"
        "Board.read = read\n"
        "backup(sys.argv[1], Path(sys.argv[2]))\n"
    )

    def act(name):
        return subprocess.run([sys.executable, "-c", kill, name, copy], cwd=ROOT).returncode

    assert on_a_board(disk, (), act) == 9
    with pytest.raises(BackupError, match="this backup was cut off; make a new one"):
        restore("/dev/ttyNONE", copy, console=said)
    (disk / "journal" / "00000001.seg").unlink()  # sent meanwhile
    on_a_board(disk, (), lambda name: backup(name, copy, console=said))
    assert files(copy) == {k: v for k, v in KEPT.items() if not k.startswith("journal")}
