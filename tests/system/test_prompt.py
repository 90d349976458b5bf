"""A person at the prompt: the firmware's own bytecode under a real REPL, against the stand-in."""

import json
import re
import shutil

import pytest
import trustme

from tests.tools.terminal import Terminal
from tools import ROOT, micropython
from tools.build import build

NAMES = {"check", "help", "restore", "save", "set", "show", "unset", "wizard"}


@pytest.fixture
def board(tmp_path, platform):
    """A board's folder, with the certificate and where the platform is, and nothing else."""
    folder = tmp_path / "board"
    (folder / "certs").mkdir(parents=True)
    shutil.copy(platform.info["ca"], folder / "certs/ca.pem")
    return folder


@pytest.fixture
def terminal(board):
    files = build().files
    with Terminal(
        micropython.command(), board, [files, files / "lib", files / "firmware/setup"]
    ) as terminal:
        terminal.until(">>> ")
        yield terminal


def given(platform, **sections):
    """A config.json that leads to the stand-in."""
    return {
        "mqtt": {"url": f"mqtts://localhost:{platform.info['mqtts']}"},
        "https": {"url": platform.info["api"]},
        "time": {"ntp": []},
        **sections,
    }


def complete(platform):
    return given(
        platform,
        device=platform.info["device"],
        sensors=[{"prop": "temperature", "driver": "room", "start": 20.5, "every_s": 0.5}],
        thermostat={"sensor": "temperature", "relay": {"pin": 26}, "min_off_s": 0},
    )


def write(board, config, name="config.json"):
    (board / name).write_text(config if isinstance(config, str) else json.dumps(config))


def saved(board):
    return json.loads((board / "config.json").read_text())


def right(config, path):
    """What a configuration says there; None for nothing."""
    for key in path.split("."):
        config = config.get(key, {})
    return config or None


def stop(terminal):
    """Ctrl-C at the running firmware; what is shown until the prompt is there."""
    terminal.press("\x03")
    shown = terminal.until(">>> ")
    if "heap is locked" in shown:
        pytest.skip("the interrupt met the unix port's garbage collection")
    return shown


def test_an_empty_board_is_set_up_by_answers_and_runs(terminal, board, platform):
    device = platform.info["device"]
    write(board, given(platform))
    terminal.type("import main")
    shown = terminal.until("to give one, press Ctrl-C, then: import setup; setup.wizard()\n")
    assert "E load: device: missing; expected an object" in shown
    assert stop(terminal).endswith(
        "I app: interrupted; the relay is off\n"
        "To go on: Ctrl-D, or import main.\n"
        "To configure it: import setup; setup.help()\n"
    )
    assert "setup.wizard()" in terminal.run("import setup; setup.help()")

    terminal.type("setup.wizard()")
    terminal.answer("The device's id, _dev_…: ", "a/b")
    shown = terminal.answer("The device's id, _dev_…: ", device["id"])
    assert "device.id: expected 1 to 64 characters, without / + # and spaces" in shown
    terminal.answer("_key_…: ", device["key_id"])
    terminal.answer("(unseen) ", "another-secret")
    shown = terminal.answer("The device's id, _dev_… ", "")
    assert "wrong  credentials: the broker refused device.key_id and device.key_secret" in shown
    assert "wrong  credentials: the API refused device.key_id and device.key_secret" in shown
    terminal.answer("_key_…", "")
    terminal.answer("(unseen) ", device["key_secret"])
    shown += terminal.answer("or none [room]: ", "")
    assert "ok  credentials: good for the broker" in shown
    assert "ok  credentials: good for the API" in shown
    shown += terminal.answer("or none [26]: ", "99")
    shown += terminal.answer("or none [26]: ", "")
    assert "ok  temperature: 18.00 °C" in shown
    assert "thermostat.relay.pin: expected a whole number 0 to 48, got 99" in shown
    terminal.answer("[high]: ", "low")
    terminal.answer("[21.0]: ", "20.5")
    terminal.answer("[UTC0]: ", "")
    shown += terminal.until(">>> ")
    assert shown.endswith("Saved. Ctrl-D starts the thermostat with it.\n")
    assert "another-secret" not in shown and device["key_secret"] not in shown
    assert saved(board) == given(
        platform,
        device=device,
        sensors=[{"prop": "temperature", "driver": "room"}],
        thermostat={
            "sensor": "temperature",
            "relay": {"pin": 26, "active": "low"},
            "setpoint": 20.5,
        },
        time={"ntp": [], "zone": "UTC0"},
    )

    for _ in range(2):  # an import of what is imported already would do nothing
        terminal.type("import main")
        terminal.until("listening for commands")
        assert "To go on: " in stop(terminal)


def test_ctrl_c_pressed_twice_as_mpremote_does_gives_the_prompt_all_the_same(
    terminal, board, platform
):
    write(board, complete(platform))
    terminal.type("import main")
    terminal.until("listening for commands")
    terminal.press("\r\x03\x03")
    shown = terminal.until(">>> ")
    if "heap is locked" in shown:
        pytest.skip("the interrupt met the unix port's garbage collection")
    assert "To configure it: import setup; setup.help()" in shown
    assert terminal.run("print(40 + 2)").endswith("42")
    terminal.run("import sys")
    loaded = set(re.findall(r"'firmware\.([\w.]+)'", terminal.run("sys.modules.keys()")))
    assert "app" in loaded
    assert not loaded & {"prompt", "draft", "meanings", "reference", "probes", "wizard"}, loaded


def test_ctrl_c_in_the_wizard_leaves_everything_as_it_was(terminal, board, platform):
    write(board, complete(platform))
    terminal.type("import setup; setup.wizard()")
    terminal.answer("_dev_… ", "_dev_other")
    terminal.until("_key_…")
    terminal.press("\x03")
    terminal.until("Stopped; everything is as it was.")
    terminal.until(">>> ")
    terminal.type("setup.wizard()")
    terminal.answer("_dev_… ", "_dev_other")
    terminal.answer("_key_… ", "")
    terminal.until("(unseen) ")
    terminal.press("half\x03")
    assert "half" not in terminal.until("Stopped; everything is as it was.")
    terminal.until(">>> ")
    assert "_dev_other" not in terminal.run("setup.show('device')")
    assert saved(board) == complete(platform)


def test_the_names_are_the_commands_and_arguments_have_theirs(terminal, board, platform):
    write(board, complete(platform))
    terminal.run("import setup")
    listed = terminal.run("help(setup)").splitlines()[1:]
    names = {line.split(" -- ")[0].strip() for line in listed}
    assert {name for name in names if not name.startswith("__")} == NAMES
    terminal.press("setup.\t")
    assert set(terminal.until(">>> ").split()[1:]) == NAMES
    terminal.press("\x03")
    terminal.until(">>> ")
    # The linker shortens arguments, but not these.
    assert "Changed" in terminal.run('setup.set(path="feed.max_points", value=7)')
    assert "max_points = 7" in terminal.run('setup.show(path="feed")')
    assert "Changed" in terminal.run('setup.unset(path="feed.max_points")')
    assert "a whole number" in terminal.run('setup.help(path="feed.max_points")')
    terminal.type('setup.set(path="device.key_secret")')
    terminal.answer("(unseen) ", "unseen-secret")
    assert "unseen-secret" not in terminal.until(">>> ")
    assert "unseen-secret" not in terminal.run("setup.show()")
    terminal.run(f'setup.set("device.key_secret", {platform.info["device"]["key_secret"]!r})')
    shown = terminal.run("setup.check(relays=True)")
    assert shown.endswith("ok  relay: pin 26 was on for a second; did it click?\nTrue"), shown


def test_a_check_tells_what_is_wrong_of_each_kind(terminal, board, platform):
    info = platform.info
    write(board, complete(platform))
    (board / "resolv.conf").write_text("nameserver 127.0.0.1:1\n")
    (board / "certs/other.pem").write_bytes(trustme.CA().cert_pem.bytes())
    (board / "certs/broken.pem").write_text("no certificate\n")
    terminal.run("import setup")
    shown = terminal.run("setup.check()")
    assert "wrong" not in shown and shown.endswith("\nTrue"), shown
    refused = "the connection was refused; is the service running, the port right?"
    key = "wrong  credentials: the %s refused device.key_id and device.key_secret"
    for path, value, *expected in (
        ("device.key_secret", "x", key % "broker", key % "API"),
        ("device.id", "_dev_1", "wrong  credentials: the broker refused"),
        ("mqtt.url", "mqtt://localhost:1", f"wrong  broker: localhost:1: {refused}"),
        ("https.url", "http://localhost:1/v3", f"wrong  API: http://localhost:1/v3: {refused}"),
        ("https.url", f"{info['api']}/x", "wrong  API: "),
        ("tls.ca", "certs/none.pem", "wrong  TLS: tls.ca: certs/none.pem cannot be read"),
        ("tls.ca", "certs/broken.pem", "wrong  TLS: tls.ca: certs/broken.pem is no certificate"),
        (
            "tls.ca",
            "certs/other.pem",
            "wrong  TLS: the certificate of localhost is not signed by certs/other.pem",
        ),
        ("mqtt.url", f"mqtts://localhost:{info['mqtt']}", "wrong  TLS: "),
        ("mqtt.url", f"mqtt://localhost:{info['mqtts']}", "wrong  broker: "),
        ("mqtt.url", "mqtts://mqtt.invalid", "wrong  name: the name mqtt.invalid cannot be"),
        ("time.ntp", ["localhost:1"], "wrong  time: "),
        (
            "sensors",
            [{"prop": "temperature", "driver": "ds18x20", "pin": 4}],
            "wrong  temperature: the sensor on pin 4 cannot be used: ",
        ),
    ):
        assert "Changed" in terminal.run(f"setup.set({path!r}, {value!r})")
        shown = terminal.run("setup.check()")
        wrong = [line for line in shown.splitlines() if line.startswith("wrong")]
        for words in expected:
            assert any(line.startswith(words) for line in wrong), (path, value, shown)
        assert shown.endswith("\nFalse"), shown
        back = right(complete(platform), path)
        undo = f"setup.set({path!r}, {back!r})" if back is not None else f"setup.unset({path!r})"
        terminal.run(undo)
    terminal.run("setup.set('tls.verify', False)")
    shown = terminal.run("setup.check()")
    assert "ok  TLS: localhost encrypts, but tls.verify is false: anybody can pose" in shown
    assert "Changed" in terminal.run("setup.show()"), "and nothing of it is in force"
    assert saved(board) == complete(platform)


def test_a_broken_configuration_runs_on_the_last_good_one_and_is_mended(terminal, board, platform):
    write(board, complete(platform), "config.good.json")
    write(board, '{"device": {,}}')
    terminal.type("import main")
    shown = terminal.until("listening for commands")
    assert "E load: config.json: not JSON at line 1" in shown
    assert "W load: running on the last good configuration" in shown
    assert "press Ctrl-C, then: import setup; setup.check()" in shown
    stop(terminal)
    assert "config.json: not JSON at line 1" in terminal.run("import setup; setup.show()")
    assert "The last good configuration is here" in terminal.run("setup.restore()")
    assert "Saved." in terminal.run("setup.save()")
    terminal.type("import main")
    assert "last good" not in terminal.until("listening for commands")
    assert saved(board) == complete(platform)


def test_a_board_without_a_configuration_takes_one_without_a_restart(terminal, board, platform):
    terminal.type("import main")
    terminal.until("it is looked for every 5 s")
    write(board, complete(platform))
    terminal.until("listening for commands")


PAGE = (ROOT / "docs" / "prompt.md").read_text(encoding="utf-8")


def as_on_the_page(shown, info):
    """What a terminal showed, with the values that the page has for those of one day."""
    for mine, theirs in (
        (info["device"]["id"], "_dev_571692235317590466"),
        (info["device"]["key_id"], "_key_1"),
        (f"localhost:{info['mqtts']}", "localhost:8883"),
        (f"localhost:{info['https']}", "localhost:8443"),
    ):
        shown = shown.replace(mine, theirs)
    shown = re.sub(r"20\d\d-\d\d-\d\dT[\d:.]+Z", "2026-11-29T09:30:00.000Z", shown)
    return re.sub(r" *\d+\.\d{3} I ", "      42.125 I ", shown)


def test_the_page_shows_what_is_shown(terminal, board, platform):
    info = platform.info
    config = given(platform)
    write(board, config)
    terminal.type("import main")
    terminal.until("setup.wizard()\n")
    shown = [stop(terminal).removeprefix("^C")]

    def go_on(until, line):
        shown.append(terminal.until(until) + until)
        terminal.type(line)

    shown.append(">>> ")
    terminal.type("import setup")
    go_on(">>> ", "setup.wizard()")
    go_on("_dev_…: ", info["device"]["id"])
    go_on("_key_…: ", info["device"]["key_id"])
    go_on("(unseen) ", info["device"]["key_secret"])
    go_on("or none [room]: ", "")
    go_on("or none [26]: ", "27")
    go_on("[high]: ", "")
    go_on("[21.0]: ", "20.5")
    go_on("[UTC0]: ", "CET-1CEST,M3.5.0,M10.5.0/3")
    go_on(">>> ", 'setup.set("feed.max_points", 0)')
    go_on(">>> ", 'setup.set("feed.max_points", 50)')
    go_on(">>> ", 'setup.help("feed.max_points")')
    go_on(">>> ", 'setup.show("feed")')
    go_on(">>> ", "setup.check()")
    go_on(">>> ", "setup.save()")
    shown.append(terminal.until(">>> "))
    text = as_on_the_page("".join(shown), info)
    blocks = re.findall(r"(?<=\n\n)((?:    .*\n)+)", PAGE)
    page = re.sub(r"^    ", "", "".join(blocks[:2]), flags=re.MULTILINE)
    print(text)
    assert text == page
