"""What is frozen into the image: all of the firmware, all that it imports, no more."""

import ast
import os
import subprocess
from pathlib import Path

import pytest

from tools import ROOT, micropython
from tools.build import BuildError, linked, sources
from tools.image import NAMES, frozen_sources

MANIFEST = ROOT / "image/CSIPIO_THERMOSTAT/manifest.py"
# Modules that the ESP32 port has in C, of those that the firmware uses.
BUILT_IN = {
    *(
        "_thread",
        "array",
        "binascii",
        "errno",
        "framebuf",
        "esp32",
        "gc",
        "hashlib",
        "vfs",
        "io",
        "json",
        "machine",
        "math",
    ),
    *("micropython", "network", "os", "select", "socket", "struct", "sys", "time", "uctypes"),
}


class Manifest:
    """Reads a manifest as MicroPython's build does: which files are frozen, what is required."""

    def __init__(self, board_dir):
        self.board_dir = Path(board_dir)
        self.files = {}  # name in the image: source
        self.required = set()
        self.of_the_port = set()
        names = {
            name: getattr(self, name)
            for name in ("module", "package", "include", "require", "freeze")
        }
        exec(compile(MANIFEST.read_text(), MANIFEST, "exec"), names)

    def path(self, text):
        # Not resolved: the board's folder need not be there.
        return Path(os.path.normpath(text.replace("$(BOARD_DIR)", str(self.board_dir))))

    def module(self, name, base_path):
        self.files[name] = self.path(base_path) / name

    def package(self, name, base_path):
        base = self.path(base_path)
        for source in (base / name).rglob("*.py"):
            self.files[source.relative_to(base).as_posix()] = source

    def include(self, path):
        assert path == "$(MPY_DIR)/extmod/asyncio"
        self.required.add("asyncio")

    def require(self, name):
        self.required.add(name)

    def freeze(self, path, names=()):
        if names:
            assert path == "$(PORT_DIR)/modules"
            self.of_the_port.update(names)
        else:
            self.files.update({source.name: source for source in self.path(path).glob("*")})


@pytest.fixture
def frozen(tmp_path):
    """The firmware's sources, written as for an image, and the manifest that finds them there."""
    frozen_sources(ROOT, tmp_path / "build/frozen")
    return Manifest(tmp_path / "image/CSIPIO_THERMOSTAT")


def test_every_unit_is_frozen_and_no_other(frozen):
    units = linked(sources(ROOT), divide=True)
    assert set(frozen.files) == {*units, NAMES, "boot.py", "main.py"}
    assert all(source.is_file() for source in frozen.files.values())


def test_every_module_of_the_firmware_is_in_a_unit():
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "firmware").rglob("*.py")}
    units = linked(sources(ROOT), divide=True).values()
    empty = {path for path in modules if not ast.parse((ROOT / path).read_text()).body[1:]}
    joined = {path for unit in units for _, path in unit.starts}
    made = {"firmware/reference.py", "firmware/setup/setup.py"}
    marks = {"firmware/base/rare.py"}
    assert joined - made | empty | marks == modules


def test_the_folder_is_the_one_that_the_sources_are_written_to():
    written = Manifest(MANIFEST.parent).files["main.py"].parent
    assert written == ROOT / "build/frozen"


def test_a_unit_is_frozen_as_it_is_deployed(frozen):
    for name, unit in linked(sources(ROOT), divide=True).items():
        assert frozen.files[name].read_text() == unit.source


def test_the_names_of_all_modules_are_in_the_image(frozen):
    """Or each would be made in RAM, for good, as it is loaded."""
    tree = ast.parse(frozen.files[NAMES].read_text())
    imported = {a.name for node in tree.body if isinstance(node, ast.Import) for a in node.names}
    last = {node.value.id for node in tree.body if isinstance(node, ast.Expr)}
    for name in frozen.files:
        module = name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        if module.startswith("firmware") and name != NAMES:
            assert module in imported and module.rpartition(".")[2] in last


def test_what_is_left_of_an_earlier_build_is_not_frozen(tmp_path):
    stale = tmp_path / "firmware/link/removed.py"
    stale.parent.mkdir(parents=True)
    stale.write_text("")
    frozen_sources(ROOT, tmp_path)
    assert not stale.exists()


def test_a_module_that_cannot_be_linked_is_named(tmp_path):
    (tmp_path / "firmware").mkdir()
    (tmp_path / "firmware/app.py").write_text("import feed\nfeed._put()\n")
    with pytest.raises(BuildError, match=r"firmware/app\.py, line 2: _put is private"):
        frozen_sources(tmp_path)


def test_the_file_system_is_mounted_by_the_ports_own_start(frozen):
    assert frozen.of_the_port == {"_boot.py", "flashbdev.py", "inisetup.py"}


def test_all_that_the_firmware_imports_is_in_the_image(frozen):
    imported = set()
    # Nobody loads what has the names of all modules.
    for source in (source for name, source in frozen.files.items() if name != NAMES):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Import):
                imported.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module)
    own = {name.removesuffix(".py") for name in frozen.files if "/" not in name}
    others = {name for name in imported - own if name.split(".")[0] != "firmware"}
    # typing is imported for the type checker alone.
    assert others - BUILT_IN - {"typing"} == frozen.required


def test_no_constant_has_a_surrogate():
    """MicroPython's freezer writes constants as UTF-8, and fails on one that has no UTF-8."""
    for path in (ROOT / "boot.py", ROOT / "main.py", *(ROOT / "firmware").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                node.value.encode()


def test_what_is_frozen_comes_before_files_that_an_earlier_deployment_left(tmp_path):
    (tmp_path / "boot.py").write_bytes((ROOT / "boot.py").read_bytes())
    done = subprocess.run(
        micropython.command("-c", "import sys, boot\nprint(sys.path)"),
        env=os.environ | {"MICROPYPATH": ":.frozen:/lib"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    setup = ["firmware/setup", "/rom/firmware/setup", ".frozen/firmware/setup"]
    assert ast.literal_eval(done.stdout) == [".frozen", "", "/lib", *setup]


def test_an_image_comes_before_files_of_the_same_names_and_after_what_is_frozen(tmp_path):
    (tmp_path / "boot.py").write_bytes((ROOT / "boot.py").read_bytes())
    for path, first in (
        (":/lib:/rom:/rom/lib", ["/rom", "/rom/lib"]),
        (":.frozen:/lib:/rom:/rom/lib", [".frozen", "/rom", "/rom/lib"]),
    ):
        done = subprocess.run(
            micropython.command("-c", "import sys, boot\nprint(sys.path)"),
            env=os.environ | {"MICROPYPATH": path},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert ast.literal_eval(done.stdout)[: len(first)] == first


def test_the_public_key_is_frozen_in(tmp_path):
    (tmp_path / "firmware").mkdir()
    head = tmp_path / "firmware/__init__.py"
    head.write_text('VERSION = "1"\nUPDATE_KEY = ""\n')
    (tmp_path / "firmware/app.py").write_text(
        "from firmware import UPDATE_KEY\nprint(UPDATE_KEY)\n"
    )
    for key in ("", "AbC="):
        frozen_sources(tmp_path, tmp_path / "out", key)
        found = "".join(path.read_text() for path in (tmp_path / "out").rglob("*.py"))
        assert f'UPDATE_KEY = "{key}"' in found
