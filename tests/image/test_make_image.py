"""`make image`: what it starts, what it says where it cannot, and what it makes for a release.

The image itself is not built here: `docker` is a script of the test.
"""

import hashlib
import json
import os
import shutil
import subprocess

import pytest

from tools import ROOT
from tools.image import main, partitions, pinned, version

SLOT = min(row.size for row in partitions() if row.type == "app")

RUNS = """#!/bin/sh
[ "$1" = run ] || { echo 28.0.0; exit; }
echo "$*" > docker.log
ls build/frozen > seen.log
printf whole > build/image/firmware.bin
printf slot > build/image/micropython.bin
"""
NO_ENGINE = """#!/bin/sh
echo "Cannot connect to the Docker daemon. Is it running?" >&2
exit 1
"""
BREAKS = """#!/bin/sh
[ "$1" = run ] && exit 7
echo 28.0.0
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A copy of what an image is made of, as the working folder, without any docker."""
    root = tmp_path / "project"
    for name in ("firmware", "image"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("boot.py", "main.py"):
        shutil.copy(ROOT / name, root)
    (root / "bin").mkdir()
    for tool in ("sh", "ls"):
        (root / "bin" / tool).symlink_to(shutil.which(tool))
    monkeypatch.chdir(root)
    monkeypatch.setenv("PATH", str(root / "bin"))
    return root


def install(root, script):
    (root / "bin/docker").write_text(script)
    (root / "bin/docker").chmod(0o755)


def say_what_to_do(text):
    return "of a release" in text and "install Docker" in text and "image/build.sh" in text


def test_without_docker_it_says_what_to_do(root, capsys):
    assert main([], root) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: There is no program `docker`.\n") and say_what_to_do(said)
    assert f"ESP-IDF {pinned()['IDF_VERSION']}" in said


def test_without_an_engine_it_says_so_and_what_to_do(root, capsys):
    install(root, NO_ENGINE)
    assert main([], root) == 2
    said = capsys.readouterr().err
    assert "its engine does not answer: Cannot connect to the Docker daemon" in said
    assert say_what_to_do(said)


def test_the_build_runs_in_the_pinned_container_on_the_frozen_sources(root, capsys):
    install(root, RUNS)
    assert main([], root) == 0
    started = (root / "docker.log").read_text()
    assert started.endswith(f" espressif/idf:{pinned()['IDF_VERSION']} image/build.sh\n")
    assert f"--volume {root}:/project --workdir /project" in started
    assert f"--user {os.getuid()}:{os.getgid()}" in started
    assert (root / "seen.log").read_text().split() == ["boot.py", "firmware", "main.py", "units"]
    assert "build/image/release" in capsys.readouterr().out


def test_a_build_that_fails_makes_no_release(root, capsys):
    install(root, BREAKS)
    assert main([], root) == 2
    assert "ended with 7" in capsys.readouterr().err
    assert not (root / "build/image/release").exists()


def built(root, whole=b"bootloader, table, app", slot=b"app"):
    (root / "build/image").mkdir(parents=True)
    (root / "build/image/firmware.bin").write_bytes(whole)
    (root / "build/image/micropython.bin").write_bytes(slot)


def test_a_release_has_the_images_a_manifest_and_sums(root):
    built(root)
    assert main(["describe"], root) == 0
    release = root / "build/image/release"
    name = f"csipio-thermostat-{version()}"
    assert {path.name: path.read_bytes() for path in release.glob("*.bin")} == {
        f"{name}.bin": b"bootloader, table, app",
        f"{name}-update.bin": b"app",
    }
    assert json.loads((release / "manifest.json").read_text()) == {
        "version": version(),
        "chip": "esp32",
        "micropython": pinned()["MICROPYTHON_TAG"],
        "idf": pinned()["IDF_VERSION"],
        "image": {
            "offset": 0x1000,
            "file": f"{name}.bin",
            "size": 22,
            "sha256": hashlib.sha256(b"bootloader, table, app").hexdigest(),
        },
        "update": {
            "slot": SLOT,
            "file": f"{name}-update.bin",
            "size": 3,
            "sha256": hashlib.sha256(b"app").hexdigest(),
        },
    }


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="no sha256sum")
def test_the_sums_are_what_sha256sum_checks(root, monkeypatch):
    built(root)
    assert main(["describe"], root) == 0
    monkeypatch.undo()
    release = root / "build/image/release"
    done = subprocess.run(
        ["sha256sum", "--check", "SHA256SUMS"], cwd=release, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": OK\n") == 3


def test_an_image_that_does_not_fit_into_a_slot_is_refused(root, capsys):
    built(root, slot=bytes(SLOT + 5))
    assert main(["describe"], root) == 2
    assert f"{SLOT + 5} bytes, 5 more than a slot" in capsys.readouterr().err


def test_nothing_is_described_before_it_was_built(root, capsys):
    assert main(["describe"], root) == 2
    assert "build the image first" in capsys.readouterr().err


def test_a_tag_must_be_the_version(root, capsys):
    install(root, RUNS)
    assert main(["--tag", "v99.0.0"], root) == 2
    assert f"VERSION in firmware/__init__.py is {version()}" in capsys.readouterr().err
    assert not (root / "docker.log").exists()
    assert main(["--tag", f"v{version()}"], root) == 0


def test_a_build_by_hand_is_refused_without_its_parts(root, monkeypatch):
    def build(**environ):
        done = subprocess.run(
            ["bash", "image/build.sh"],
            cwd=root,
            env={"PATH": os.environ["PATH"], **environ},
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stderr

    monkeypatch.undo()
    assert build() == (
        1,
        "error: no idf.py: run . $IDF_PATH/export.sh of ESP-IDF "
        f"{pinned()['IDF_VERSION']} first\n",
    )
    (root / "bin/idf.py").write_text("#!/bin/sh\n")
    (root / "bin/idf.py").chmod(0o755)
    with_idf = {"PATH": f"{root / 'bin'}:{os.environ['PATH']}"}
    code, said = build(**with_idf)
    assert code == 1 and "build/frozen is empty" in said


@pytest.mark.skipif(not shutil.which("git"), reason="no git")
def test_a_tag_that_was_moved_is_refused(root, monkeypatch):
    """The build goes on only with the pinned commit, whatever the tag has become."""
    monkeypatch.undo()
    other = root / "other"
    git = ["git", "-C", str(other), "-c", "user.name=x", "-c", "user.email=x@x.x"]
    subprocess.run(["git", "init", "--quiet", str(other)], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "x"], check=True)
    subprocess.run([*git, "tag", pinned()["MICROPYTHON_TAG"]], check=True)
    (root / "bin/idf.py").write_text("#!/bin/sh\n")
    (root / "bin/idf.py").chmod(0o755)
    assert main(["sources"], root) == 0
    done = subprocess.run(
        ["bash", "image/build.sh"],
        cwd=root,
        env={
            "PATH": f"{root / 'bin'}:{os.environ['PATH']}",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.file://{other}.insteadOf",
            "GIT_CONFIG_VALUE_0": "https://github.com/micropython/micropython.git",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert f"and not {pinned()['MICROPYTHON_COMMIT']}" in done.stderr
