"""What the README says is there."""

import re

import pytest

from tools import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
# A path of the repository; what `make` leaves in build/ is not there before.
PATHS = set(re.findall(r"`((?:firmware|lib|image|tools|tests)/[\w./-]*)`", README))
# Nor is what a build has, what umqtt.simple's archive lacks, and what a device keeps.
FILES = set(re.findall(r"`([\w-]+\.(?:py|txt|toml))`", README))
FILES -= {"places.txt", "setup.py", "lastfault.txt"}
# Lines of a device's log: uptime, level, who speaks, event.
SPEAKERS = set(re.findall(r"^[ \d.]+\.\d{3} [IWE] (\w+): ", README, re.MULTILINE))


@pytest.mark.parametrize("path", sorted(PATHS | FILES))
def test_a_path_that_is_named_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`?make ([a-z]+)", README))))
def test_a_target_that_is_named_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("speaker", sorted(SPEAKERS))
def test_who_speaks_in_the_log_is_a_file_of_the_firmware(speaker: str) -> None:
    assert list((ROOT / "firmware").rglob(f"{speaker}.py"))


def test_the_log_that_is_shown_has_its_speakers() -> None:
    assert {"app", "uplink", "loop", "door"} <= SPEAKERS


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^):#]+)\)", README))))
def test_a_page_that_is_linked_exists(link: str) -> None:
    assert (ROOT / link).is_file()


def troubles() -> list[str]:
    """What the table of troubles quotes."""
    table = README.partition("### When something is wrong")[2].partition("Each of these")[0]
    return re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)


@pytest.mark.parametrize("said", troubles())
def test_a_trouble_is_told_in_these_words(said: str) -> None:
    """The text between values is in a message of the firmware or of the tools."""
    texts = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("firmware", "tools")
        for path in sorted((ROOT / folder).rglob("*.py"))
    )
    texts = re.sub(r"\"\s+f?\"|\\\n *", "", texts)  # one that goes on in the next line
    parts = re.split(r": home: |: stuck", said)
    for part in parts:
        assert part.strip(": ") in texts, part


def test_the_troubles_are_found() -> None:
    assert len(troubles()) > 10
