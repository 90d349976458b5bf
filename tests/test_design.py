"""What DESIGN.md says is there: its paths, its rooms with their imports, and its names."""

import ast
import re

import pytest

from tests.test_house import ROOMS
from tools import ROOT

DESIGN = (ROOT / "DESIGN.md").read_text(encoding="utf-8")
FIRMWARE = ROOT / "firmware"
# In backticks: a path has a slash or an ending, and no place to be filled in.
PATHS = sorted(set(re.findall(r"`([\w.-]+(?:/[\w.-]*)+|[\w-]+\.(?:py|md))`", DESIGN)))


def found(path: str):
    """The file or folder that a path means: below the root, or below firmware/."""
    return next((base / path for base in (ROOT, FIRMWARE) if (base / path).exists()), None)


def rooms() -> dict[str, set[str]]:
    """The table of rooms: who may import whom."""
    table = DESIGN.partition("## The rooms")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w.]+)/?` \|.*\| (.+) \|$", table, re.MULTILINE)
    return {
        room.removesuffix(".py"): set() if may == "–" else set(may.split(", "))
        for room, may in rows
    }


def items() -> list[str]:
    """The answers to "where is" and "how to add", each with the file and the names it gives."""
    return re.findall(r"^- \*\*.*(?:\n  .*)*", DESIGN.partition("## Where is")[2], re.MULTILINE)


def names_in(paths: list[str]) -> set[str]:
    """What those modules define: functions, constants, classes and `Class.method`."""
    names = set()
    for path in paths:
        for node in ast.parse(found(path).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign):
                names.update(ast.unparse(target) for target in node.targets)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                names.add(node.name)
                if isinstance(node, ast.ClassDef):
                    names |= {f"{node.name}.{getattr(part, 'name', '')}" for part in node.body}
    return names


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_is_named_exists(path: str) -> None:
    assert found(path)


def test_the_rooms_are_those_of_the_firmware() -> None:
    there = {path.name for path in FIRMWARE.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    files = {path.stem for path in FIRMWARE.glob("[!_]*.py")} | {"main", "boot"}
    assert set(rooms()) == there | files


def test_they_may_import_what_the_house_allows() -> None:
    assert rooms() == ROOMS
    # In the same order: a room imports what stands below it.
    assert [room for room in rooms() if room not in ("main", "boot")] == [
        room for room in ROOMS if room not in ("main", "boot")
    ]


@pytest.mark.parametrize("item", items(), ids=lambda item: item[4:24])
def test_a_name_stands_in_a_file_that_is_named_with_it(item: str) -> None:
    paths = re.findall(r"`([\w./]+\.py)`", item)
    names = re.findall(r"`([A-Z]\w*\.\w+|_?[A-Z]+|\w+\(\))`", item)
    assert paths and names
    assert {name.removesuffix("()") for name in names} <= names_in(paths)


def test_there_are_as_many_answers_as_questions() -> None:
    assert len(items()) == 21


def test_the_readme_links_it_in_its_first_screen() -> None:
    first = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:32]
    assert any("](DESIGN.md)" in line for line in first)
