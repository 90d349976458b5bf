"""What the README and the pages of docs/ say is there."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tools import ROOT, micropython

README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")}
PAGES = "\n".join([README, *DOCS.values()])
# A path of the repository; what `make` leaves in build/ is not there before.
PATHS = set(re.findall(r"`((?:firmware|lib|image|tools|tests)/[\w./-]*)`", PAGES))
# Nor is what a build has, what umqtt.simple's archive lacks, and what a device keeps.
FILES = set(re.findall(r"`([\w-]+\.(?:py|txt|toml))`", PAGES))
FILES -= {"places.txt", "setup.py", "lastfault.txt"}
PATHS -= {"firmware/sensors/lm75a.py"}  # the example
LINK = re.compile(r"\]\(([^):]+)\)")
# Lines of a device's log: uptime, level, who speaks, event.
SPEAKERS = set(re.findall(r"^[ \d.]+\.\d{3} [IWE] (\w+): ", PAGES, re.MULTILINE))


@pytest.mark.parametrize("path", sorted(PATHS | FILES))
def test_a_path_that_is_named_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`?make ([a-z]+)`", PAGES))))
def test_a_target_that_is_named_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("speaker", sorted(SPEAKERS))
def test_who_speaks_in_the_log_is_a_file_of_the_firmware(speaker: str) -> None:
    assert list((ROOT / "firmware").rglob(f"{speaker}.py"))


def test_the_log_that_is_shown_has_its_speakers() -> None:
    assert {"app", "uplink", "loop", "door"} <= SPEAKERS


def links() -> list[tuple[Path, str]]:
    """Those of each page to a file, with the page's folder."""
    pages = [(ROOT, README)] + [(ROOT / "docs", text) for text in DOCS.values()]
    return sorted({(at, link) for at, text in pages for link in LINK.findall(text)})


@pytest.mark.parametrize(("at", "link"), links(), ids=str)
def test_what_is_linked_exists(at: Path, link: str) -> None:
    path, _, heading = link.partition("#")
    assert (at / path).is_file()
    if heading:
        headings = re.findall(r"^#+ (.*)$", (at / path).read_text(encoding="utf-8"), re.MULTILINE)
        assert heading in [anchor(text) for text in headings]


def anchor(heading: str) -> str:
    """A heading's, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("name", sorted(DOCS))
def test_a_page_can_be_reached_from_the_readme(name: str) -> None:
    reached, new = set(), {"README.md"}
    while new:
        reached |= new
        texts = [README if page == "README.md" else DOCS.get(page, "") for page in new]
        new = {Path(link.partition("#")[0]).name for text in texts for link in LINK.findall(text)}
        new -= reached
    assert name in reached


def troubles() -> list[str]:
    """What the table of troubles quotes."""
    table = (
        DOCS["board.md"].partition("## When something is wrong")[2].partition("Each of these")[0]
    )
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


READ_THE_EXAMPLE = """
from firmware.board import board

class Bus:
    def readfrom_mem_into(self, address, register, buffer):
        assert (address, register, len(buffer)) == (0x49, 0, 2)
        buffer[:] = self.answer

bus = Bus()
board.i2c = lambda sda, scl: bus
from drivers import create, failure, reading, spec
chip = create(spec("lm75a", address="0x49"))
# Data sheet, "Temp register value".
for answer, expected in (
    (b"\\x7f\\x00", 127), (b"\\x19\\x00", 25), (b"\\x00\\x20", 0.125),
    (b"\\xff\\xe0", -0.125), (b"\\xc9\\x00", -55),
):
    bus.answer = answer
    assert reading(chip) == expected, reading(chip)
from settings import settings
try:
    settings(sensors=[{"prop": "p", "driver": "lm75a", "address": "0x50"}])
except ValueError as error:
    print(error)
"""


def test_the_example_of_a_sensor_is_one(tmp_path: Path) -> None:
    example = README.partition("## Add a sensor in 30 lines")[2]
    (driver,) = re.findall(r"^```python\n(.*?)^```", example, re.MULTILINE | re.DOTALL)
    assert driver.count("\n") <= 30
    shutil.copytree(ROOT / "firmware", tmp_path / "firmware")
    sensors = tmp_path / "firmware" / "sensors"
    (sensors / "lm75a.py").write_text(driver, encoding="utf-8")
    registry = sensors / "__init__.py"
    text = registry.read_text(encoding="utf-8")
    registry.write_text(text.replace('    "ntc",', '    "lm75a",\n    "ntc",'), encoding="utf-8")
    done = subprocess.run(
        micropython.command("-c", READ_THE_EXAMPLE),
        cwd=tmp_path,
        env=micropython.environment(
            [tmp_path, ROOT / "tests" / "device" / "helpers", ROOT / "lib"]
        ),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'sensors[0].address: expected "0x48" or "0x49", got "0x50"' in done.stdout
