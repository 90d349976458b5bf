"""A staged roll-out over a thousand simulated devices, with a clock that is handed in."""

import io
import json
import os
import subprocess
import sys

import pytest
from rich.console import Console

from tools import ROOT, releases, rollout
from tools.client import AwayError, BusyError, Client, ClientError, KeyRefusedError
from tools.releases import Image
from tools.rollout import RolloutError, Rules, share, shares

VERSION = "0.3.0"
NAMES = [f"room-{number:04d}" for number in range(1000)]
STEP_S = 60


class Api:
    """The platform with its devices, as Client has it; checks how it is used.

    fates: what becomes of a device, "confirmed" unless named: a result, or "silent".
    """

    api = "https://localhost/v3"
    per_minute = 60

    def __init__(self, fates=None):
        self.fates = fates or {}
        self.now_s = 0.0
        self.sent = {}  # device: when
        self.times = []  # of the last writes
        self.away = False
        self.lost = 0  # answers to writes that get lost, from now on

    def releases(self, name):
        return f"https://localhost/releases/{name}"

    def read(self, device):
        if self.away:
            raise AwayError("the platform is away")
        if device not in NAMES:
            raise ClientError(f"{device}: 404: no device")
        fate = self.fates.get(device, "confirmed")
        since = self.now_s - self.sent.get(device, self.now_s)
        told = {}
        version = VERSION if fate == "confirmed" and since >= 600 else "0.2.0"
        heard_s = self.sent[device] if fate == "silent" and device in self.sent else self.now_s
        told["firmware"] = version, "t"
        told["temperature"] = heard_s / 1000, f"t{heard_s}"
        if device in self.sent:
            told["update"] = {"version": VERSION, "url": "https://…"}, "t"
            if since >= 120:
                told["update"] = {"version": VERSION, "state": "downloading", "percent": 9}, "t"
            if fate.startswith("refused"):
                told["lastcommand"] = {"property": "update", "ok": False, "reason": fate[9:]}, "t"
            elif since >= 600 and fate != "silent":
                told["update"] = {"version": VERSION, "result": fate}, "t"
        return told

    def write(self, device, prop, value):
        assert prop == "update" and value["version"] == VERSION
        assert value["url"].startswith("https://") and len(json.dumps(value)) <= 2048
        assert device not in self.sent, f"{device} was sent to twice"
        self.times = [time for time in self.times if time > self.now_s - 60]
        if len(self.times) >= self.per_minute:
            raise BusyError("too many", 30)
        self.times.append(self.now_s)
        self.sent[device] = self.now_s
        if self.lost:
            self.lost -= 1
            raise AwayError("the answer was lost")

    def sleep(self, _s):
        self.now_s += STEP_S
        assert self.now_s < 3 * 86400, "the roll-out does not end"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    image = tmp_path_factory.mktemp("release") / "new.bin"
    image.write_bytes(b"image")
    signed = releases.sign(
        releases.describe(b"image", Image("romfs", "any"), VERSION, (1,), 1), releases.new_key()
    )
    image.with_name("new.bin.json").write_text(json.dumps(signed.manifest()))
    return image


RULES = Rules(shares("1,10,100"), share("5%", ""), silent_s=1800)


@pytest.fixture
def go(made, tmp_path):
    def go(api, names=NAMES, rules=RULES, sleep=None, **options):
        """Whether it reached its end, and what it said."""
        out = io.StringIO()
        console = Console(file=out, width=200, force_terminal=False, highlight=False)
        ended = rollout.rollout(
            *(made, names, api, rules),
            state=tmp_path / "state.json",
            console=console,
            now=lambda: api.now_s,
            sleep=sleep or api.sleep,
            **options,
        )
        return ended, out.getvalue()

    return go


def bad(count, fate, among=NAMES):
    """`count` devices, spread evenly."""
    step = len(among) // count
    return {among[index * step + step // 2]: fate for index in range(count)}


def lines(said):
    return [line.strip() for line in said.splitlines() if line.startswith("stage ")]


def test_all_well(go):
    api = Api()
    ended, said = go(api)
    assert ended and set(api.sent) == set(NAMES)
    assert lines(said) == [
        "stage 1, 10 devices: 10 confirmed",
        "stage 2, 90 devices: 90 confirmed",
        "stage 3, 900 devices: 900 confirmed",
    ]


def test_a_stage_begins_when_the_one_before_is_over(go):
    api = Api()
    go(api)
    for before, after in ((10, 100), (100, 1000)):
        last = max(api.sent[name] for name in NAMES[:before])
        assert min(api.sent[name] for name in NAMES[before:after]) >= last + 600


def test_a_few_that_fail_do_not_stop_it(go):
    api = Api(bad(30, "went back: no readings"))
    ended, said = go(api)
    assert ended and set(api.sent) == set(NAMES)
    assert sum("failed" in line for line in lines(said)) >= 2
    assert "27 failed" in said


def test_a_version_that_falls_silent_stops_in_the_first_stage(go):
    api = Api(dict.fromkeys(NAMES, "silent"))
    ended, said = go(api)
    assert not ended and set(api.sent) == set(NAMES[:10])
    assert lines(said) == ["stage 1, 10 devices: 2 silent, 8 sent"]
    assert "Stopped by itself" in said and "room-0001: nothing heard for 1800 s" in said


def test_refusals_at_once_stop_it(go):
    api = Api(dict.fromkeys(NAMES, "refused: no key"))
    ended, said = go(api)
    assert not ended and len(api.sent) <= 10 and "room-0000: refused: no key" in said


def test_it_stops_as_soon_as_too_many_have_failed(go):
    api = Api(bad(200, "went back: no readings", NAMES[100:]))
    ended, _ = go(api)
    failed = [name for name in api.sent if name in api.fates]
    assert not ended and len(api.sent) < 1000
    assert len(failed) > 45, "5 % of 900"


def test_interrupted_and_resumed_it_sends_to_nobody_twice(go):
    api = Api()
    count = 0

    def sleep(s):
        nonlocal count
        count += 1
        api.sleep(s)
        if count % 5 == 0:
            raise KeyboardInterrupt

    ended = False
    stops = 0
    while not ended:
        try:
            ended, _ = go(api, sleep=sleep)
        except KeyboardInterrupt:
            stops += 1
    assert stops > 3 and set(api.sent) == set(NAMES)


def test_killed_before_it_was_written_down_it_sends_to_nobody_twice(go, monkeypatch):
    api = Api()
    write = api.write

    def killed(*arguments):
        write(*arguments)
        raise SystemExit

    monkeypatch.setattr(api, "write", killed)
    with pytest.raises(SystemExit):
        go(api, NAMES[:3])
    monkeypatch.setattr(api, "write", write)
    assert go(api, NAMES[:3])[0]


def test_an_answer_that_was_lost_is_no_second_command(go):
    api = Api()
    api.lost = 5
    assert go(api, NAMES[:20])[0]


def test_a_platform_that_is_away_is_no_silence_of_the_devices(go):
    api = Api()

    def sleep(s):
        api.sleep(s)
        api.away = 300 < api.now_s < 20_000

    ended, said = go(api, sleep=sleep)
    assert ended and "silent" not in said


def test_a_device_that_the_platform_does_not_know_has_failed(go):
    ended, said = go(Api(), ["nobody"])
    assert not ended and "nobody: nobody: 404: no device" in said


def test_a_refused_client_key_ends_it(go):
    class Refusing(Api):
        def read(self, device):
            raise KeyRefusedError("the client key is refused")

    with pytest.raises(KeyRefusedError):
        go(Refusing())


def test_one_without_a_result_has_failed_in_the_end(go):
    class Endless(Api):
        def read(self, device):
            told = super().read(device)
            told["update"] = {"version": VERSION, "state": "downloading"}, "t"
            return told

    ended, said = go(Endless(), NAMES[:1])
    assert not ended and "no result in 86" in said


def test_those_that_run_it_already_are_not_sent_to(go):
    api = Api()
    api.sent = dict.fromkeys(NAMES, -1000.0)
    ended, said = go(api)
    assert ended and "900 confirmed" in said


def test_a_dry_run_sends_nothing_and_writes_nothing(go, tmp_path):
    api = Api()
    ended, said = go(api, dry_run=True)
    assert ended and not api.sent and not list(tmp_path.iterdir())
    assert lines(said)[0] == (
        "stage 1: 10 devices, from room-0000 to room-0009; "
        "stops at more than 1 that fail or fall silent"
    )


def test_the_state_of_another_roll_out_is_not_taken(go, tmp_path):
    go(Api(), NAMES[:3])
    with pytest.raises(RolloutError, match="other devices; name another --state"):
        go(Api(), NAMES[:4])
    path = tmp_path / "state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"release": "0"}))
    with pytest.raises(RolloutError, match="other release"):
        go(Api(), NAMES[:3])
    for text in ("{", "[]", '{"release": "0", "devices": {"a": {"x": 1}}}'):
        path.write_text(text)
        with pytest.raises(RolloutError, match="expected the state of a roll-out"):
            go(Api(), NAMES[:3])


# -- rules and files


@pytest.mark.parametrize(
    "stages, devices, ends",
    [
        ("1,10,100", 1000, [10, 100, 1000]),
        ("1,10,100", 5, [1, 5]),
        ("1,10,100", 1, [1]),
        ("1,10,50", 100, [1, 10, 50]),
        ("0.1,100", 1000, [1, 1000]),
    ],
)
def test_stages(stages, devices, ends):
    assert Rules(shares(stages), 0.05).stage_ends(devices) == ends


@pytest.mark.parametrize("size, allowed", [(1, 0), (9, 0), (10, 1), (90, 4), (900, 45)])
def test_how_many_may_fail(size, allowed):
    assert Rules((1.0,), 0.05).may_fail(size) == allowed
    assert Rules((1.0,), 0.0).may_fail(size) == 0


@pytest.mark.parametrize("text", ["", "0", "10,1", "1,1", "1,101", "a", "1,,2", "nan", "-1"])
def test_stages_that_are_none(text):
    with pytest.raises(RolloutError, match="--stages"):
        shares(text)


@pytest.mark.parametrize(
    "text", ["a\nb\n", "device\na\nb\n", "room,Device\nx,a\ny,b\n", "\ufeffdevice\n\na\n b \n"]
)
def test_the_devices_of_a_file(tmp_path, text):
    path = tmp_path / "devices.csv"
    path.write_text(text, encoding="utf-8")
    assert rollout.read_devices(path) == ["a", "b"]


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "has no device"),
        ("device\n", "has no device"),
        ("a\na\n", "twice"),
        ("room,device\nx\n", "row 1 has no device"),
    ],
)
def test_a_file_that_has_none(tmp_path, text, said):
    path = tmp_path / "devices.csv"
    path.write_text(text)
    with pytest.raises(RolloutError, match=said):
        rollout.read_devices(path)
    with pytest.raises(RolloutError, match="cannot be read"):
        rollout.read_devices(tmp_path / "none.csv")


def test_the_command_line_against_the_stand_in(platform, made, tmp_path):
    """Its only device runs the version already, and one beside it is known to nobody."""
    info = platform.info
    device = Client(
        info["api"], info["device"]["key_id"], info["device"]["key_secret"], info["ca"]
    )
    device.write("_this_", "firmware", VERSION)
    command = ["rollout", made, "--devices", "devices.csv", "--stages", "50,100"]
    command += ["--client-key", info["client"]["key_id"], "--api", info["api"]]
    command += ["--ca", info["ca"], "--state", "state.json"]
    for names, code, said in (
        ("thermostat", 0, "stage 1, 1 devices: 1 confirmed\n"),
        ("thermostat\nnobody", 1, "stage 2, 1 devices: 1 failed\n"),
    ):
        (tmp_path / "devices.csv").write_text(f"device\n{names}\n")
        (tmp_path / "state.json").unlink(missing_ok=True)
        done = subprocess.run(
            [sys.executable, "-m", "tools", *map(str, command)],
            cwd=tmp_path,
            env=os.environ
            | {"CSIPIO_CLIENT_SECRET": info["client"]["key_secret"], "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (code, "")
        assert said in done.stdout
