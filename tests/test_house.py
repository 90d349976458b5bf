"""The rooms of the firmware: who imports whom, what is used by nobody, and how long a file is.

Read with `ast`, so that imports inside functions count, and those by name.
"""

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tools import ROOT
from tools.build import SETUP

# Who may import whom, as in DESIGN.md; a room may always import itself.
ROOMS = {
    "main": {"app", "rescue"},
    "boot": set(),
    "rescue": set(),
    # It builds the regulation, which needs nothing of points, link and commands.
    "app": {
        *("base", "times", "board", "control", "sensors", "supervision", "config", "services"),
        *("setup", "safe_mode"),
    },
    "safe_mode": {"base", "board", "control", "supervision", "config"},
    "services": {
        *("base", "board", "points", "commands", "link", "supervision", "config", "update"),
    },
    "update": {"base", "link"},
    "setup": {"base", "times", "board", "control", "sensors", "commands.table", "link", "config"},
    "config": {"base", "times", "control", "sensors", "commands.table", "supervision.health"},
    "supervision": {"base", "board"},
    "link": {"base", "times", "points"},
    "commands": {"base", "times", "control"},
    "sensors": {"base", "board"},
    "points": {"base", "times"},
    "control": {"base", "times"},
    "board": {"base", "times"},
    "times": {"base"},
    "base": set(),
}
HARDWARE = {"machine", "network", "esp32", "_thread"}
APP_LINES = 199
MODULE_LINES = 400
TEST_LINES = 500


@cache
def modules() -> dict[str, ast.Module]:
    """The syntax tree of every module of the firmware, by its dotted name."""
    paths = [ROOT / "boot.py", ROOT / "main.py", *(ROOT / "firmware").rglob("*.py")]
    return {dotted(path): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(paths)}


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package(name: str) -> str:
    """The package that the module's relative imports start from."""
    return name if f"{name}." in "".join(f"{n}|" for n in modules()) else name.rpartition(".")[0]


def imports(name: str, tree: ast.Module) -> set[str]:
    """The modules that one imports, also inside functions, by a literal name or one of a table.

    `from firmware.x import y` is an import of firmware.x.y where that is a module, and of
    firmware.x, which is executed, too, unless firmware.x is only the package around it.
    """
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package(name).split(".")
            start = start[: len(start) + 1 - node.level] if node.level else []
            origin = ".".join([*start, *([node.module] if node.module else [])])
            for alias in node.names:
                whole = f"{origin}.{alias.name}"
                found.add(whole if whole in modules() else origin)
        elif isinstance(node, ast.Call) and _called(node) in ("__import__", "import_module"):
            found.update(by_name(name, node.args[0]))
    return found


def _called(node: ast.Call) -> str:
    function = node.func
    return getattr(function, "id", None) or getattr(function, "attr", "")


def by_name(name: str, argument: ast.expr) -> set[str]:
    """What `__import__` of that expression may import."""
    if isinstance(argument, ast.Constant):
        return {argument.value}
    if name == "firmware.base.passing":
        return set()  # a unit that only the linker makes: see firmware/base/rare.py
    if isinstance(argument, ast.BinOp) and isinstance(argument.left, ast.Constant):
        # "firmware.sensors." + name: the modules of that package that this module names.
        strings = {node.value for node in ast.walk(modules()[name]) if is_text(node)}
        return {
            other
            for other in modules()
            if other.startswith(argument.left.value)
            and other[len(argument.left.value) :] in strings
        }
    raise AssertionError(f"{name}: what does `{ast.unparse(argument)}` import?")


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def room(name: str) -> str:
    parts = name.split(".")
    return parts[0] if parts[0] != "firmware" else (parts[1] if len(parts) > 1 else "")


def arrows() -> set[tuple[str, str]]:
    """(importer, imported) within the firmware."""
    return {
        (name, other)
        for name, tree in modules().items()
        for other in imports(name, tree)
        if other in modules() and other != name
    }


def allowed(name: str, other: str) -> bool:
    here, there = room(name), room(other)
    if here == there or other == "firmware":  # which holds the version and imports nothing
        return True
    may = ROOMS[here]
    return there in may or other.removeprefix("firmware.") in may


def test_every_module_is_in_a_room():
    assert {room(name) for name in modules()} - {""} == set(ROOMS)
    assert not imports("firmware", modules()["firmware"])


def test_imports_go_down_the_table():
    wrong = [f"{name} imports {other}" for name, other in arrows() if not allowed(name, other)]
    assert not wrong, "\n".join(sorted(wrong))


def test_the_table_has_no_circle_and_no_arrow_that_nobody_needs():
    rooms = list(ROOMS)
    for here, may in ROOMS.items():
        for there in may:
            below = rooms.index(there.split(".")[0])
            assert rooms.index(here) < below, f"{here} may import {there}, which is above it"
    for here in ("app", "main"):
        assert {room(other) for name, other in arrows() if room(name) == here} - {here, ""}


def test_no_module_imports_itself_through_others():
    graph: dict[str, set[str]] = {name: set() for name in modules()}
    for name, other in arrows():
        graph[name].add(other)
    circles = []

    def follow(path):
        for other in sorted(graph[path[-1]]):
            if other == path[0]:
                circles.append(" > ".join([*path, other]))
            elif other > path[0] and other not in path:  # each circle once
                follow([*path, other])

    for name in graph:
        follow([name])
    assert not circles, "\n".join(circles)


def test_only_the_esp32s_board_imports_its_hardware():
    # The rescue runs where that may be what cannot be imported.
    wrong = [
        f"{name} imports {other}"
        for name, tree in modules().items()
        for other in imports(name, tree) & HARDWARE
        # A set of files on trial is watched before any of it is imported.
        if name not in ("firmware.board.esp32", "firmware.rescue", "boot")
    ]
    assert not wrong, "\n".join(wrong)
    assert imports("firmware.board.esp32", modules()["firmware.board.esp32"]) >= HARDWARE


# What memory that is short leaves broken


def test_no_set_and_no_ordered_dict_is_made():
    """One that fails to grow is taken for a larger one, and MicroPython writes beyond it. Lists,
    dicts, arrays and buffers stay as they were.
    """
    wrong = [
        f"{name}, line {part.lineno}: {ast.unparse(part)}"
        for name, tree in modules().items()
        for part in ast.walk(tree)
        if isinstance(part, ast.Set | ast.SetComp)
        or (isinstance(part, ast.Name) and part.id in ("set", "frozenset", "OrderedDict"))
    ]
    assert not wrong, "\n".join(wrong)


# What is used by nobody


class Public(NamedTuple):
    """What a module offers others: a function, class or constant, or a member of a class."""

    module: str
    name: str
    first: int  # the lines of its definition
    last: int
    is_member: bool


class Use(NamedTuple):
    module: str
    line: int
    by_name: bool  # not as an attribute of something


def public_names() -> list[Public]:
    found = []
    for module, tree in modules().items():
        for node in tree.body:
            for name in defined(node):
                found.append(Public(module, name, node.lineno, node.end_lineno, False))
            if isinstance(node, ast.ClassDef):
                for name, part in members(node):
                    found.append(Public(module, name, part.lineno, part.end_lineno, True))
    return [row for row in found if not row.name.startswith("_")]


def defined(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, ast.Assign):
        names = [name for target in node.targets for name in ast.walk(target)]
        return [name.id for name in names if isinstance(name, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []


def members(node: ast.ClassDef) -> list[tuple[str, ast.AST]]:
    """The methods and class attributes, and what methods assign to `self`."""
    found: dict[str, ast.AST] = {name: part for part in node.body for name in defined(part)}
    for part in ast.walk(node):
        is_set = isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store)
        if is_set and ast.unparse(part.value) == "self":
            found.setdefault(part.attr, part)
    return [item for item in found.items() if not overrides(node, *item)]


def overrides(node: ast.ClassDef, name: str, part: ast.AST) -> bool:
    """Whether a method takes the place of its base class's, which it calls: then that is used."""
    called = {f"{ast.unparse(base)}.{name}" for base in node.bases}
    return any(isinstance(p, ast.Call) and ast.unparse(p.func) in called for p in ast.walk(part))


@cache
def uses() -> dict[str, list[Use]]:
    """Where some code of the firmware reads a name: as such, as an attribute, by an import, by a
    string (`getattr`), or by a word of a table, a constant text of several lines with a name.
    """
    found: dict[str, list[Use]] = {}
    for module, tree in modules().items():
        tables = {id(node.value) for node in tree.body if isinstance(node, ast.Assign)}
        for node in ast.walk(tree):
            for name, by_name in read(node, id(node) in tables):
                use = Use(module, getattr(node, "lineno", 0), by_name)
                found.setdefault(name, []).append(use)
    return found


def read(node: ast.AST, is_table: bool) -> list[tuple[str, bool]]:
    """(name, whether it is no attribute) of what a node reads."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        return [(node.id, True)]
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        return [(node.attr, False)]
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Attribute):
        return [(node.target.attr, False)]
    if isinstance(node, ast.ImportFrom):
        return [(alias.name, True) for alias in node.names]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        if is_table and "\n" in node.value:
            return [(word, False) for word in re.findall(r"\w+", node.value)]
        if node.value.isidentifier():
            return [(node.value, False)]
    return []


def is_used(public: Public) -> bool:
    return any(
        not (public.is_member and use.by_name)
        and not (use.module == public.module and public.first <= use.line <= public.last)
        for use in uses().get(public.name, [])
    )


def interface() -> set[tuple[str, str]]:
    """(module, name) of what a driver must have, because all of them have it.

    The tools ask for some of it, to print the reference. And what a board's prompt has, and what
    the linker calls.
    """
    drivers = {
        name: {found for node in tree.body for found in defined(node)}
        for name, tree in modules().items()
        if room(name) == "sensors"
    }
    drivers = {name: found for name, found in drivers.items() if "Driver" in found}
    assert len(drivers) > 1
    common = set.intersection(*drivers.values())
    prompt = {("firmware.setup.prompt", name) for name in SETUP}
    prompt |= {("firmware.base.passing", name) for name in ("born", "rarely")}  # by tools/linker
    return prompt | {(driver, name) for driver in drivers for name in common}


def test_every_public_name_is_used():
    unused = [
        f"{public.module}:{public.first}: {public.name}"
        for public in public_names()
        if not is_used(public) and (public.module, public.name) not in interface()
    ]
    assert not unused, "\n".join(unused)


def test_a_name_that_nobody_uses_would_be_found():
    """The test above can fail: it tells definitions from uses."""
    public = public_names()
    names = {row.name for row in public}
    assert {"App", "run", "ms", "Queue", "spilled", "KEYS"} <= names
    assert not is_used(public[0]._replace(name="nobody_uses_this"))
    for row in public:
        if row.module == "firmware.points.queue" and row.name == "Queue":
            # But for its users it would be one that only its own definition names.
            assert {use.module for use in uses()["Queue"]} == {"firmware.points.intake"}


# How long a file is


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_app_is_short_enough_to_be_wiring_alone():
    assert lines(ROOT / "firmware/app.py") <= APP_LINES


@pytest.mark.parametrize(("folder", "most"), [("firmware", MODULE_LINES), ("tests", TEST_LINES)])
def test_no_file_is_too_long(folder, most):
    long = {
        str(path.relative_to(ROOT)): lines(path)
        for path in sorted((ROOT / folder).rglob("*.py"))
        if lines(path) > most
    }
    assert not long, long
