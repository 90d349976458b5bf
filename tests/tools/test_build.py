"""Compiling the firmware: what is made, what is made again, and what happens on an error."""

import concurrent.futures
import os

import pytest

from tools.build import BuildError, build


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "source"
    for path, text in {
        "boot.py": "",
        "main.py": "from firmware import app\n",
        "firmware/app.py": "print('app')\n",
        "firmware/link/mqtt_session.py": "",
        "lib/umqtt/simple.py": "",
        "tools/not_firmware.py": "",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def made(out):
    return {path.relative_to(out).as_posix(): path.stat() for path in out.rglob("*.*")}


def test_the_firmware_and_its_libraries_are_compiled(root):
    out = build(root)
    assert out == root / "build" / "device"
    assert set(made(out)) == {
        "boot.mpy",
        "main.mpy",
        "firmware/app.mpy",
        "firmware/link/mqtt.mpy",
        "lib/umqtt/simple.mpy",
    }
    assert all((out / path).read_bytes()[:2] == b"M\x06" for path in made(out))


def test_only_a_changed_source_is_compiled_again(root):
    before = made(build(root))
    assert made(build(root)) == before
    source = root / "firmware" / "app.py"
    source.write_text("print('new')\n")
    os.utime(source, (1, 1))  # older, as after a checkout of an old version
    after = made(build(root))
    assert {path for path in after if after[path] != before[path]} == {"firmware/app.mpy"}
    assert b"new" in (build(root) / "firmware/app.mpy").read_bytes()


def test_a_removed_source_takes_its_bytecode_with_it(root):
    build(root)
    (root / "firmware" / "link" / "mqtt.py").unlink()
    assert "firmware/link/mqtt.mpy" not in made(build(root))


def test_an_error_names_file_and_line_and_leaves_no_bytecode(root):
    (root / "firmware" / "app.py").write_text("ok = 1\nif:\n")
    with pytest.raises(BuildError, match=r'firmware/app\.py", line 2\n'):
        build(root)
    assert not [path for path in made(root / "build" / "device") if "app" in path]


def test_builds_at_the_same_time_do_not_disturb_each_other(root):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: set(made_after_build(root)), range(16)))
    assert all("firmware/app.mpy" in result for result in results)
    assert all(path.endswith(".mpy") for path in made(build(root)))


def made_after_build(root):
    out = build(root)
    # A partial file of a build that goes on beside this one may vanish meanwhile.
    return [path.relative_to(out).as_posix() for path in out.rglob("[!.]*.mpy")]
