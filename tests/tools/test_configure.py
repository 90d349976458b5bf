"""Configuring over a serial line: the board's own `setup`, on a pseudo-terminal."""

import json
import sys

import pytest
import rich.prompt

from tests.tools.terminal import PEM, UNREACHABLE, port
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
    assert configure(board, console=said)
    assert saved(disk)["device"] == {**UNREACHABLE["device"], "id": "_dev_2"}
    assert saved(disk)["thermostat"]["setpoint"] == 20.5
    assert saved(disk)["time"]["zone"] == "CET-1"
    assert asked[0] == ("The device's id, _dev_… [_dev_1]", False)
    assert ("The secret of its key [as it is]", True) in asked
    # Ctrl-D is for the board's own prompt: in a computer's shell it would end the shell.
    assert "Saved.\n" in said.file.getvalue() and "Ctrl-D" not in said.file.getvalue()
    assert "hunter2" not in said.file.getvalue() + str(asked)


def test_ctrl_c_leaves_all_as_it_was(board, disk, said, answers):
    (disk / "config.json").write_text(json.dumps(UNREACHABLE))
    answers("_dev_2", KeyboardInterrupt())
    assert not configure(board, console=said)
    assert "Stopped; everything is as it was." in said.file.getvalue()
    assert saved(disk) == UNREACHABLE


def test_a_board_without_the_firmware_is_told(unix_port, said):
    with pytest.raises(ConfigureError, match="has no `setup`: deploy it, or flash its image"):
        configure(unix_port, console=said)
