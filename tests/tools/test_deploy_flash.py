"""What a deployment does to a board's littlefs: how often it reads, and what a power cut leaves.

The real mpremote deploys to the unix port, which has littlefs in RAM with the ESP32 port's
parameters and notes each read, program and erase.
"""

import json
import random
import shutil
import subprocess
import sys

import pytest

from tests.tools.terminal import port
from tools import ROOT, micropython
from tools.board import Board
from tools.deploy import deploy

pytestmark = [
    pytest.mark.skipif(
        sys.platform != "linux", reason="mpremote knows pseudo-terminals on Linux only"
    ),
    pytest.mark.timeout(400),  # hundreds of starts of an interpreter
]

HELPERS = ROOT / "tests" / "device" / "helpers"

DISK = """
import os, sys, vfs
from flash import Flash

class Noting(Flash):
    reads = 0
    log = None

    def readblocks(self, block, buffer, offset=0):
        self.reads += 1
        return super().readblocks(block, buffer, offset)

    def _change(self, at, data):
        if self.log is not None:
            self.log.append((at, bytes(data)))
        return super()._change(at, data)

class Partition:
    TYPE_DATA = 1

    @staticmethod
    def find(kind, label):
        return [flash] if (kind, label) == (1, "vfs") else []

class esp32:
    pass

def note():
    "From now on, what changes the flash is noted."
    global before
    before = bytes(flash.data)
    flash.log = []

def dump(path):
    "Write the flash as it was, and all changes, to files of the host."
    import struct
    with open(path + "/before", "wb") as file:
        file.write(before)
    with open(path + "/log", "wb") as file:
        for at, data in flash.log:
            file.write(struct.pack("<II", at, len(data)))
            file.write(data)

esp32.Partition = Partition
sys.modules["esp32"] = esp32
flash = Noting(%d)
vfs.VfsLfs2.mkfs(flash)
vfs.mount(vfs.VfsLfs2(flash, readsize=32, progsize=32, lookahead=32), "/disk")
os.chdir("/disk")
"""

# Cuts the power at each change, lets the board start and looks at what is there then: "o" for the
# old files, "n" for the new ones, the whole listing for anything else.
CUT = """
import binascii, hashlib, os, struct, sys, vfs
from flash import Flash

folder = sys.argv[1]
passing = sys.argv[2:]
with open(folder + "/before", "rb") as file:
    data = bytearray(file.read())
changes = []
with open(folder + "/log", "rb") as file:
    while True:
        head = file.read(8)
        if not head:
            break
        at, size = struct.unpack("<II", head)
        changes.append((at, file.read(size)))

def walk(path):
    for name, kind, *_ in os.ilistdir(path):
        below = path + "/" + name
        if kind == 0x4000:
            yield from walk(below)
        else:
            with open(below, "rb") as file:
                yield below, file.read()

def start(image):
    flash = Flash(len(data) // 4096, image)
    vfs.mount(vfs.VfsLfs2(flash), "/d")
    os.chdir("/d")
    with open("boot.py") as file:
        text = file.read()
    exec(text, {})
    found = dict(walk("/d"))
    os.chdir("/")
    vfs.umount("/d")
    return {
        path: content for path, content in found.items()
        if not path.startswith("/d/deploy.") and path[3:] not in passing
    }

after = bytearray(data)
for at, change in changes:
    after[at : at + len(change)] = change
old, new = start(data), start(after)
assert old != new
for at, change in changes:
    for size in (0, len(change) // 2, len(change)):
        image = bytearray(data)
        image[at : at + size] = change[:size]
        found = start(image)
        print("o" if found == old else "n" if found == new else sorted(found))
    data[at : at + len(change)] = change
"""


def disk(tmp_path, blocks):
    command = micropython.command("-i", "-c", DISK % blocks, heap="64M")
    return port(command, tmp_path, [HELPERS])


@pytest.fixture
def reads(monkeypatch):
    """The commands that a deployment sends, each with how often the flash was read for it."""
    noted = []
    execute = Board._exec

    def counting(self, command, consumer=None):
        def count():
            return int(execute(self, "print(flash.reads)"))

        before = count()
        result = execute(self, command, consumer)
        noted.append((command, count() - before))
        return result

    monkeypatch.setattr(Board, "_exec", counting)
    return noted


def moving(noted):
    """Of the commands noted, those between the first that decides and the last step."""
    steps = [n for n, (command, _) in enumerate(noted) if command.startswith("_step(")]
    return [count for _, count in noted[steps[0] : steps[-1] + 1]]


def use(name):
    """The firmware runs for a while and keeps its state in the root of the file system."""
    board = Board(name)
    board._exec(
        f"for n in range({random.randrange(30)}):\n"
        " with open('state.tmp', 'w') as file: file.write('x' * 200)\n"
        " os.rename('state.tmp', 'state.json')"
    )
    board.close()


def few_large(root):
    """Give the source tree ten modules of up to 15 KB."""
    shutil.rmtree(root / "firmware")
    (root / "firmware").mkdir()
    for name in ("__init__", "app", "a", "b", "c", "d", "e", "f", "g", "h"):
        lines = [f"{name}_{n} = {n * 7919}\n" for n in range(600)]
        (root / "firmware" / f"{name}.py").write_text("".join(lines))


@pytest.mark.parametrize("files", ["many small", "few large"])
def test_the_moving_phase_reads_little(root, tmp_path, reads, files):
    random.seed(1)
    if files == "few large":
        few_large(root)
    shutil.copy(ROOT / "boot.py", root)
    shutil.copy(ROOT / "main.py", root)
    config = tmp_path / "config.json"
    certs = tmp_path / "certs" / "ca.pem"
    certs.parent.mkdir()
    worst_step = worst_phase = 0
    with disk(tmp_path, 512) as name:
        for turn in range(6):
            certs.write_text(f"-----BEGIN CERTIFICATE-----\ncertificate {turn}\n" * 40)
            write_config(config, turn)
            reads.clear()
            sent = deploy(
                name,
                config if files == "many small" else None,
                source="mpy" if turn % 2 else "py",
                root=root,
            )
            assert len(sent.send) >= 10
            counts = moving(reads)
            worst_step = max(worst_step, *counts)
            worst_phase = max(worst_phase, sum(counts))
            use(name)
    assert worst_step <= 250
    assert worst_phase <= 1000


def write_config(path, turn):
    path.write_text(
        json.dumps(
            {
                "device": {"id": f"_dev_{turn}", "key_id": "_key_1", "key_secret": "s" * 64},
                "mqtt": {"url": "mqtts://localhost:8883"},
                "https": {"url": "https://localhost/v3"},
                "wifi": [{"ssid": "home", "password": "password"}],
            }
        )
    )


# A boot.py that cannot finish a deployment is replaced before all else, by one that can.
@pytest.mark.parametrize("boot", ["finishes", "is older"])
def test_a_power_cut_leaves_the_old_or_the_new_firmware(root, tmp_path, boot):
    shutil.rmtree(root / "firmware")
    shutil.rmtree(root / "lib")
    (root / "firmware" / "link").mkdir(parents=True)
    for name in ("__init__", "app", "b", "link/c", "link/d"):
        (root / "firmware" / f"{name}.py").write_text(f"version = 1  # {name}\n" * 9)
    if boot == "finishes":
        shutil.copy(ROOT / "boot.py", root)
    else:
        (root / "boot.py").write_text("import gc\n")
    with disk(tmp_path, 96) as name:
        deploy(name, source="py", root=root)
        (root / "firmware" / "app.py").write_text("version = 2\n" * 90)
        (root / "firmware" / "link" / "c.py").unlink()
        (root / "firmware" / "e.py").write_text("version = 2\n")
        shutil.copy(ROOT / "boot.py", root)
        shutil.copy(ROOT / "main.py", root)
        board = Board(name)
        board._exec("note()")
        board.close()
        deploy(name, source="py", root=root)
        board = Board(name)
        board._exec(f"dump({str(tmp_path)!r})")
        board.close()
    cut = tmp_path / "cut.py"
    cut.write_text(CUT)
    checked = subprocess.run(
        micropython.command(
            cut, tmp_path, *(["boot.py"] if boot == "is older" else []), heap="64M"
        ),
        env=micropython.environment([HELPERS]),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert checked.returncode == 0, checked.stderr
    found = checked.stdout.splitlines()
    assert set(found) == {"o", "n"}
    assert len(found) > 300
    assert found == sorted(found, reverse=True), "the new firmware came, and went again"
