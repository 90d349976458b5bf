"""Deployment with the real mpremote to the unix port on a pseudo-terminal."""

import dataclasses
import json
import shutil
import subprocess
import sys

import pytest
import serial

from tests.tools.terminal import BLOCKS, CONFIG, PEM, files, port, wait_for
from tools import ROOT, board, cli, micropython
from tools.board import Board, BoardError
from tools.build import build
from tools.deploy import DeployError, deploy

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="mpremote knows pseudo-terminals on Linux only"
)

# A board's own file system, of 160 KiB, in the unix port's memory.
SMALL_DISK = f"""
import os, vfs
{BLOCKS}
blocks = Blocks(bytearray(40 * 4096))
vfs.VfsLfs2.mkfs(blocks)
vfs.mount(vfs.VfsLfs2(blocks), "/disk")
os.chdir("/disk")
"""


def test_the_firmware_arrives_and_starts_from_there(unix_port, root, disk):
    deploy(unix_port, root=root)
    there = files(disk)
    made = files(build(root).files)
    assert there.pop("boot.py") == (root / "boot.py").read_bytes()
    assert there.pop("main.py") == (root / "main.py").read_bytes()
    assert there == {path: data for path, data in made.items() if "/" in path}
    assert "firmware/app.mpy" in there and "lib/umqtt/simple.mpy" in there
    started = subprocess.run(
        micropython.command("-c", "import boot, main; import umqtt.simple"),
        env=micropython.environment([disk, disk / "lib"]),
        cwd=disk,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (started.stdout, started.returncode) == ("boot\nmain\n", 0), started.stderr


def test_only_what_changed_is_sent_and_what_is_gone_is_removed(unix_port, root, disk):
    (root / "firmware" / "old" / "deep").mkdir(parents=True)
    (root / "firmware" / "old" / "deep" / "one.py").write_text("")
    deploy(unix_port, root=root)
    (disk / "notes.txt").write_text("not ours\n")
    (disk / "lib" / "mine.py").write_text("not ours\n")

    again = deploy(unix_port, root=root)
    assert again.send == {} and again.remove == []
    (disk / "firmware.set").write_text("firmware.a")  # an update that would go on running
    again = deploy(unix_port, root=root)
    assert again.send == {} and again.remove == ["firmware.set"]
    assert not (disk / "firmware.set").exists()

    shutil.rmtree(root / "firmware" / "old")
    (root / "firmware" / "new.py").write_text("answer = 42\n")
    with open(root / "main.py", "a") as main:
        main.write("# changed\n")
    changed = deploy(unix_port, root=root)
    assert set(changed.send) == {"firmware/new.mpy", "main.py"}
    assert changed.remove == ["firmware/old/deep/one.mpy"]
    there = files(disk)
    assert there["main.py"] == (root / "main.py").read_bytes()
    assert "firmware/new.mpy" in there and not (disk / "firmware" / "old").exists()
    assert "notes.txt" in there and "lib/mine.py" in there
    assert not (disk / "deploy.tmp").exists()


def test_sources_replace_bytecode_and_back(unix_port, root, disk):
    deploy(unix_port, root=root)
    deploy(unix_port, source="py", root=root)
    assert not [path for path in files(disk) if path.endswith(".mpy")]
    assert (
        files(disk)["firmware/config/load.py"] == (root / "firmware/config/load.py").read_bytes()
    )
    deploy(unix_port, root=root)
    assert {path for path in files(disk) if path.endswith(".py")} == {"boot.py", "main.py"}


def test_a_configuration_comes_with_its_certificates(unix_port, root, disk, config, capfd):
    deploy(unix_port, root=root)
    shown = capfd.readouterr().out
    assert f"There is no config.json on the board yet. Next: csipio configure {unix_port}" in shown
    sent = deploy(unix_port, config, root=root)
    assert set(sent.send) == {"config.json", "certs/ca.pem"}
    assert json.loads((disk / "config.json").read_text()) == CONFIG
    assert (disk / "certs" / "ca.pem").read_text() == PEM
    (config.parent / "certs" / "ca.pem").write_bytes(b"\x30\x82\x01\x0a" + bytes(266))  # DER
    assert set(deploy(unix_port, config, root=root).send) == {"certs/ca.pem"}
    (config.parent / "certs" / "ca.pem").write_text("<html>not found</html>")
    with pytest.raises(DeployError, match=r"ca.pem: has no certificate; expected PEM"):
        deploy(unix_port, config, root=root)
    assert "do-not-print-me" not in "".join(capfd.readouterr())


def test_the_boards_configuration_stays_unless_one_is_given(unix_port, root, disk, config):
    (disk / "config.json").write_text("{}")
    deploy(unix_port, root=root)
    assert (disk / "config.json").read_text() == "{}"
    deploy(unix_port, config, root=root)
    assert json.loads((disk / "config.json").read_text()) == CONFIG


def test_a_bad_configuration_is_refused_before_anything_is_sent(unix_port, root, disk, config):
    wrong = CONFIG | {"sensors": [{"prop": "temperature", "driver": "counter", "every_s": -3}]}
    config.write_text(json.dumps(wrong))
    with pytest.raises(DeployError) as refused:
        deploy(unix_port, config, root=root)
    assert "sensors[0].every_s: expected" in str(refused.value)
    assert "do-not-print-me" not in str(refused.value)
    config.write_text('{"device": ')
    with pytest.raises(DeployError, match="is not valid"):
        deploy(unix_port, config, root=root)
    with pytest.raises(DeployError, match="no such file"):
        deploy(unix_port, config.with_name("other.json"), root=root)
    assert files(disk) == {}


def test_a_configuration_without_its_certificates_is_refused(unix_port, root, disk, config):
    (config.parent / "certs" / "ca.pem").unlink()
    with pytest.raises(DeployError, match=r"tls\.ca is certs/ca\.pem, but there is no "):
        deploy(unix_port, config, root=root)
    assert files(disk) == {}
    plain = {"mqtt": {"url": "mqtt://localhost"}, "https": {"url": "http://localhost/v3"}}
    config.write_text(json.dumps(CONFIG | plain))
    assert "config.json" in deploy(unix_port, config, root=root).send


def test_a_full_disk_leaves_the_old_firmware_whole(root, tmp_path):
    # Left out, so that little is on the disk before.
    shutil.rmtree(root / "firmware")
    (root / "firmware").mkdir()
    (root / "firmware" / "app.py").write_text("a = 1\n")
    (root / "main.py").write_text("")
    with port(micropython.command("-i", "-c", SMALL_DISK), tmp_path) as name:
        deploy(name, source="py", root=root)
        (root / "firmware" / "app.py").write_text("a = 2\n")
        (root / "firmware" / "b.py").write_text("# far too large\n" * 10000)
        with pytest.raises(BoardError, match="the board's file system is full"):
            deploy(name, source="py", root=root)
        (root / "firmware" / "app.py").write_text("a = 1\n")
        (root / "firmware" / "b.py").unlink()
        assert deploy(name, source="py", root=root).send == {}


def test_what_was_damaged_on_the_way_is_not_put_in_place(unix_port, root, disk, monkeypatch):
    deploy(unix_port, root=root)
    before = files(disk)
    (root / "main.py").write_text("print('new')\n")
    write = Board.write

    def damaged(self, path, data, progress):
        write(self, path, data.replace(b"n", b"m", 1), progress)

    monkeypatch.setattr(Board, "write", damaged)
    with pytest.raises(BoardError, match=r"main\.py did not arrive unharmed"):
        deploy(unix_port, root=root)
    assert files(disk) == before


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_a_deployment_that_was_cut_off_is_mended_by_the_next(
    unix_port, root, disk, monkeypatch, steps
):
    deploy(unix_port, root=root)
    before = files(disk)
    for name in ("base/log", "control/pi"):
        with open(root / "firmware" / f"{name}.py", "a") as source:
            source.write("changed = True\n")
    step, done = Board.step, []

    def cut_off(self, source, target):
        if len(done) == steps:
            raise BoardError("the cable was pulled")
        done.append(target)
        step(self, source, target)

    monkeypatch.setattr(Board, "step", cut_off)
    with pytest.raises(BoardError, match="pulled"):
        deploy(unix_port, root=root)
    monkeypatch.undo()
    if steps == 0:
        assert {path: data for path, data in files(disk).items() if "deploy" not in path} == before
    # From the first step on the new firmware counts, and nothing is sent again.
    assert bool(deploy(unix_port, root=root).send) == (steps == 0)
    made = files(build(root).files)
    assert files(disk)["firmware/pi.mpy"] == made["firmware/pi.mpy"]
    assert deploy(unix_port, root=root).send == {}
    assert not (disk / "deploy.tmp").exists() and not (disk / "deploy.old").exists()


def old_bytecode(monkeypatch):
    facts = Board.facts
    monkeypatch.setattr(Board, "facts", lambda self: dataclasses.replace(facts(self), bytecode=5))


def test_bytecode_that_the_board_does_not_load_is_refused(unix_port, root, disk, monkeypatch):
    old_bytecode(monkeypatch)
    with pytest.raises(DeployError, match=r"loads bytecode of version 5, not 6: .* --source py"):
        deploy(unix_port, root=root)
    assert files(disk) == {}
    deploy(unix_port, source="py", root=root)


def test_a_port_that_is_not_there_or_in_use_is_named(unix_port, root):
    with pytest.raises(BoardError, match=r"^/dev/ttyNONE: no such port"):
        deploy("/dev/ttyNONE", root=root)
    with (
        serial.Serial(unix_port, exclusive=True),
        pytest.raises(BoardError, match="is another program using it"),
    ):
        deploy(unix_port, root=root)


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("import time; time.sleep(60)", "does not answer"),
        ("import os\nwhile True: os.write(1, os.read(0, 99) + b'what?')", "not as MicroPython"),
    ],
)
def test_something_else_at_the_port_is_told(root, tmp_path, monkeypatch, program, expected):
    monkeypatch.setattr(board, "_ANSWER_S", 0.5)
    monkeypatch.setattr(board, "_READ_S", 0.1)
    with (
        port([sys.executable, "-c", program], tmp_path) as name,
        pytest.raises(BoardError, match=expected),
    ):
        deploy(name, root=root)


def test_the_watchdog_is_held_off_and_the_board_restarted(unix_port, root, like_esp32):
    deploy(unix_port, root=root)
    wait_for(lambda: like_esp32.read_text() == "watchdog 600000\nreset\n")
    deploy(unix_port, root=root, reset=False)
    assert like_esp32.read_text() == "watchdog 600000\nreset\nwatchdog 600000\n"


def test_the_board_is_restarted_after_a_failure_too(unix_port, root, like_esp32, monkeypatch):
    old_bytecode(monkeypatch)
    with pytest.raises(DeployError):
        deploy(unix_port, root=root)
    wait_for(lambda: like_esp32.read_text() == "watchdog 600000\nreset\n")


def test_the_command_line_says_what_is_wrong_and_exits_with_2(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["csipio", "deploy", "/dev/ttyNONE"])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("csipio: ") and "Traceback" not in error


def test_a_deployment_that_cannot_be_finished_keeps_nothing_from_starting(disk):
    """A board whose boot.py dies does not run main.py."""
    (disk / "boot.py").write_bytes((ROOT / "boot.py").read_bytes())
    (disk / "deploy.tmp").mkdir()
    (disk / "deploy.tmp" / "finish.py").write_text("raise OSError(5)\n")
    done = subprocess.run(
        micropython.command("-c", "import boot\nprint('main')"),
        cwd=disk,
        capture_output=True,
        text=True,
    )
    assert done.stdout.endswith("main\n"), done.stderr
    assert "OSError" in done.stdout and (disk / "deploy.tmp" / "finish.py").exists()
