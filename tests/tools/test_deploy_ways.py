"""Which way the firmware goes to which board, and what is said of it."""

import dataclasses
import re
import subprocess
import sys

import pytest

from tests.tools.terminal import files, port
from tools import ROOT, micropython
from tools.board import Board, BoardError
from tools.build import build
from tools.deploy import DeployError, deploy
from tools.facts import KB, Facts
from tools.staging import Interrupted

on_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="mpremote knows pseudo-terminals on Linux only"
)

# MicroPython's own image for the generic ESP32, on a WROOM-32.
WROOM = Facts(
    platform="esp32",
    machine="Generic ESP32 module with ESP32",
    micropython=(1, 24, 0),
    bytecode=6,
    heap=166_900,
    regions=[(20_000, 8_000, 6_000), (170_000, 25_392, 24_000), (113_840, 110_592, 110_592)],
    frozen=None,
    frozen_umqtt=True,
    romfs=0,
)
PSRAM = dataclasses.replace(
    WROOM, heap=4_160_000, regions=[*WROOM.regions, (4_194_303, 4_100_000, 4_063_232)]
)
UNIX = dataclasses.replace(WROOM, platform="linux", heap=2_072_832, regions=[], frozen_umqtt=False)
IMAGE = 120 * KB


@pytest.mark.parametrize(
    ("board", "changes", "way"),
    [
        (WROOM, {}, None),
        (WROOM, {"frozen": "0.1.0"}, "frozen"),
        (WROOM, {"romfs": 128 * KB}, "romfs"),
        (WROOM, {"romfs": IMAGE}, "romfs"),
        (WROOM, {"romfs": IMAGE - 1}, None),
        (WROOM, {"frozen": "0.1.0", "romfs": 128 * KB}, "frozen"),
        (PSRAM, {}, "files"),
        (PSRAM, {"romfs": 64 * KB}, "files"),
        (PSRAM, {"romfs": 256 * KB}, "romfs"),
        (UNIX, {}, "files"),
        (UNIX, {"heap": 128 * KB}, "files"),
    ],
)
def test_the_way_follows_from_the_facts(board, changes, way):
    assert dataclasses.replace(board, **changes).way(IMAGE) == way


def test_what_python_may_have_beside_wifi_and_tls():
    # The first area of 56 KB and ESP-IDF's 143,984 bytes, less 73 KB.
    assert WROOM.for_python == 166_900 - 110_592 + 143_984 - 73 * KB
    assert not WROOM.has_psram and PSRAM.has_psram
    assert PSRAM.for_python > 4_000_000


def says(monkeypatch, **changes):
    """Make the board say other things of itself."""
    facts = Board.facts
    monkeypatch.setattr(Board, "facts", lambda self: dataclasses.replace(facts(self), **changes))


@on_linux
def test_a_plain_board_is_refused_with_the_figures(unix_port, root, disk, monkeypatch, capsys):
    monkeypatch.setattr(Board, "facts", lambda self: WROOM)
    with pytest.raises(DeployError) as refused:
        deploy(unix_port, root=root)
    text = str(refused.value)
    for part in ("148 KB of RAM", "has 123 KB", "Wi-Fi (43 KB)", "(30 KB)", "no PSRAM"):
        assert part in text
    for help_ in (
        "make image",
        "a board with PSRAM",
        "variant SPIRAM",
        "ROMFS, with a partition of",
        "--source mpy",
    ):
        assert help_ in text
    assert files(disk) == {}
    assert len(deploy(unix_port, source="mpy", root=root).send) > 10
    assert "takes 148 KB of RAM as files, and the board has 123 KB" in capsys.readouterr().out


@on_linux
def test_an_old_micropython_is_refused(unix_port, root, disk, monkeypatch):
    says(monkeypatch, micropython=(1, 22, 2))
    with pytest.raises(DeployError, match=r"MicroPython 1\.22\.2 is .* 1\.23 or newer"):
        deploy(unix_port, root=root)
    assert files(disk) == {}


@on_linux
def test_to_a_frozen_firmware_only_the_configuration_is_sent(
    unix_port, root, disk, config, monkeypatch, capsys
):
    deploy(unix_port, root=root)
    version = re.search('VERSION = "(.*)"', (root / "firmware/__init__.py").read_text())[1]
    says(monkeypatch, frozen=version)
    capsys.readouterr()
    sent = deploy(unix_port, config, root=root)
    assert set(sent.send) == {"config.json", "certs/ca.pem"}
    assert not (disk / "firmware").exists(), "would take room, and RAM where it is loaded"
    told = " ".join(capsys.readouterr().out.split())
    assert f"Firmware {version} is part of the board's" in told
    assert "This checkout" not in told
    with pytest.raises(DeployError, match="comes before files"):
        deploy(unix_port, source="mpy", root=root)

    says(monkeypatch, frozen="0.0.9")
    assert deploy(unix_port, config, root=root).send == {}
    told = " ".join(capsys.readouterr().out.split())
    assert "Firmware 0.0.9 is part" in told
    assert f"This checkout is firmware {version}" in told and "make image" in told


@on_linux
def test_what_is_frozen_is_found(unix_port, disk):
    board = Board(unix_port)
    try:
        facts = board.facts()
        assert facts.is_unix_port and facts.bytecode == 6 and facts.heap > 1_000_000
        assert facts.frozen is None and not facts.frozen_umqtt and facts.romfs == 0
        assert board._eval("_frozen('asyncio') is not None")
        assert not board._eval("'asyncio' in sys.modules")
    finally:
        board.close()


# A ROMFS partition as the ESP32 port gives it: it is read through an object with the buffer
# protocol, erased in blocks of 4 KiB, and what is not erased cannot be written.
ROM = """
import sys, vfs

class Rom:
    VfsRom = vfs.VfsRom
    mount = vfs.mount
    umount = vfs.umount
    data = bytearray(b"\\x00" * %d)
    damage = False
    erased = set()
    done = 0

    @classmethod
    def rom_ioctl(cls, operation, part=0, offset=None, data=None):
        if operation == 1:
            return 1
        assert part == 0
        if operation == 2:
            return memoryview(cls.data)
        if operation == 3:
            assert offset %% 4096 == 0 and data %% 4096 == 0
            cls.data[offset:offset + data] = b"\\xff" * data
            cls.erased.update(range(offset, offset + data, 4096))
            return 16
        if operation == 4:
            assert offset in cls.erased and len(data) == 4096
            cls.erased.remove(offset)
            cls.data[offset:offset + 4096] = data
            if cls.damage:
                cls.data[offset + 9] ^= 1
            return 0
        if operation == 5:
            cls.done += 1
            return 0
        if operation == 6:
            return 4096
        raise ValueError(operation)

sys.modules["vfs"] = Rom
"""


@pytest.fixture
def rom_port(disk):
    with port(micropython.command("-i", "-c", ROM % (512 * KB), heap="8M"), disk) as name:
        yield name


def on_board(name, text):
    board = Board(name)
    try:
        return board._eval(text)
    finally:
        board.close()


@on_linux
def test_an_image_goes_to_romfs_and_starts_from_there(rom_port, root, disk, config, tmp_path):
    deploy(rom_port, source="mpy", root=root)
    assert (disk / "firmware").is_dir()
    sent = deploy(rom_port, config, root=root)
    image = build(root).image.read_bytes()
    assert sent.image == image
    assert set(sent.send) == {"config.json", "certs/ca.pem", "main.py"}
    assert not (disk / "firmware").exists()
    assert (disk / "main.py").is_file() and (disk / "boot.py").is_file()
    size, done, erased = on_board(rom_port, "(_rom_size(), Rom.done, len(Rom.erased))")
    assert (size, done, erased) == (512 * KB, 1, 0)
    there = on_board(rom_port, f"_rom_hash({len(image)})")
    (tmp_path / "image").write_bytes(image)
    started = subprocess.run(
        micropython.command(
            "-c",
            f"import vfs, sys; f = open({str(tmp_path / 'image')!r}, 'rb')\n"
            "vfs.mount(vfs.VfsRom(f.read()), '/rom')\n"
            "sys.path += ['/rom', '/rom/lib']; import boot, main, umqtt.simple",
            heap="2M",
        ),
        env=micropython.environment([disk]),
        cwd=disk,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (started.stdout, started.returncode) == ("boot\nmain\n", 0), started.stderr

    # An update that runs from the other half ends; the first one has this very image.
    for name in ("firmware.set", "firmware.next"):
        (disk / name).write_text("slot.b")
    again = deploy(rom_port, config, root=root)
    assert again.image is None and again.send == {}
    assert again.remove == ["firmware.next", "firmware.set"]
    assert not list(disk.glob("firmware.*"))
    assert on_board(rom_port, f"_rom_hash({len(image)})") == there


@on_linux
def test_half_an_image_is_not_started(rom_port, root, disk):
    deploy(rom_port, root=root)
    with open(root / "firmware" / "app.py", "a") as app:
        app.write("CHANGED = 1\n")
    on_board(rom_port, "setattr(Rom, 'damage', True)")
    with pytest.raises(BoardError, match=r"image did not arrive unharmed.* deploy again"):
        deploy(rom_port, root=root)
    assert not (disk / "main.py").exists() and not (disk / "deploy.tmp").exists()
    on_board(rom_port, "setattr(Rom, 'damage', False)")
    assert set(deploy(rom_port, root=root).send) == {"main.py"}
    assert (disk / "main.py").is_file()


def interrupt_at(monkeypatch, method, count):
    """Ctrl-C at the n-th call of a method of the board's, before it does anything."""
    real, calls = getattr(Board, method), []

    def interrupting(self, *arguments):
        calls.append(arguments)
        if len(calls) == count:
            raise KeyboardInterrupt
        return real(self, *arguments)

    monkeypatch.setattr(Board, method, interrupting)


@on_linux
@pytest.mark.parametrize(
    ("method", "count", "left", "new"),
    [
        ("facts", 1, "nothing was changed", False),
        ("write", 2, "the board keeps what it had", False),
        ("copy", 1, "the board keeps what it had", False),
        ("step", 1, "in place now", True),
        ("step", 3, "in place now", True),
        ("clear", 4, "are in place, and the next deployment", True),
    ],
)
def test_ctrl_c_leaves_the_old_or_the_new(
    unix_port, root, disk, monkeypatch, method, count, left, new
):
    deploy(unix_port, root=root)
    before = files(disk)
    for name in ("base/log", "control/pi"):
        with open(root / "firmware" / f"{name}.py", "a") as source:
            source.write("changed = True\n")
    with monkeypatch.context() as patch:
        interrupt_at(patch, method, count)
        with pytest.raises(Interrupted, match=left):
            deploy(unix_port, root=root)
    there = {path: data for path, data in files(disk).items() if not path.startswith("deploy.")}
    assert (there != before) == new
    assert new == (deploy(unix_port, root=root).send == {})
    assert not (disk / "deploy.tmp").exists() and not (disk / "deploy.old").exists()


def test_boot_finishes_what_was_cut_off():
    assert "deploy.tmp/finish.py" in (ROOT / "boot.py").read_text()
