"""Compiling the firmware: what is made, what is made again, and what happens on an error."""

import ast
import concurrent.futures
import os

import pytest

from tests.tools.trees import firmware
from tools import ROOT
from tools.build import BuildError, build, romfs


@pytest.fixture
def root(tmp_path):
    texts = {
        "firmware/__init__.py": "VERSION = '1'\n",
        "firmware/app.py": "from firmware.link.wire import SPEED\nprint('app', SPEED)\n",
        "firmware/link/wire.py": "SPEED = 9\n",
        "firmware/sensors/bme.py": "MEASURES = 'air'\n",
        "tools/not_firmware.py": "",
    }
    return firmware(tmp_path / "source", texts)


def made(built):
    files = built.files
    return {p.relative_to(files).as_posix(): p.stat() for p in files.rglob("*.*")}


def test_the_firmware_is_linked_and_compiled_with_its_libraries(root):
    built = build(root)
    assert built.folder.parent == root / "build"
    assert set(made(built)) == {
        "boot.mpy",
        "main.mpy",
        "firmware/__init__.mpy",
        "firmware/app.mpy",
        "firmware/sensors/bme.mpy",
        "lib/umqtt/simple.mpy",
    }
    assert all((built.files / path).read_bytes()[:2] == b"M\x06" for path in made(built))


def test_the_image_holds_the_same_files_and_the_same_bytes_each_time(root):
    built = build(root)
    image = built.image.read_bytes()
    assert image == romfs(built.in_image)
    assert all((built.in_image / path).read_bytes() in image for path in made(built))


def test_where_lines_come_from_is_written_down(root):
    built = build(root)
    assert (
        "firmware.app 3 firmware/link/wire.py"
        in built.places_file(image=True).read_text().splitlines()
    )
    assert (3, "firmware/link/wire.py") in built.places(image=False)["firmware.app"]


def test_only_a_change_makes_another_build(root):
    before = build(root)
    stats = made(before)
    assert (build(root), made(build(root))) == (before, stats)
    source = root / "firmware" / "app.py"
    source.write_text("print('new')\n")
    os.utime(source, (1, 1))  # older, as after a checkout of an old version
    after = build(root)
    assert after != before
    assert b"new" in (after.files / "firmware/app.mpy").read_bytes()
    assert made(before) == stats, "a device may still run from it"


def test_a_few_old_builds_are_kept(root):
    for n in range(12):
        (root / "firmware" / "app.py").write_text(f"print({n})\n")
        last = build(root)
    kept = list((root / "build").iterdir())
    assert last.folder in kept
    assert len(kept) == 8


def test_an_error_names_file_and_line_of_the_source_and_leaves_nothing(root):
    (root / "firmware" / "app.py").write_text("ok = 1\nif:\n")
    with pytest.raises(BuildError, match=r'firmware/app\.py", line 2'):
        build(root)
    # What CPython takes and MicroPython does not.
    (root / "firmware" / "app.py").write_text("from firmware.link.wire import SPEED\nSPEED\n")
    (root / "firmware" / "link" / "wire.py").write_text("SPEED = 1\nmatch SPEED:\n  case 1: 0\n")
    with pytest.raises(BuildError, match=r'firmware/link/wire\.py", line 2'):
        build(root)
    assert not list((root / "build").iterdir())


def test_builds_at_the_same_time_do_not_disturb_each_other(root):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: (build(root), sorted(made(build(root)))), range(16)))
    assert all(result == results[0] for result in results)


def test_the_firmware_itself_is_few_files():
    built = build(ROOT)
    sources = len(list((ROOT / "firmware").rglob("*.py")))
    assert len(list((built.files / "firmware").rglob("*.mpy"))) < sources / 2


def test_each_driver_is_a_file_that_is_found_by_its_name():
    tree = ast.parse((ROOT / "firmware/sensors/__init__.py").read_text())
    names = next(node for node in tree.body if getattr(node, "name", "") == "drivers").body[-1]
    drivers = ast.literal_eval(names.value)
    folder = build(ROOT).files / "firmware/sensors"
    assert {path.stem for path in folder.glob("*.mpy")} == set(drivers)
