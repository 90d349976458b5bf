"""`csipio device`: the process becomes MicroPython, in the device's folder."""

import shutil
import signal
import subprocess
import sys

import pytest

from tools import ROOT, ToolError, device, micropython
from tools.build import build


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "source"
    root.mkdir()
    (root / "boot.py").write_text("print('boot')\n")
    (root / "main.py").write_text("print('main')\n")
    return root


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "device"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


@pytest.fixture(params=["romfs", "files", "sources"])
def origin(request):
    return request.param


def start(folder, root, heap=None, origin="romfs"):
    run = f"device.run(Path({str(folder)!r}), {heap!r}, Path({str(root)!r}), {origin!r})"
    code = f"from pathlib import Path; from tools import device; {run}"
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_boot_runs_first_then_main_in_the_devices_folder(folder, root, origin):
    (root / "main.py").write_text("import os, sys\nprint(os.getcwd(), sys.implementation.name)\n")
    output, _ = start(folder, root, origin=origin).communicate(timeout=30)
    assert output == f"boot\n{folder} micropython\n"


def test_the_exit_code_is_the_firmwares(folder, root):
    (root / "main.py").write_text("import sys\nsys.exit(7)\n")
    process = start(folder, root)
    process.communicate(timeout=30)
    assert process.returncode == 7


def test_a_restart_of_the_board_begins_anew_in_the_same_process(folder, root, origin):
    for room in ("base", "board", "times"):
        shutil.copytree(ROOT / "firmware" / room, root / "firmware" / room)
    (root / "firmware" / "app.py").write_text("""
import os, sys
from firmware.board import board as unix
starts = 0
def run():
    global starts
    starts += 1
    print(starts, unix.reset_cause())
    if starts > 1 or unix.reset_cause() == "command":
        sys.exit(0)
    unix.restart("command")
""")
    (root / "main.py").write_text("from firmware import app\napp.run()\n")
    process = start(folder, root, origin=origin)
    output, _ = process.communicate(timeout=30)
    assert (output, process.returncode) == ("boot\n1 power-on\nboot\n1 command\n", 0)


@pytest.mark.parametrize("wait", ["asyncio.run(main())", "while True: pass"])
def test_sigint_is_a_keyboard_interrupt_there(folder, root, wait):
    (root / "main.py").write_text(f"""
import asyncio, sys
async def main():
    while True:
        await asyncio.sleep(60)
try:
    print('waiting')
    {wait}
except KeyboardInterrupt:
    print('relay off')
    sys.exit(5)
""")
    process = start(folder, root)
    assert process.stdout.readline() == "boot\n"
    assert process.stdout.readline() == "waiting\n"
    # The very process that was started is the interpreter: no parent is left behind.
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert (output, process.returncode) == ("relay off\n", 5)


def test_the_heap_is_as_large_as_asked(folder, root, origin):
    (root / "main.py").write_text("import gc\ngc.collect()\nprint(gc.mem_free())\n")
    output, _ = start(folder, root, "128K", origin).communicate(timeout=30)
    # The image is apart from it; a part is the collector's own tables.
    assert 118_000 < int(output.split()[1]) < 128 * 1024


def test_bytecode_of_an_image_takes_no_heap(folder, root):
    lines = "".join(f"    total += {n} * total\n" for n in range(3000))
    (root / "main.py").write_text(f"""
import gc
def f(total):
{lines}    return total
gc.collect()
print(gc.mem_free())
""")
    free = {}
    for origin in ("romfs", "files"):
        output, _ = start(folder, root, "128K", origin).communicate(timeout=30)
        free[origin] = int(output.split()[1])
    assert free["romfs"] - free["files"] > 20_000


@pytest.mark.parametrize(("header", "block"), [(b"\x7fELF\x01", 16), (b"\x7fELF\x02", 32)])
def test_an_image_and_its_blocks_are_apart_from_it(root, tmp_path, monkeypatch, header, block):
    (root / "main.py").write_text(f"TEXT = {'x' * 30000!r}\n")
    own = tmp_path / "micropython"
    own.write_bytes(header)
    own.chmod(0o755)
    monkeypatch.setenv("MICROPYTHON", str(own))
    command, _ = device.command("64K", root)
    size = build(root).image.stat().st_size
    assert size > 30000
    assert f"heapsize={65536 + size + size * 3 // 8 // block}" in command


def test_what_is_missing_is_named(folder, root, tmp_path):
    with pytest.raises(ToolError, match="nowhere: no such folder"):
        device.run(tmp_path / "nowhere", root=root)
    (folder / "config.json").unlink()
    with pytest.raises(ToolError, match=r"no config\.json in it"):
        device.run(folder, root=root)
    # What the firmware goes on with when its configuration is lost.
    (folder / "config.good.json").write_text("{}")
    device.check(folder)


def test_another_interpreter_can_be_named(monkeypatch, tmp_path):
    monkeypatch.delenv("MICROPYTHON", raising=False)
    assert micropython.interpreter().name == "micropython"
    own = tmp_path / "own"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    monkeypatch.setenv("MICROPYTHON", str(own))
    expected = [str(own), "-X", "heapsize=1048576", "-c", "pass"]
    assert micropython.command("-c", "pass", heap="1M") == expected
    monkeypatch.setenv("MICROPYTHON", str(tmp_path / "absent"))
    with pytest.raises(ToolError, match=r"^MICROPYTHON=.*absent: no such program"):
        micropython.interpreter()
    with pytest.raises(ToolError, match="expected bytes, K or M such as 128K or 2M, got '1x'"):
        micropython.command(heap="1x")
