"""Configuring over a serial line: the board's own `setup`, on a pseudo-terminal."""

import json
import sys

import pytest
import rich.prompt

from tests.tools.terminal import PEM, UNREACHABLE, port
from tools import configure as configuring
from tools import micropython
from tools.build import build
from tools.configure import ConfigureError, configure
from tools.deploy import DeployError

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="pseudo-terminals as mpremote knows them"),
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
def firmware():
    """Where a board has it."""
    return build().files


@pytest.fixture
def board(firmware, disk):
    with port(
        micropython.command(), disk, [firmware, firmware / "lib", firmware / "firmware/setup"]
    ) as name:
        yield name


@pytest.fixture
def answers(monkeypatch):
    """What the user answers, in order; the questions as they were asked."""
    asked = []

    def answer(*texts):
        left = list(texts)

        def get(self, console, prompt, password, stream=None):
            asked.append((str(prompt).removesuffix(": "), password))
            text = left.pop(0)
            if isinstance(text, BaseException):
                raise text
            return text

        monkeypatch.setattr(rich.prompt.PromptBase, "get_input", classmethod(get))
        return asked

    return answer


def saved(disk):
    return json.loads((disk / "config.json").read_text())


def test_keys_are_set_saved_and_tried(board, disk, said):
    (disk / "config.json").write_text(json.dumps(UNREACHABLE))
    changes = ["feed.max_points=7", "sensors[0]={}", "sensors[0].prop=room"]
    changes += ["sensors[0].driver=room"]
    assert not configure(board, changes=changes, console=said)
    assert saved(disk)["feed"] == {"max_points": 7}
    assert saved(disk)["sensors"] == [{"prop": "room", "driver": "room"}]
    text = said.file.getvalue()
    assert "Saved." in text and "ok  room: 18.00 °C" in text
    assert "wrong  broker: 127.0.0.1:9" in text and "hunter2" not in text


def test_what_a_key_cannot_be_changes_nothing(board, disk, said):
    (disk / "config.json").write_text(json.dumps(UNREACHABLE))
    assert not configure(board, changes=["feed.max_points=7", "feed.format=fat"], console=said)
    assert 'feed.format: expected "plain" or "compact", got "fat"' in said.file.getvalue()
    assert saved(disk) == UNREACHABLE


def test_a_secret_is_asked_for_and_never_an_argument(board, disk, said, answers, monkeypatch):
    (disk / "config.json").write_text(json.dumps(UNREACHABLE))
    with pytest.raises(ConfigureError, match="a secret in a command is seen by others"):
        configure(board, changes=["device.key_secret=hunter3"], console=said)
    asked = answers("hunter3")
    configure(board, changes=["device.key_secret"], console=said)
    assert saved(disk)["device"]["key_secret"] == "hunter3"
    assert asked == [("device.key_secret", True)]
    monkeypatch.setenv("CSIPIO_DEVICE_KEY_SECRET", "hunter4")
    configure(board, changes=["device.key_secret"], console=said)
    assert saved(disk)["device"]["key_secret"] == "hunter4"
    assert "hunter" not in said.file.getvalue()


def test_a_change_needs_a_value(board, said):
    with pytest.raises(ConfigureError, match="feed: expected key=value, such as"):
        configure(board, changes=["feed"], console=said)


def test_a_file_is_checked_here_sent_and_tried_there(board, disk, said, config):
    assert not configure(board, file=config, console=said)
    assert saved(disk)["device"]["id"] == "_dev_1"
    assert (disk / "certs" / "ca.pem").is_file()
    assert "wrong  " in said.file.getvalue()


def test_the_authority_is_put_where_it_is_looked_for(board, disk, said, tmp_path):
    (disk / "config.json").write_text(json.dumps(UNREACHABLE))
    (tmp_path / "mine.pem").write_text(PEM)
    configure(board, changes=["feed.max_points=7"], authority=tmp_path / "mine.pem", console=said)
    assert (disk / "certs" / "ca.pem").read_text() == PEM
    assert saved(disk)["feed"] == {"max_points": 7}
    with pytest.raises(DeployError, match=r"none.pem: cannot be read: No such file"):
        configure(board, authority=tmp_path / "none.pem", console=said)
    (tmp_path / "key.pem").write_text(PEM.replace("CERTIFICATE", "PRIVATE KEY"))
    with pytest.raises(DeployError, match=r"key.pem: has no certificate; expected PEM"):
        configure(board, authority=tmp_path / "key.pem", console=said)
    assert (disk / "certs" / "ca.pem").read_text() == PEM


def test_the_boards_questions_are_asked_here(board, disk, said, answers):
    (disk / "config.json").write_text(json.dumps(UNREACHABLE))
    asked = answers("_dev_2", "", "", "room", "26", "", "20.5", "CET-1")
    configure(board, console=said)
    assert saved(disk)["device"] == {**UNREACHABLE["device"], "id": "_dev_2"}
    assert saved(disk)["thermostat"]["setpoint"] == 20.5
    assert saved(disk)["time"]["zone"] == "CET-1"
    assert asked[0] == ("The device's id, _dev_… [_dev_1]", False)
    assert ("The secret of its key [as it is]", True) in asked
    # Ctrl-D is for the board's own prompt: in a computer's shell it would end the shell.
    assert "Saved.\n" in said.file.getvalue() and "Ctrl-D" not in said.file.getvalue()
    assert "hunter2" not in said.file.getvalue() + str(asked)


def test_an_empty_board_is_not_told_of_a_mistake(board, disk, said, answers):
    answers(KeyboardInterrupt())
    configure(board, console=said)
    text = said.file.getvalue()
    assert text.startswith("There is no config.json yet: this begins a new one.\n"), text
    assert "no such file" not in text and "README" not in text


def test_questions_that_end_in_something_wrong_do_not_end_well(board, disk, said, answers):
    wrong = dict(UNREACHABLE, https={"url": "http://127.0.0.1:1/v3"})
    (disk / "config.json").write_text(json.dumps(wrong))
    answers("", "", "", "room", "26", "", "20.5", "")
    assert not configure(board, console=said)
    assert saved(disk)["thermostat"]["setpoint"] == 20.5
    assert "It is saved; what is told to be wrong is not mended" in said.file.getvalue()


def test_what_was_wrong_and_is_mended_ends_well():
    wrong = ["wrong  broker: it refused the key", "ok  room: 18.00 °C"]
    assert not configuring._is_right(wrong)
    assert configuring._is_right([*wrong, "ok  broker: 127.0.0.1"])
    assert not configuring._is_right(["ok  room: 1", "wrong  room: absent", "--  relay"])


def test_a_change_is_told_without_words_of_the_boards_own_prompt(board, disk, said):
    (disk / "config.json").write_text(json.dumps(UNREACHABLE))
    configure(board, changes=["feed.max_points=7", "feed.max_age_s=7"], console=said)
    assert said.file.getvalue().startswith("Changed.\nChanged.\nSaved.\n")


def test_any_network_and_any_password_come_as_they_are(board, disk, said, answers, monkeypatch):
    (disk / "config.json").write_text(json.dumps(UNREACHABLE))
    password = "a\"b'c\\d ü 🏠"
    monkeypatch.setenv("CSIPIO_WIFI_0_PASSWORD", password)
    for name in ("🏠 Büro", "12345678", "true", '"quoted"', "[a]"):
        text = json.dumps(name) if name.startswith('"') else name
        changes = [f"wifi[0].ssid={text}", "wifi[0].password"]
        configure(board, changes=changes, console=said)
        assert saved(disk)["wifi"] == [{"ssid": name, "password": password}]
    answers("_dev_🏠", "", "", "none", "CET-1", "", "", "", "")
    configure(board, console=said)
    assert saved(disk)["device"]["id"] == "_dev_🏠"
    assert password not in said.file.getvalue()


def test_the_check_may_be_stopped_when_it_is_saved(board, disk, said, monkeypatch):
    (disk / "config.json").write_text(json.dumps(UNREACHABLE))
    real = configuring._talk

    def talk(board, code, console):
        if "check" in code:
            raise KeyboardInterrupt
        return real(board, code, console)

    monkeypatch.setattr(configuring, "_talk", talk)
    assert not configure(board, changes=["feed.max_points=7"], console=said)
    assert "Stopped; it is saved, and not all of it is tried." in said.file.getvalue()
    assert saved(disk)["feed"] == {"max_points": 7}


@pytest.mark.parametrize("ended", [KeyboardInterrupt(), EOFError()])
def test_a_secret_that_nobody_gives_changes_nothing(said, answers, ended):
    answers(ended)
    with pytest.raises(ConfigureError, match=r"put it into \$CSIPIO_DEVICE_KEY"):
        configure("/dev/ttyNONE", changes=["device.key_secret"], console=said)


def test_ctrl_c_leaves_all_as_it_was(board, disk, said, answers):
    (disk / "config.json").write_text(json.dumps(UNREACHABLE))
    answers("_dev_2", KeyboardInterrupt())
    assert not configure(board, console=said)
    assert "Stopped; everything is as it was." in said.file.getvalue()
    assert saved(disk) == UNREACHABLE


def test_a_board_without_the_firmware_is_told(unix_port, said):
    with pytest.raises(ConfigureError, match="has no `setup`: deploy it, or flash its image"):
        configure(unix_port, console=said)
