"""Updates over the air of a device that runs from files, or from ROMFS: what came of each, and
that it heats.
"""

import re

import pytest

from tests.system import releases as versions
from tests.system import updates as table
from tests.system.device import Device, wait
from tests.system.releases import NEW, Shelf, key
from tests.system.test_commands import by_device, latest
from tests.system.test_door import heard, verdicts, write
from tools import ROOT, releases
from tools.platform.releases import Fault
from tools.platform.thread import PlatformThread

_SOURCE = (ROOT / "firmware/__init__.py").read_text()
VERSION = re.search(r'^VERSION = "(.*)"$', _SOURCE, re.M)[1]


@pytest.fixture
def origin():
    """What the device runs from."""
    return "files"


@pytest.fixture
def shelf(tmp_path, origin):
    folder = tmp_path / "releases"
    folder.mkdir()
    with PlatformThread(tmp_path / "platform", releases=folder) as platform:
        yield Shelf(platform, folder, origin)


@pytest.fixture
def device(tmp_path, shelf, origin):
    device = Device(tmp_path / "device", shelf.platform.info)
    device.origin = origin
    device.config["update"] = {"key": releases.public(key()), "confirm_s": 5}
    device.config["thermostat"]["setpoint"] = 10  # the relay is off: a restart costs no heat
    yield device
    device.stop()


@pytest.fixture
def image(tmp_path, origin):
    def made(changes=None, version=NEW):
        folder = tmp_path / f"sources {version}"
        folder.mkdir()
        return versions.image(folder, origin, changes, version)

    return made


def begin(device):
    device.start_broken("", origin=device.origin)


def begin_hearing(device):
    """It hears commands when this returns."""
    begin(device)
    device.wait_log("listening for commands")


def begin_anew(device):
    """After a kill."""
    device.log.clear()
    begin_hearing(device)


def lower(platform):
    """A set point by command, which every version has to keep."""
    write(platform, {"setpoint": 11})
    heard(platform, "setpoint")


def results(platform):
    return [value["result"] for value in by_device(platform, "update") if "result" in value]


def result(platform, device, seconds=90):
    try:
        return wait(
            lambda: (
                results(platform)
                or [line for line in device.log if "command update refused" in line]
            ),
            "the update's result",
            seconds,
        )[-1]
    except AssertionError as error:
        raise AssertionError(f"{error}; the log is\n" + "\n".join(device.log)) from None


def runs(device, version):
    """How many starts of that version the log shows."""
    return sum(f"app: firmware {version}," in line for line in device.log)


def listens(device):
    """Whether it does so since its last start."""
    starts = [n for n, line in enumerate(device.log) if "app: firmware " in line]
    return any("listening for commands" in line for line in device.log[starts[-1] :])


def watched(device, condition, what="the result", seconds=120):
    """Wait for it; a process that ends is started again, as a board is by its watchdog."""

    def looks():
        if not device.running:
            begin(device)
        return condition()

    try:
        return wait(looks, what, seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}; the log is\n" + "\n".join(device.log)) from None


def heats(device, platform, version):
    """The thermostat runs, in this version, and obeys; and nothing of the update is left."""
    watched(device, lambda: latest(platform, "firmware") == version, f"version {version}")
    # What comes between its question for the state and its subscription waits for the next one.
    watched(device, lambda: listens(device), "that it listens")
    write(platform, {"setpoint": 25})
    watched(device, lambda: latest(platform, "relay") is True, "the relay on at 18 °C, 25 wanted")
    assert not (device.folder / "update.json").exists()
    assert not (device.folder / "firmware.next").exists()


def test_a_new_version_is_fetched_tried_and_confirmed(device, shelf, image):
    platform = shelf.platform
    begin_hearing(device)
    lower(platform)
    write(platform, {"update": shelf.put("new", image())})
    assert result(platform, device) == "confirmed"
    told = [value for value in by_device(platform, "update") if value]
    assert told[0] == {"version": NEW, "state": "checking"}
    percents = [v["percent"] for v in told if v.get("state") == "downloading"]
    assert percents == sorted(set(percents)) and set(percents) <= {0, 25, 50, 75}
    waits, ends = told[-2:]
    assert waits == {"version": NEW, "state": "waiting"}
    assert ends == {"version": NEW, "result": "confirmed"}
    assert all(status == 206 for _, _, status in platform.released())
    assert latest(platform, "setpoint") == 11
    wait(
        lambda: [v["ok"] for v in verdicts(platform) if v["property"] == "update"] == [True, True],
        "the verdict",
    )
    # It stays, and the set point with it.
    device.kill()
    begin_anew(device)
    assert runs(device, NEW) == 1
    heats(device, platform, NEW)
    table.add("versions", 0, ["a good one", "confirmed", "the new one", "yes"])


@pytest.mark.timeout(240)
@pytest.mark.parametrize("origin", ["romfs"])
def test_each_new_version_takes_the_other_half(device, shelf, image):
    platform = shelf.platform
    begin_hearing(device)
    lower(platform)
    for count, version, half in ((1, NEW, "slot.b"), (2, "9.9.1", "slot.a")):
        manifest = shelf.put(version, image(version=version), version=version)
        write(platform, {"update": manifest})
        told = watched(device, lambda n=count: len(results(platform)) == n and results(platform))
        assert told[-1] == "confirmed"
        assert (device.folder / "firmware.set").read_text() == half
        assert latest(platform, "setpoint") == 11
    device.kill()
    begin_anew(device)
    assert runs(device, "9.9.1") == 1
    heats(device, platform, "9.9.1")
    # What was deployed runs again where nothing names a half, as after `csipio deploy`.
    device.kill()
    (device.folder / "firmware.set").unlink()
    begin_anew(device)
    assert runs(device, VERSION) == 1
    told = "the new one, in the second half; then the next, in the first"
    table.add("versions", 20, ["two good ones in ROMFS", "confirmed", told, "yes"])


LOOP = "firmware/control/loop.py"
STEP = "    def step(self, now_ms: int):\n"
BROKEN = {
    "dies when it is imported": (
        {"firmware/app.py": ('_log = Log("app")\n', '_log = Log("app")\nraise ValueError(1)\n')},
        "it did not keep running",
    ),
    "dies in its first second": (
        {"firmware/app.py": ("        self._meter.install()", "        raise ValueError")},
        "it did not keep running (failure)",
    ),
    "dies in the regulation": (
        {LOOP: (STEP, STEP + "        raise ValueError\n")},
        "its tasks did not keep running",
    ),
    "never reaches the platform": (
        {
            "firmware/link/uplink.py": (
                "state = self._step()\n                if",
                "state = 'time'\n                if",
            )
        },
        "the platform was not reached with it in time",
    ),
}


IN_ROMFS = ("dies when it is imported", "never reaches the platform")
LEFT = [("files", what) for what in BROKEN] + [("romfs", what) for what in IN_ROMFS]


@pytest.mark.parametrize(("origin", "what"), LEFT)
def test_a_new_version_that_does_not_work_is_left(device, shelf, image, origin, what):
    changes, words = BROKEN[what]
    platform = shelf.platform
    begin_hearing(device)
    old = wait(lambda: latest(platform, "firmware"), "the version")
    write(platform, {"update": shelf.put("new", image(changes))})
    told = watched(device, lambda: results(platform), "the update's result")[-1]
    assert told.startswith("went back: ") and words in told
    heats(device, platform, old)
    name = f"one that {what}" + (", in ROMFS" if origin == "romfs" else "")
    order = (21 if origin == "romfs" else 1) + list(BROKEN).index(what)
    table.add("versions", order, [name, told, "the old one", "yes"])


@pytest.mark.timeout(240)
@pytest.mark.parametrize("what", ["hangs", "loses its power ten times"])
def test_a_new_version_whose_start_is_cut_short_is_tried_three_times(device, shelf, image, what):
    """A simulated board has no watchdog that bites: it is killed in its place."""
    changes = {LOOP: (STEP, STEP + "        while True:\n            pass\n")}
    platform = shelf.platform
    begin_hearing(device)
    old = wait(lambda: latest(platform, "firmware"), "the version")
    write(platform, {"update": shelf.put("new", image(changes if what == "hangs" else None))})
    for tries in (1, 2, 3):
        watched(device, lambda tries=tries: runs(device, NEW) == tries, f"start {tries}")
        device.kill()
    told = watched(device, lambda: results(platform), "the update's result")[-1]
    assert told == "went back: it did not keep running (power-on)"
    for _ in range(10 - 3 if what != "hangs" else 0):
        starts = runs(device, old)
        device.kill()
        watched(device, lambda starts=starts: runs(device, old) > starts, "the old version")
    assert runs(device, NEW) == 3
    heats(device, platform, old)
    table.add("versions", 8 + (what == "hangs"), [f"one that {what}", told, "the old one", "yes"])


def flipped(image):
    return image[:-9] + bytes([image[-9] ^ 1]) + image[-8:]


IMAGES = {
    "cut short": (lambda i: i[:-5000], {}, "given up: the file at the URL has "),
    "too long": (lambda i: i + b"x", {}, "given up: the file at the URL has "),
    "wrong in a bit": (flipped, {}, "given up: the image is not the one that was signed"),
    "not there": (lambda i: b"", {"url": "/none"}, "given up: there is no such file at the URL"),
    "signed by another": (None, {"signature": "A" * 512}, "refused: its signature is not of"),
    "signed as another version": (None, {"version": "9.9.1"}, "refused: its signature is not of"),
    "for another chip": (None, {"chip": "ESP32"}, "it is for the chip ESP32, and this is unix"),
    "of another kind": (None, {"kind": "app"}, 'it is of the kind "app", and this device runs'),
    "older": (None, {"version": "0.0.1"}, "0.0.1 is older than "),
    "of another layout": (None, {"reads": [2], "writes": 2}, "it cannot read what this version"),
}


@pytest.mark.parametrize("what", IMAGES)
def test_an_image_that_is_not_the_one_is_not_run(device, shelf, what):
    serve, changes, words = IMAGES[what]
    platform = shelf.platform
    begin_hearing(device)
    old = wait(lambda: latest(platform, "firmware"), "the version")
    made = releases.files_image({"firmware/app.mpy": bytes(range(256)) * 100})
    manifest = shelf.put("image", made, serve and serve(made))
    if "url" in changes:
        changes = {"url": manifest["url"] + changes["url"]}
    write(platform, {"update": manifest | changes})
    verdict = heard(platform, "update", ok=False)
    told = results(platform)[-1] if results(platform) else "refused: " + verdict["reason"]
    assert words in told
    heats(device, platform, old)
    assert not (device.folder / "firmware.a").exists() or not list(
        (device.folder / "firmware.a").iterdir()
    )
    table.add(
        "images", list(IMAGES).index(what), [f"one that is {what}", told, "the old one", "yes"]
    )


FAULTS = {
    "the connection ends within a range": Fault("cut", 100),
    "nothing more comes": Fault("stalled", 100),
    "it is slow": Fault("slow", 0.5),
    "the server fails": Fault("status", 503),
}


@pytest.mark.parametrize("what", FAULTS)
def test_what_goes_wrong_on_the_way_is_tried_again(device, shelf, what):
    """At each range once; readings arrive meanwhile."""
    platform = shelf.platform
    begin_hearing(device)
    old = wait(lambda: latest(platform, "firmware"), "the version")
    made = releases.files_image({"firmware/app.mpy": bytes(range(256)) * 28})
    platform.fail_releases(FAULTS[what], Fault("none"), FAULTS[what])
    write(platform, {"update": shelf.put("image", made)})
    watched(device, lambda: runs(device, old) == 2, "the start of what is no firmware, and back")
    told = watched(device, lambda: results(platform), "the update's result")[-1]
    assert told.startswith("went back: it did not keep running")
    ranges = [wanted for _, wanted, _ in platform.released()]
    assert len(set(ranges)) == 2 and len(ranges) == (2 if "slow" in what else 4), ranges
    heats(device, platform, old)
    table.add(
        "network",
        list(FAULTS).index(what),
        [what, "the range comes once more", "the old one", "yes"],
    )


ENDS = {
    "the whole file comes in place of a range": (
        [Fault("whole")],
        "the server sends the whole file",
    ),
    "there is no such range": ([Fault("status", 416)], "is shorter than the manifest says"),
    "the server refuses": ([Fault("status", 403)], "the server of the URL answered 403"),
    "another file is there midway": (
        [Fault("none"), Fault("other"), Fault("none")],
        "the file at the URL changes while it is fetched",
    ),
}


@pytest.mark.parametrize("what", ENDS)
def test_what_cannot_get_better_is_given_up(device, shelf, what):
    faults, words = ENDS[what]
    platform = shelf.platform
    begin_hearing(device)
    old = wait(lambda: latest(platform, "firmware"), "the version")
    made = releases.files_image({"firmware/app.mpy": bytes(range(256)) * 100})
    platform.fail_releases(*faults)
    write(platform, {"update": shelf.put("image", made)})
    told = result(platform, device)
    assert told.startswith("given up: ") and words in told
    heats(device, platform, old)
    table.add("network", 10 + list(ENDS).index(what), [what, told, "the old one", "yes"])
