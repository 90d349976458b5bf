"""The names that a unit's things get.

MicroPython keeps every name of a program in RAM, once, unless its own ROM has the same word. So
things get words that every MicroPython has in its ROM: functions, variables and classes one of
their own in each unit; arguments; and attributes and methods one that nothing else in their class
has, nor in those that it is derived from. Nobody sees those: a traceback's lines lead to the
sources.

- What is found by its name keeps it: the public names of a unit's root, exceptions, and an
  attribute that a text names, or one that MicroPython's own objects have, too (foreign.txt). Any
  other attribute is of the firmware's own objects wherever it stands.
- A constant begins with an underscore: then the compiler, which writes its value into the code,
  keeps no variable for it. Another unit that uses a number has a constant of its own. A number or
  text that is given a name for good is such a constant, too.
"""

import ast
import builtins
import itertools
import keyword
import string
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.linker.module import FUNCTIONS, MAIN, Edit, Module, Symbol, is_private

_HERE = Path(__file__).parent


def _words(group: str) -> list[str]:
    """Words of rom.txt, in three groups that never meet in one place."""
    text = (_HERE / "rom.txt").read_text()
    blocks = dict(block.split(":", 1) for block in text.split("\n\n")[1:])
    return blocks[group].split()


ARGUMENTS = _words("arguments")
VALUES = _words("values")
ATTRIBUTES = _words("attributes")
# Names of units, the short ones first. No module of MicroPython's is called so: its names are in
# small letters, by which firmware/base/passing.py knows them.
UNITS = sorted((word for word in VALUES if word[0].isupper()), key=len)
MESSAGES = "awritestr"  # the text of texts.Messages, another word of every ROM
ROM = frozenset(ARGUMENTS + VALUES + ATTRIBUTES)
FOREIGN = frozenset((_HERE / "foreign.txt").read_text().partition("\n\n")[2].split())


# An attribute: its name, and its module if it is private to that.
Key = tuple[str, str]


@dataclass
class Names:
    """of: {unit: {symbol: its name there}}. attributes: {attribute: its name everywhere}.
    keywords: {name that calls give to an argument: its name everywhere}.
    """

    of: dict[str, dict[Symbol, str]]
    attributes: dict[Key, str]
    keywords: dict[str, str]


def choose(modules: dict[str, Module], cut, home) -> Names:
    """The name of everything global, in each unit."""
    exports = {
        symbol
        for module in modules.values()
        for _, symbol in module.references
        if home.get(symbol[0]) != home.get(module.name)
        and modules[symbol[0]].constants.get(symbol[1]) is None
    } | {
        (target, alias.name)
        for module in modules.values()
        for node in module.inner
        for target, alias in module.targets(node, modules)
    }
    keywords = _of_keywords(modules)
    by_name = _by_name(modules)
    return Names(
        {
            unit: _of_unit(modules, unit, members, exports, keywords, by_name)
            for unit, members in cut.items()
        },
        _of_attributes(modules, by_name.intersection(cut)),
        keywords,
    )


def _by_name(modules) -> set[str]:
    """Modules of which something may be found by its name: those that a module stands for as a
    value, those imported under a condition, and those that no import names.
    """
    found = {name for name, module in modules.items() if not module.word}
    for module in modules.values():
        for node in module.inner:
            for target, _ in module.targets(node, modules):
                if target == node.module:
                    found.discard(target)
        found -= set(module.eager)
    found.add(MAIN)
    for module in modules.values():
        for node in module.inner:
            for target, alias in module.targets(node, modules):
                if target != node.module or (alias.asname or alias.name) in module.fixed:
                    found.add(target)
    return found


def _of_keywords(modules) -> dict[str, str]:
    named = {
        node.arg
        for module in modules.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.keyword) and module.names_argument(node)
    }
    taken = {*keyword.kwlist, *dir(builtins), *ARGUMENTS}
    for module in modules.values():
        taken |= module.locals | module.defined | set(module.foreign)
    words = (word for word in ATTRIBUTES + VALUES if word not in taken)
    # What no function of the firmware calls so is another's argument.
    declared = {name for m in modules.values() for scope in m.scopes for name in scope.arguments}
    own = [name for name in sorted(named & declared) if name not in FOREIGN]
    return {name: name for name in named} | dict(zip(own, words, strict=False))


def taken_words(modules, members, keywords) -> set[str]:
    """What nothing global in a unit may be called."""
    taken = {*keyword.kwlist, *dir(builtins), "const", MESSAGES, *ARGUMENTS, *keywords.values()}
    for name in members:
        taken |= modules[name].locals | set(modules[name].foreign) | modules[name].fixed
    return taken


def _of_unit(modules, unit, members, exports, keywords, by_name) -> dict[Symbol, str]:
    chosen: dict[Symbol, str] = {}
    taken = taken_words(modules, members, keywords)
    letters = _letters(string.ascii_lowercase)
    words = iter(VALUES)
    # The root's own names come first: others find it by them. A constant's is nobody's, so it may
    # be longer.
    symbols = [(unit, own) for own in sorted(modules[unit].defined)]
    symbols += [
        (name, own) for name in members if name != unit for own in sorted(modules[name].defined)
    ]
    symbols.sort(key=lambda symbol: symbol[1] in modules[symbol[0]].constants)
    for symbol in symbols:
        name, own = symbol
        module = modules[name]
        if own in module.fixed or (name in by_name and not is_private(own)):
            chosen[symbol] = own
            taken.add(own)
            continue
        if own in module.constants and symbol not in exports:
            supply = letters
        elif own in module.exceptions:
            supply = _variants(own, name)
        else:
            supply = itertools.chain(words, letters)
        chosen[symbol] = next(word for word in supply if word not in taken)
        taken.add(chosen[symbol])
    return chosen


def _letters(alphabet: str) -> Iterator[str]:
    for n in itertools.count(1):
        for few in itertools.product(alphabet, repeat=n):
            yield "_" + "".join(few)


def _variants(own: str, module: str) -> Iterator[str]:
    yield own
    for n in itertools.count(1):
        yield f"{own}_{module.rpartition('.')[2]}{n if n > 1 else ''}"


def _of_attributes(modules: dict[str, Module], by_name: set[str]) -> dict[Key, str]:
    """What attributes are called. No two of a class, or of those it is derived from, are alike."""
    kin = _kin(modules)
    kept = {*FOREIGN, *_texts(modules)}
    for root in by_name:
        kept |= modules[root].defined
    for module in modules.values():
        kept |= module.fixed
    beside: dict[Key, set[Key]] = {}  # those that stand with it in a class
    for own in kin:
        for key in own.keys:
            beside.setdefault(key, set()).update(own.keys)
    from_outside = {key for own in kin for key in own.from_outside} & set(beside)
    for key in from_outside:
        beside[key] |= set(beside)
    chosen: dict[Key, str] = {}
    for key in sorted(beside, key=lambda key: (-len(beside[key]), key)):
        if not key[0] and (key[1] in kept or len(key[1]) == 1 or key[1].startswith("__")):
            continue
        taken = {chosen.get(other, other[1]) for other in beside[key] | from_outside}
        supply = itertools.chain(ATTRIBUTES, _letters(string.ascii_uppercase))
        if any(own.foreign and key in own.keys for own in kin):
            supply = _letters(string.ascii_uppercase)
        chosen[key] = next(word for word in supply if word not in taken)
    return chosen


@dataclass
class _Kin:
    """Classes that are derived from each other. foreign: also from one of MicroPython's."""

    keys: set[Key]
    from_outside: set[Key]  # set on something else than `self`
    foreign: bool


def _kin(modules) -> list[_Kin]:
    found: dict[Symbol, _Kin] = {}
    outside = _Kin(set(), set(), False)
    for module in modules.values():
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.ClassDef):
                continue
            symbol = (module.home, module.stands_for or node.name)
            own = found.setdefault(symbol, _Kin(set(), set(), False))
            own.keys |= {_key(module, name) for name in _declared(module, node)}
            for base in node.bases:
                above = _symbol(module, base)
                if above is None:
                    own.foreign = True
                    continue
                other = found.setdefault(above, _Kin(set(), set(), False))
                other.keys |= own.keys
                other.foreign |= own.foreign
                found = {k: other if kin is own else kin for k, kin in found.items()}
                own = other
        outside.from_outside |= {
            _key(module, node.attr)
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Attribute)
            and not isinstance(node.ctx, ast.Load)
            and not (isinstance(node.value, ast.Name) and node.value.id == "self")
        }
    return [outside, *{id(kin): kin for kin in found.values()}.values()]


def _symbol(module: Module, base) -> Symbol | None:
    """What a base of a class is, if it is one of the firmware's."""
    if isinstance(base, ast.Name):
        if base.id in module.imported:
            return module.imported[base.id]
        return (module.name, base.id) if base.id in module.classes else None
    if isinstance(base, ast.Attribute) and isinstance(base.value, ast.Name):
        there = module.modules.get(base.value.id)
        return (there, base.attr) if there else None
    return None


def _declared(module, node: ast.ClassDef) -> set[str]:
    """The attributes and methods of a class; but for those that its own body uses."""
    names = set()
    for part in node.body:
        if isinstance(part, FUNCTIONS):
            names.add(part.name)
        for name in _set_by(part):
            names.add(name.id)
            if is_private(name.id):
                raise module.fail(part, "make it a constant of the module")
    for inner in ast.walk(node):
        if (
            isinstance(inner, ast.Attribute)
            and isinstance(inner.ctx, ast.Store)
            and isinstance(inner.value, ast.Name)
            and inner.value.id == "self"
        ):
            names.add(inner.attr)
    return names


def _set_by(part: ast.stmt) -> list[ast.Name]:
    """The names that a statement in a class's body gives a value."""
    if not isinstance(part, ast.Assign | ast.AnnAssign):
        return []
    found = part.targets if isinstance(part, ast.Assign) else [part.target]
    return [name for name in found if isinstance(name, ast.Name)]


def _texts(modules) -> set[str]:
    """Names that stand in texts, by which something may be found, or in a class's own body."""
    found: set[str] = set()
    looking_up = {
        module.home
        for module in modules.values()
        if any(isinstance(n, ast.Name) and n.id == "getattr" for n in ast.walk(module.tree))
    }
    for module in modules.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if node.value.isidentifier():
                    found.add(node.value)
            elif isinstance(node, ast.ClassDef):
                for part in node.body:
                    outside = [part]
                    if isinstance(part, FUNCTIONS):
                        outside = part.decorator_list
                    elif isinstance(part, ast.Assign | ast.AnnAssign):
                        outside = [part.value] if part.value else []
                    for inner in outside:
                        found |= {n.id for n in ast.walk(inner) if isinstance(n, ast.Name)}
        # A table of attributes is a text of the module that looks them up.
        if module.home in looking_up:
            for node in module.tree.body:
                if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                    found |= set(str(node.value.value).split())
    return found


def _key(module: Module, name: str) -> Key:
    return (module.home if is_private(name) else "", name)


def short_attributes(module: Module, chosen: dict[Key, str]) -> Iterator[Edit]:
    """Attributes and methods. Raises LinkError where a private one is another module's."""
    elsewhere = {id(node) for node, _ in module.references}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if is_private(node.value):
                text = f'"{node.value}" looks like a private name, which is not found by it'
                raise module.fail(node, text)
        elif isinstance(node, ast.Attribute) and id(node) not in elsewhere:
            key = _key(module, node.attr)
            if key in chosen:
                end = node.end_col_offset
                yield node.end_lineno, end - len(node.attr.encode()), end, chosen[key]
            elif is_private(node.attr):
                raise module.fail(node, f"{node.attr} is private to another module")
        elif isinstance(node, ast.ClassDef):
            for part in node.body:
                key = _key(module, part.name) if isinstance(part, FUNCTIONS) else ("", "")
                if key in chosen:
                    yield module.in_line(part, part.name, chosen[key])
                for name in _set_by(part):
                    if ("", name.id) in chosen:
                        yield from module.replaced(name, chosen["", name.id])


def short_arguments(module: Module, keywords: dict[str, str]) -> Iterator[Edit]:
    """Arguments, and their names in calls."""
    used: dict[int, set[str]] = {}  # the words of a scope and of those around it
    within: dict[int, set[str]] = {}  # names of the scopes in it, which would hide its own
    for scope in module.scopes:
        outer = scope.parent
        while outer:
            within.setdefault(id(outer), set()).update(scope.names)
            outer = outer.parent
    for scope in module.scopes:
        above = used.get(id(scope.parent), set())
        taken = scope.names | scope.others | above | within.get(id(scope), set())
        used[id(scope)] = words = set(above)
        free = (w for w in ARGUMENTS if w not in taken)
        for name in scope.arguments:
            new = keywords.get(name) or (name if name == "self" else next(free, name))
            words.add(new)
            if new == name:
                continue
            for node in scope.places[name]:
                if isinstance(node, ast.arg):
                    end = node.col_offset + len(name.encode())
                    yield node.lineno, node.col_offset, end, new
                elif module.is_name(node):
                    yield from module.replaced(node, new)
                else:
                    yield module.in_line(node, name, new)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.keyword) and node.arg != keywords.get(node.arg, node.arg):
            end = node.col_offset + len(node.arg.encode())
            yield node.lineno, node.col_offset, end, keywords[node.arg]
