"""`csipio keys`, `csipio release`, `csipio update`: as processes, and against the stand-in."""

import io
import json
import os
import stat
import subprocess
import sys
import threading

import pytest
from rich.console import Console

from tests.tools.images import app_image
from tests.tools.trees import firmware
from tools import ROOT, release, releases, update
from tools.client import AwayError, Client, ClientError
from tools.releases import ReleaseError

OBJECT = {"type": "object", "access": "public", "publish": "always"}


def csipio(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "tools", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "key.pem"
    release.new_key(path, None)
    return path


@pytest.fixture
def root(tmp_path):
    version = 'VERSION = "0.3.0"\nREADS = (1, 2)\nWRITES = 2\nUPDATE_KEY = ""\n'
    app = "from firmware import UPDATE_KEY\nprint(UPDATE_KEY)\n"
    return firmware(tmp_path / "source", {"firmware/__init__.py": version, "firmware/app.py": app})


def quiet():
    return Console(file=open(os.devnull, "w"))


# -- keys


def test_a_pair_of_keys(tmp_path):
    path = tmp_path / "new.pem"
    done = csipio("keys", "new", path, CSIPIO_PASSPHRASE="once")
    assert done.returncode == 0, done.stderr
    public = done.stdout.strip()
    assert releases.check_public(public) == public
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"ENCRYPTED" in path.read_bytes() and "once" not in done.stdout + done.stderr
    assert csipio("keys", "show", path, CSIPIO_PASSPHRASE="once").stdout.strip() == public
    wrong = csipio("keys", "show", path, CSIPIO_PASSPHRASE="twice")
    assert wrong.returncode == 2 and "is the passphrase right?" in wrong.stderr


def test_a_key_is_never_replaced(tmp_path):
    path = tmp_path / "new.pem"
    path.write_text("precious")
    done = csipio("keys", "new", path, "--no-passphrase")
    assert done.returncode == 2 and "no key is ever replaced" in done.stderr
    assert path.read_text() == "precious"


def test_the_public_key_may_be_all_there_is(tmp_path, key):
    path = tmp_path / "key.pub"
    path.write_text(release.public_key(key) + "\n")
    assert release.public_key(path) == release.public_key(key)


# -- releases


@pytest.mark.parametrize("kind", release.BUILT)
def test_what_is_built_has_the_key_and_the_same_bytes_each_time(root, key, kind):
    made = []
    for out in ("one", "two"):
        path = release.make(kind, key, out=root / out, root=root, console=quiet())
        made.append((path.read_bytes(), (root / out / (path.name + ".json")).read_bytes()))
    assert made[0] == made[1]
    found, image = release.read(path)
    assert release.public_key(key).encode() in image.read_bytes()
    assert (found.kind, found.version, found.reads, found.writes) == (kind, "0.3.0", (1, 2), 2)
    releases.verify(found, release.public_key(key), image.read_bytes())


def test_a_set_of_files_leaves_out_what_chooses_between_sets(root, key):
    path = release.make("files", key, root=root, console=quiet())
    assert set(releases.read_files(path.read_bytes())) == {
        "firmware/__init__.mpy",
        "firmware/app.mpy",
        "lib/umqtt/simple.mpy",
    }


def test_an_apps_version_is_in_the_manifest_of_make_image(root, key, tmp_path):
    path = tmp_path / "app.bin"
    path.write_bytes(app_image(9))
    with pytest.raises(ReleaseError, match="give --version"):
        release.make(str(path), key, root=root, console=quiet())
    digest = releases.hashlib.sha256(path.read_bytes()).hexdigest()
    tree = {"version": "0.4.0", "update": {"sha256": digest}}
    (tmp_path / "manifest.json").write_text(json.dumps(tree))
    release.make(str(path), key, root=root, console=quiet())
    found, _ = release.read(path)
    assert (found.version, found.kind, found.chip) == ("0.4.0", "app", "ESP32S3")


@pytest.mark.parametrize(
    "what, options, said",
    [
        ("romfs", {"version": "9"}, "change VERSION in"),
        ("romfs", {"chip": "ESP32-S3"}, "letters and digits"),
        ("no.bin", {}, "no.bin: cannot be read"),
        ("app", {"version": "1", "chip": "ESP32S3"}, "is for ESP32, and --chip says ESP32S3"),
        ("app", {"version": "1.x"}, "expected one to four numbers"),
        ("app", {"version": "1", "reads": [1]}, "also what it writes"),
        ("text", {"version": "1"}, "is no image"),
    ],
)
def test_what_cannot_be_released(root, key, tmp_path, what, options, said):
    (tmp_path / "app").write_bytes(app_image(0))
    (tmp_path / "text").write_text("nothing")
    name = what if what == "romfs" else str(tmp_path / what)
    with pytest.raises(ReleaseError, match=said):
        release.make(name, key, root=root, console=quiet(), **options)
    assert not list(tmp_path.glob("*.json"))


def test_an_image_that_was_changed_is_not_read(root, key):
    path = release.make("romfs", key, root=root, console=quiet())
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ReleaseError, match="make the release again"):
        release.read(path)


def test_sources_that_know_no_updates(root, key):
    head = root / "firmware/__init__.py"
    head.write_text(head.read_text().replace("UPDATE_KEY", "OTHER"))
    with pytest.raises(release.releases.ToolError, match="expected the line UPDATE_KEY"):
        release.make("romfs", key, root=root, console=quiet())


# -- one update


@pytest.fixture
def made(root, key):
    return release.make("romfs", key, root=root, console=quiet())


@pytest.fixture
def client(platform):
    platform.control(lambda tree: tree["properties"].update(update=OBJECT))
    info = platform.info
    return Client(info["api"], *info["client"].values(), info["ca"])


def played(platform, *steps):
    """A `sleep` in which the device tells the next of these values of `update`."""
    device = Client(platform.info["api"], *list(platform.info["device"].values())[1:])
    device._tls.load_verify_locations(platform.info["ca"])
    rest = list(steps)

    def sleep(_s):
        device.write("_this_", "update", rest.pop(0))

    sleep.client = device
    return sleep


def state(name, percent=0):
    return {"version": "0.3.0", "state": name, "percent": percent}


@pytest.mark.parametrize(
    "result, well", [("confirmed", True), ("went back: no readings", False), ("refused: x", False)]
)
def test_an_update_is_followed_to_its_end(platform, client, made, result, well):
    sleep = played(platform, state("downloading", 42), {"version": "0.3.0", "result": result})
    assert update.update("thermostat", made, client, console=quiet(), sleep=sleep) is well
    sent = next(row for row in platform.writes() if row["key"] == "client")["value"]
    host = platform.info["api"].removesuffix("/v3")
    assert sent == json.loads((made.parent / (made.name + ".json")).read_text()) | {
        "url": f"{host}/releases/{made.name}"
    }


@pytest.mark.parametrize("earlier", [[], [{"property": "update", "ok": False, "reason": "old"}]])
def test_a_refusal_at_once_is_in_lastcommand(platform, client, made, earlier):
    device = played(platform).client
    for verdict in earlier:
        device.write("_this_", "lastcommand", verdict)
    out = io.StringIO()

    def sleep(_s):
        device.write(
            "_this_", "lastcommand", {"property": "update", "ok": False, "reason": "no key"}
        )

    console = Console(file=out, width=200)
    assert not update.update("thermostat", made, client, console=console, sleep=sleep)
    assert "0.3.0: refused: no key" in out.getvalue()


def test_ctrl_c_leaves_it_going_and_the_same_command_follows_it_again(platform, client, made):
    def interrupted(_s):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        update.update("thermostat", made, client, console=quiet(), sleep=interrupted)
    played(platform, state("downloading"))(0)
    sleep = played(platform, {"version": "0.3.0", "result": "confirmed"})
    assert update.update("thermostat", made, client, console=quiet(), sleep=sleep)
    assert len([row for row in platform.writes() if row["key"] == "client"]) == 1


def test_a_version_that_runs_already_is_not_sent(platform, client, made):
    platform.control(lambda tree: tree["properties"]["firmware"].update(access="public"))
    client.write("thermostat", "firmware", "0.3.0")
    assert update.update("thermostat", made, client, console=quiet())
    assert platform.latest("update") is None


def test_what_the_platform_refuses(platform, client, made):
    info = platform.info
    with pytest.raises(ClientError, match="no device other"):
        update.update("other", made, client, console=quiet())
    wrong = Client(info["api"], "_key_1", "wrong", info["ca"])
    with pytest.raises(ClientError, match="client key is refused"):
        update.update("thermostat", made, wrong, console=quiet())
    with pytest.raises(ClientError, match="certificate is not trusted"):
        update.update("thermostat", made, Client(info["api"], "k", "s"), console=quiet())
    platform.control(lambda tree: tree["properties"].pop("update"))
    with pytest.raises(ClientError, match="does not take the property `update`"):
        update.update("thermostat", made, client, console=quiet())
    platform.stop_https()
    with pytest.raises(AwayError, match="cannot be reached"):
        update.update("thermostat", made, client, console=quiet())


def test_the_command_line_ends_with_what_became_of_it(platform, client, made):
    info = platform.info
    played(platform, state("downloading"))(0)
    sleep = played(platform, {"version": "0.3.0", "result": "refused: older"})
    late = threading.Timer(1, sleep, [0])
    late.start()
    done = csipio(
        *("update", "thermostat", made, "--api", info["api"], "--ca", info["ca"]),
        *("--client-key", info["client"]["key_id"]),
        CSIPIO_CLIENT_SECRET=info["client"]["key_secret"],
    )
    late.join()
    assert done.returncode == 1, done.stderr
    assert "thermostat: 0.3.0: refused: older" in done.stdout
    assert info["client"]["key_secret"] not in done.stdout + done.stderr


@pytest.mark.parametrize("api", ["http://localhost/v3", "localhost", "https://", "https://a/?b"])
def test_an_api_that_is_none(api):
    with pytest.raises(ClientError, match="expected the address of an API"):
        Client(api, "k", "s")
