"""`csipio device`: MicroPython in the device's folder, and its console."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.tools.terminal import CONFIG
from tools import ROOT, ToolError, device, micropython
from tools.build import build
from tools.console import Translator


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


def start(folder, root, heap=None, origin="romfs", stderr=subprocess.STDOUT, **options):
    run = f"device.run(Path({str(folder)!r}), {heap!r}, Path({str(root)!r}), {origin!r})"
    code = f"from pathlib import Path; from tools import device; {run}"
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, **options)


def test_boot_runs_first_then_main_in_the_devices_folder(folder, root, origin):
    (root / "main.py").write_text("import os, sys\nprint(os.getcwd(), sys.implementation.name)\n")
    output, _ = start(folder, root, origin=origin).communicate(timeout=30)
    assert output == f"boot\n{folder} micropython\n"


def test_the_exit_code_is_the_firmwares(folder, root):
    (root / "main.py").write_text("import sys\nsys.exit(7)\n")
    process = start(folder, root)
    process.communicate(timeout=30)
    assert process.returncode == 7


def test_a_restart_of_the_board_begins_anew(folder, root, origin):
    others = shutil.ignore_patterns("kinds.py", "url.py")
    for room in ("base", "board", "times"):
        shutil.copytree(ROOT / "firmware" / room, root / "firmware" / room, ignore=others)
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


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process its number so")
def test_nothing_of_the_run_before_is_left_after_a_restart(folder, root):
    """It is another process: in the same one the collector took numbers for pointers to it."""
    (root / "main.py").write_text("""
import os, sys
with open("/proc/self/stat") as file:
    print(file.read().split()[0])
if "again" in os.listdir():
    sys.exit(0)
open("again", "w").close()
sys.exit(75)
""")
    output, _ = start(folder, root).communicate(timeout=30)
    first, then = output.replace("boot\n", "").split()
    assert first != then


# What is in force when it comes: the event loop waits, or strings are made, or there is no loop.
WAITS = {
    "idle": "asyncio.run(main())",
    "busy": "asyncio.run(busy())",
    "no loop": "time.sleep(60)",
    "no end": "\n    while True: pass",
}


def waiting(folder, root, wait):
    """A program that waits for Ctrl-C, as it is started."""
    (root / "main.py").write_text(f"""
import asyncio, sys, time
async def main():
    while True:
        await asyncio.sleep(60)
async def busy():
    while True:
        for letter in 100 * "each of these is looked up in the table of strings":
            pass
        await asyncio.sleep(0)
try:
    print('waiting')
    {WAITS[wait]}
except KeyboardInterrupt:
    print("".join([letter for letter in 'relay off']))
    sys.exit(5)
""")
    process = start(folder, root)
    assert process.stdout.readline() == "boot\n"
    assert process.stdout.readline() == "waiting\n"
    return process


@pytest.mark.parametrize("wait", ["idle", "busy", "no loop"])
def test_sigint_is_a_keyboard_interrupt_there(folder, root, wait):
    process = waiting(folder, root, wait)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert (output, process.returncode) == ("relay off\n", 5)


def test_a_second_sigint_ends_what_does_not_hear_the_first(folder, root):
    process = waiting(folder, root, "no end")
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(3)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=10)
    assert (output, process.returncode) == ("relay off\n", 5)


def test_no_sigint_meets_a_bad_moment(folder, root):
    chance = random.Random(1)
    ends = []
    for _ in range(20):
        process = waiting(folder, root, "busy")
        time.sleep(chance.random() / 10)
        process.send_signal(signal.SIGINT)
        try:
            output, _ = process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
        ends.append((output, process.returncode))
    assert ends == [("relay off\n", 5)] * 20


def test_ctrl_c_at_a_terminal_reaches_it_once(folder, root):
    """A terminal signals the whole group; a second interrupt would end the first one's care."""
    (root / "main.py").write_text("""
import asyncio, time
async def main():
    print('waiting')
    await asyncio.sleep(60)
try:
    asyncio.run(main())
except KeyboardInterrupt:
    time.sleep(0.5)
    print('relay off')
""")
    process = start(folder, root, start_new_session=True)
    assert [process.stdout.readline() for _ in range(2)] == ["boot\n", "waiting\n"]
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert (output, process.returncode) == ("relay off\n", 0)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
def test_a_signal_that_ends_it_leaves_no_interpreter(folder, root, name):
    process = waiting(folder, root, "idle")
    (child,) = psutil.Process(process.pid).children()
    process.send_signal(getattr(signal, name))
    assert process.wait(30) == -getattr(signal, name)
    assert psutil.wait_procs([child], timeout=30)[1] == []


def test_an_interpreter_that_is_killed_ends_it_in_the_same_way(folder, root):
    process = waiting(folder, root, "idle")
    (child,) = psutil.Process(process.pid).children()
    child.kill()
    assert process.wait(30) == -signal.SIGKILL


@pytest.mark.parametrize("stderr", [subprocess.STDOUT, subprocess.PIPE])
def test_a_traceback_names_the_places_in_the_sources(folder, root, origin, stderr):
    (root / "firmware").mkdir()
    (root / "firmware" / "app.py").write_text("from firmware import deep\n\ndeep.fail()\n")
    (root / "firmware" / "deep.py").write_text("""
import sys

def fail():
    try:
        1 / 0
    except ZeroDivisionError as error:
        sys.print_exception(error)
        raise
""")
    (root / "main.py").write_text("import firmware.app\n")
    output, errors = start(folder, root, origin=origin, stderr=stderr).communicate(timeout=30)
    assert re.search(r'File ".*firmware/deep\.py", line 6, in', output)
    # One that is not caught goes to the standard error.
    assert re.search(r'File ".*firmware/app\.py", line 3, in', errors or output)
    assert (errors or output).rstrip().endswith("ZeroDivisionError: divide by zero")


def test_output_is_passed_on_as_it_comes(folder, root):
    (root / "main.py").write_text("""
import sys, time
sys.stdout.write("  no end of a line")
time.sleep(60)
""")
    process = start(folder, root)
    assert process.stdout.readline() == "boot\n"
    text = "  no end of a line"
    assert process.stdout.read(len(text)) == text
    process.kill()


def test_only_what_may_be_a_place_is_held_back():
    translator = Translator({"firmware.app": [(1, "a.py"), (3, "b.py")]})
    text = b'x\n  File "firmware.app", line 5, in _a\n  File "main.py", line 1\n \xff\n  Fi'
    shown = [translator.feed(text[n : n + 1]) for n in range(len(text))]
    expected = text.replace(b'"firmware.app", line 5', b'"b.py", line 3')
    assert b"".join(shown) + translator.feed(b"") == expected
    for n, piece in enumerate(shown):
        line = text[: n + 1].split(b"\n")[-1]
        held = bool(line) and (b'  File "'.startswith(line) or line.startswith(b'  File "'))
        assert held == (not piece), (n, line, piece)


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


def said(*arguments):
    """What `csipio device` answers: its exit code, and its lines."""
    command = [sys.executable, "-m", "tools", "device", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30
    )
    return done.returncode, done.stdout.splitlines()


def test_a_file_in_place_of_the_folder_is_told(folder):
    path = folder / "config.json"
    text = f"csipio: {path}: expected a folder, got a file; name the folder that has config.json"
    assert said(path) == (2, [f"{text} in it"])


@pytest.mark.parametrize("heap", ["5", "20000", "31K"])
def test_a_heap_that_nothing_fits_into_is_refused(folder, heap):
    code, (line,) = said(folder, "--heap", heap)
    assert code == 2 and line.startswith(f"csipio: --heap {heap}: expected 32K or more")


@pytest.mark.parametrize("heap", ["0", "64", "x", "64KB", "-5K"])
def test_a_heap_that_is_no_size_or_too_small_is_told_in_a_line(folder, heap):
    code, (line,) = said(folder, f"--heap={heap}")
    assert code == 2 and "expected" in line and heap in line


def test_a_heap_that_the_firmware_does_not_fit_into_is_told_in_a_line(folder, origin):
    (folder / "config.json").write_text(json.dumps(CONFIG))
    code, lines = said(folder, "--heap", "40K", "--from", origin)
    text = "csipio: the heap is too small for the firmware; give it more, as by --heap 256K"
    assert (code, lines[-1:]) == (2, [text])
    assert "Traceback (most recent call last):" not in lines


def test_a_folder_is_one_device_at_a_time(folder, root):
    process = waiting(folder, root, "idle")
    code, (line,) = said(folder)
    assert code == 2
    assert line.startswith(f"csipio: {folder}: another csipio device runs in it; stop that one")
    process.kill()
    process.wait(30)
    process = waiting(folder, root, "idle")
    process.kill()


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
