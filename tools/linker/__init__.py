"""Join the firmware's modules into as few as a board has to load.

MicroPython keeps in RAM, for each module that is loaded, its dictionary, a table of the names in
it, and an entry for each name that it imports. The firmware's sixty modules are written for
people. What a board loads are *units*: `firmware.app` with everything that is imported when it
starts, and one unit for each module that is imported only where the configuration asks for it,
with what only that one needs. A unit has the public names of the module it is made for, its root;
all others lose theirs. It lies in the package itself, as `firmware.journal` does for
`firmware.points.journal`: a package, too, takes RAM. For code that runs from flash it lies outside
of that, and has a word of MicroPython's ROM for a name (`units.short_names`).

An import that does not stand at a module's outermost level may not happen: it makes a unit. So
does a module that no import names, such as a sensor's driver: that is found by its name, and keeps
it.

Left out of a unit is what only people need (see `names` and `texts`). Lines keep their order, so
that `translated` can tell where those of a traceback come from.
"""

import ast
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tools.linker import names, rare, texts, units
from tools.linker.module import PACKAGE, Edit, LinkError, Module, Symbol

__all__ = ["PACKAGE", "LinkError", "Places", "Unit", "link", "translated"]

_LOADS: Symbol = ("firmware.base.passing", "away")  # what loads a module of what is rare
# By a unit's name: (line, path of the module that begins there).
Places = dict[str, list[tuple[int, str]]]


@dataclass
class Unit:
    """A module of the linked firmware: `name`, its `source`, and where its lines come from."""

    name: str
    path: str  # its file, below the root
    source: str
    starts: list[tuple[int, str]]  # as in Places
    root: str = ""  # the module that it is made for


def link(sources: dict[str, str], divide: bool = False, apart: bool = False) -> list[Unit]:
    """The units of a firmware, given as {path below the root: text}. Raises LinkError.

    The package's own `__init__` stays as it is: it has the version. divide: what is rare is in
    units of its own, for a board that runs them from flash. apart: each module is a unit, to be
    measured by itself.
    """
    parts = rare.divided(sources) if divide else rare.whole(sources)
    modules = {module.name: module for module in parts}
    for module in modules.values():
        module.resolve(modules)
    cut = units.apart(modules) if apart else units.cut(modules)
    home = {name: unit for unit, members in cut.items() for name in members}
    chosen = names.choose(modules, cut, home)
    if apart:
        flat = {unit: unit for unit in cut}
    elif divide:
        flat = units.short_names(modules, cut)
    else:
        flat = units.flat_names(modules, cut)
    passing = units.passing(modules)
    for module in modules.values():
        if module.word:
            if home[module.home] in passing:
                raise LinkError(f"{module.path}: it passes itself, and has nothing rare")
            passing.add(module.name)
    made = [
        _Joined(modules, unit, cut[unit], home, chosen, flat).unit(unit in passing) for unit in cut
    ]
    outermost = f"{PACKAGE}/__init__.py"
    if outermost in sources:
        made.append(Unit(PACKAGE, outermost, sources[outermost], [(1, outermost)]))
    return made


def translated(text: str, places: Places) -> str:
    """A text, such as a traceback, with the places in units as those in the sources."""

    def place(found):
        line = int(found[2])
        before = [start for start in places.get(found[1], ()) if start[0] <= line]
        if not before:
            return found[0]
        first, path = max(before)
        return f'File "{path}", line {line - first + 1}'

    return re.sub(r'File "([^"]+)", line (\d+)', place, text)


class _Joined:
    """One unit in the making."""

    def __init__(self, modules, unit, members, home, chosen: names.Names, flat):
        self._modules = modules
        self._unit = unit
        self._members = members
        self._home = home
        self._names = chosen
        self._flat = flat  # {unit: its name}
        self._taken = names.taken_words(modules, members, chosen.keywords)
        self._taken |= set(chosen.of[unit].values())
        self._borrowed: dict[str, dict[str, str]] = {}  # unit: {its name: ours}
        self._numbers: dict[int, str] = {}  # constants of other units, and their names

    def unit(self, passes: bool) -> Unit:
        foreign: dict[str, str] = {}
        messages = texts.Messages()
        lines = ["", ""]
        starts = [(1, self._modules[self._unit].path)]
        for name in self._members:
            module = self._modules[name]
            for here, statement in module.foreign.items():
                if foreign.setdefault(here, statement) != statement:
                    raise LinkError(f"{module.path}: {here} is something else in another module")
            starts.append((len(lines) + 1, module.path))
            edits = [*self._edits(module), *messages.edits(module, passes)]
            lines += texts.edited(module, edits)
        if self._numbers:
            foreign["const"] = "from micropython import const"
        lines[0] = "; ".join(foreign.values())
        imports = [
            f"from {self._flat.get(there, there)} import "
            + ", ".join(_as(a, b) for a, b in known.items())
            for there, known in self._borrowed.items()
        ]
        numbers = [f"{name} = const({number})" for number, name in self._numbers.items()]
        lines[1] = "; ".join(imports + numbers + messages.definition())
        name = self._flat[self._unit]
        root = self._modules[self._unit]
        stays = name == self._unit and not root.word
        path = root.path if stays else name.replace(".", "/") + ".py"
        return Unit(name, path, "\n".join(lines) + "\n", starts, self._unit)

    def _edits(self, module: Module) -> Iterator[Edit]:
        for statement in module.statements:
            yield from module.replaced(statement, "")
        for node in module.inner:
            yield from module.replaced(node, self._import(module, node))
        for node, symbol in module.references:
            new = self._name_of(symbol, module, node)
            if module.is_name(node):
                yield from module.replaced(node, new)
            else:
                yield module.in_line(node, symbol[1], new)
        yield from names.short_attributes(module, self._names.attributes)
        yield from names.short_arguments(module, self._names.keywords)
        for value in module.literals:
            yield from module.replaced(value, f"const({ast.unparse(value)})")
        yield from texts.bare_classes(module)
        yield from texts.bare_tables(module)

    def _name_of(self, symbol, module, node) -> str:
        """What something is called in this unit."""
        there = self._home.get(symbol[0], symbol[0])
        name = self._names.of.get(there, {}).get(symbol, symbol[1])
        if there == self._unit:
            return name
        word = self._modules[symbol[0]].word
        if word:
            return f'{self._name_of(_LOADS, module, node)}("{word}").{name}'
        number = self._modules[symbol[0]].constants.get(symbol[1])
        if number is not None:
            return self._numbers.setdefault(number, f"_{len(self._numbers) + 1}")
        known = self._borrowed.setdefault(there, {})
        if name not in known:
            more = (f"{name}{n}" for n in itertools.count())
            supply = itertools.chain([name], names.VALUES, more)
            known[name] = next(word for word in supply if word not in self._taken)
            self._taken.add(known[name])
        return known[name]

    def _import(self, module, node) -> str:
        """An import that may not happen: of a unit's root, or of what has another place now."""
        parts = []
        for target, alias in module.targets(node, self._modules):
            here = alias.asname or alias.name
            there = self._home.get(target, target)
            if target == node.module:
                name = self._names.of.get(there, {}).get((target, alias.name), alias.name)
                parts.append(f"from {self._flat.get(there, there)} import {_as(name, here)}")
            elif there == target:
                package, _, last = self._flat[target].rpartition(".")
                start = f"from {package} import" if package else "import"
                parts.append(f"{start} {_as(last, here)}")
            else:
                raise module.fail(node, f"{target} is loaded at the start: import it there")
        return "; ".join(parts)


def _as(name: str, here: str) -> str:
    return name if name == here else f"{name} as {here}"
