"""Flashing: the real esptool against a bootloader without a chip."""

import contextlib
import random
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from esp32_mock_bootloader import mock_bootloader

from tests.tools.terminal import BLOCKS, CONFIG, PEM
from tools import flash as flashing
from tools import micropython, vfs
from tools.flash import FlashError, ask, flash, read_image

MIB = 1 << 20
MOUNT = f"""
import os, sys, vfs
{BLOCKS}
with open(sys.argv[1], "rb") as file:
    blocks = Blocks(bytearray(file.read()))
vfs.mount(vfs.VfsLfs2(blocks, readsize=32, progsize=32, lookahead=32), "/disk")
for name in ("config.json", "certs/ca.pem"):
    print(open("/disk/" + name).read())
with open("/disk/new.txt", "w") as file:
    file.write("written")
print(open("/disk/new.txt").read(), os.listdir("/disk"))
"""


def image(path, chip=0, start=0x1000, partitions=(("factory", 0x10000, 0x1F0000),), size=0x12000):
    """A file as MicroPython's build makes it: its header, its partition table, and anything."""
    data = bytearray(b"\xff") * size
    # esp_image_header_t: magic, segments, mode, size and speed, entry, then the chip's id.
    data[:24] = b"\xe9\x00\x02\x20" + bytes(8) + chip.to_bytes(2, "little") + bytes(10)
    table = bytearray()
    for label, first, length in partitions:
        table += b"\xaa\x50\x01\x81" + first.to_bytes(4, "little") + length.to_bytes(4, "little")
        table += label.encode().ljust(16, b"\0") + bytes(4)
    data[0x8000 - start : 0x8000 - start + len(table)] = table
    path.write_bytes(data)
    return path


WITH_VFS = (("factory", 0x10000, 0x1F0000), ("vfs", 0x200000, 0x200000))


@pytest.fixture(scope="module")
def chip():
    """An ESP32 with 4 MB that waits in its bootloader; its address."""
    with mock_bootloader("esp32") as mock:
        yield mock.url()


def test_an_image_says_what_it_is_for(tmp_path):
    found = read_image(image(tmp_path / "a.bin", partitions=WITH_VFS))
    assert (found.chip, found.start, found.end) == ("ESP32", 0x1000, 4 * MIB)
    assert found.partitions["vfs"] == (0x200000, 0x200000)
    assert read_image(image(tmp_path / "b.bin", chip=9, start=0)).chip == "ESP32-S3"


def test_what_is_no_image_is_refused(tmp_path):
    (tmp_path / "text.bin").write_text("no image at all" * 10)
    (tmp_path / "app.bin").write_bytes(b"\xe9" + bytes(100_000))
    for name, words in (
        ("text.bin", "is no image; expected MicroPython's image for an ESP32"),
        ("app.bin", "is a program alone, as for an update"),
        ("none.bin", "cannot be read: No such file"),
    ):
        with pytest.raises(FlashError, match=words):
            read_image(tmp_path / name)
    with pytest.raises(FlashError, match="a chip that this tool does not know"):
        read_image(image(tmp_path / "new.bin", chip=99))


def test_the_board_is_told_first(chip):
    found = ask(chip, stub=False)
    assert (found.kind, found.flash) == ("ESP32", 4 * MIB)
    assert "4 MB of flash, no PSRAM in the chip" in found.described()


def test_an_image_of_another_chip_is_refused(chip, tmp_path, said):
    path = image(tmp_path / "s3.bin", chip=9, start=0)
    with pytest.raises(FlashError, match=r"is for an ESP32-S3, and the board .* is an ESP32; "):
        flash(chip, path, stub=False, console=said)


def test_an_image_that_needs_more_flash_is_refused(chip, tmp_path, said):
    path = image(tmp_path / "large.bin", partitions=(("vfs", 0x200000, 0x600000),))
    with pytest.raises(FlashError, match=r"needs 8 MB of flash, and the board .* has 4 MB"):
        flash(chip, path, stub=False, console=said)


def test_an_image_is_written_and_verified(chip, tmp_path, said, capfd):
    path = image(tmp_path / "good.bin", partitions=WITH_VFS)
    flash(chip, path, stub=False, wait=False, console=said)
    shown = capfd.readouterr().out
    assert "Hash of data verified" in shown
    assert "Written and verified." in said.file.getvalue()


@contextlib.contextmanager
def cut_after(url, size):
    """Another address of the chip, whose cable is pulled when so many bytes went to it."""
    host, _, number = url.removeprefix("socket://").partition(":")
    left = size

    def pass_on(source, target, is_counted):
        nonlocal left
        with contextlib.suppress(OSError):
            while data := source.recv(1024):
                if is_counted:
                    left -= len(data)
                if left < 0:
                    server.close()
                    break
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve():
        with contextlib.suppress(OSError):
            while True:
                near = server.accept()[0]
                far = socket.create_connection((host, int(number)))
                for pair in ((near, far, True), (far, near, False)):
                    threading.Thread(target=pass_on, args=pair, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield f"socket://127.0.0.1:{server.getsockname()[1]}"


def test_a_cable_that_is_pulled_while_it_writes_is_told_what_to_do(
    tmp_path, said, capfd, monkeypatch
):
    # It tries again, for ten seconds otherwise.
    once = tmp_path / "esptool.cfg"
    once.write_text("[esptool]\nconnect_attempts = 1\nwrite_block_attempts = 1\n")
    monkeypatch.setenv("ESPTOOL_CFGFILE", str(once))
    path = image(tmp_path / "good.bin", partitions=WITH_VFS)
    # What esptool cannot compress.
    path.write_bytes(path.read_bytes()[:0x9000] + random.Random(1).randbytes(0x10000))
    with (
        mock_bootloader("esp32") as chip,
        cut_after(chip.url(), 40_000) as url,
        pytest.raises(FlashError) as told,
    ):
        flash(url, path, stub=False, wait=False, console=said)
    shown = capfd.readouterr().out
    assert "Erasing flash" in shown and "Hash of data" not in shown
    text = str(told.value)
    assert "what is on the board may be half written" in text
    assert "flash it again" in text and "BOOT" in text
    assert "Written and verified" not in said.file.getvalue()


def test_erasing_is_asked_for(chip, tmp_path, said, monkeypatch):
    path = image(tmp_path / "good.bin", partitions=WITH_VFS)
    monkeypatch.setattr("rich.prompt.Confirm.get_input", lambda *args, **more: "n")
    monkeypatch.setattr(flashing, "_write", lambda *args: pytest.fail("it was written"))
    with pytest.raises(FlashError, match="nothing was written"):
        flash(chip, path, erase=True, stub=False, console=said)
    assert "the readings that wait on the board" in said.file.getvalue()


@pytest.mark.parametrize("ended", [KeyboardInterrupt(), EOFError()])
def test_where_nobody_answers_nothing_is_erased(chip, tmp_path, said, monkeypatch, ended):
    def get(*args, **more):
        raise ended

    path = image(tmp_path / "good.bin", partitions=WITH_VFS)
    monkeypatch.setattr("rich.prompt.Confirm.get_input", get)
    monkeypatch.setattr(flashing, "_write", lambda *args: pytest.fail("it was written"))
    with pytest.raises(FlashError, match="nothing was written; where nobody can answer, --yes"):
        flash(chip, path, erase=True, stub=False, console=said)


@pytest.mark.parametrize("stub", [True, False])
def test_all_is_erased_when_it_is_answered_yes(tmp_path, said, monkeypatch, capfd, stub):
    asked, old, left = [], tmp_path / "old.bin", tmp_path / "left.bin"
    old.write_bytes(b"\x5a" * 4096)
    path = image(tmp_path / "good.bin", partitions=WITH_VFS)
    monkeypatch.setattr(
        "rich.prompt.Confirm.get_input", lambda *args, **more: asked.append(args[1]) or "y"
    )
    with mock_bootloader("esp32") as chip:
        url = chip.url()
        flashing._esptool(url, True, "write-flash", "0x3f0000", str(old), quiet=True)
        flash(url, path, erase=True, stub=stub, wait=False, console=said)
        flashing._esptool(url, True, "read-flash", "0x3f0000", "64", str(left), quiet=True)
    assert len(asked) == 1
    shown = capfd.readouterr().out
    if stub:
        assert "Flash memory erased" in shown
        assert left.read_bytes() == b"\xff" * 64
    else:
        # The mock's ROM takes the command and erases nothing.
        assert "Flash memory region erased" in shown
    assert shown.index("erased successfully") < shown.index("Hash of data verified")
    assert "Written and verified." in said.file.getvalue()


def test_without_esptools_loader_all_of_the_flash_is_one_region(chip, tmp_path, said, monkeypatch):
    ran = []
    real = flashing._esptool

    def esptool(port, stub, *arguments, **more):
        ran.append(arguments)
        return real(port, stub, *arguments, **more)

    monkeypatch.setattr(flashing, "_esptool", esptool)
    path = image(tmp_path / "good.bin", partitions=WITH_VFS)
    flash(chip, path, erase=True, sure=True, stub=False, wait=False, console=said)
    assert ran[1] == ("erase-region", "0", hex(4 * MIB))
    assert ran[2][0] == "write-flash" and "--erase-all" not in ran[2]


def test_the_first_files_are_written_with_it(chip, tmp_path, said, config, monkeypatch):
    written = {}
    real = flashing._esptool

    def esptool(port, stub, *arguments, **more):
        if arguments[0] == "write-flash":
            at = arguments.index("0x1000")
            for start, name in zip(arguments[at::2], arguments[at + 1 :: 2], strict=True):
                written[int(start, 16)] = Path(name).read_bytes()
        return real(port, stub, *arguments, **more)

    monkeypatch.setattr(flashing, "_esptool", esptool)
    path = image(tmp_path / "good.bin", partitions=WITH_VFS)
    flash(chip, path, config=config, sure=True, stub=False, wait=False, console=said)
    assert sorted(written) == [0x1000, 0x200000]
    assert len(written[0x200000]) == 0x200000
    (tmp_path / "disk").write_bytes(written[0x200000])
    done = subprocess.run(
        micropython.command("-X", "heapsize=8M", "-c", MOUNT, str(tmp_path / "disk")),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert CONFIG["device"]["id"] in done.stdout and PEM in done.stdout
    assert "written" in done.stdout


def test_the_same_files_make_the_same_image():
    files = {"config.json": b"{}", "certs/ca.pem": b"x" * 5000}
    first = vfs.image(files, 64 * 4096)
    assert first == vfs.image(dict(reversed(files.items())), 64 * 4096)
    assert first != vfs.image({**files, "config.json": b"{ }"}, 64 * 4096)


def test_files_that_do_not_fit_are_refused():
    with pytest.raises(vfs.FilesError, match="do not fit into a file system of 16384"):
        vfs.image({"a": bytes(40_000)}, 4 * 4096)


def test_a_port_without_a_board_is_told(tmp_path):
    with pytest.raises(FlashError, match=r"no-port: no such port; ") as told:
        ask(str(tmp_path / "no-port"))
    assert "BOOT" not in str(told.value)
    with pytest.raises(FlashError, match="Is it the right port"):
        ask("socket://127.0.0.1:1")


def test_a_micropython_that_does_not_answer_is_told(tmp_path, said, monkeypatch):
    monkeypatch.setattr(flashing, "_PROMPT_S", 0)
    with pytest.raises(FlashError, match="written and verified, but MicroPython does not answer"):
        flashing._at_the_prompt(str(tmp_path / "no-port"), said)


@pytest.mark.skipif(sys.platform != "linux", reason="pseudo-terminals as mpremote knows them")
def test_the_prompt_is_waited_for(unix_port, said):
    assert flashing._at_the_prompt(unix_port, said).platform == "linux"
