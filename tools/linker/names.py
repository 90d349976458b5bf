"""The names that a unit's things get.

MicroPython keeps every name of a program in RAM, once, unless its own ROM has the same word. So:

- the private functions of a unit are `_a`, `_b` and so on, and so are the private methods of each
  module, which are found on its own objects only;
- variables, classes, private attributes and the arguments of functions are words that every
  MicroPython has in its ROM. Nobody sees those: a traceback names functions and exceptions alone;
- a constant begins with an underscore: then the compiler, which writes its value into the code,
  keeps no variable for it. Another unit that uses a number has a constant of its own.

What another unit uses of a unit, and the public names of a unit's root, stay as they are. So do
all public attributes: they may be those of MicroPython's own objects.
"""

import ast
import builtins
import itertools
import keyword
import string
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.linker.module import FUNCTIONS, Edit, Module, Symbol, is_private

_ROM = Path(__file__).with_name("rom.txt")


def _words(group: str) -> list[str]:
    """Words of rom.txt, in three groups that never meet in one place."""
    blocks = dict(block.split(":", 1) for block in _ROM.read_text().split("\n\n")[1:])
    return blocks[group].split()


ARGUMENTS = _words("arguments")
VALUES = _words("values")
ATTRIBUTES = _words("attributes")


@dataclass
class Names:
    """of: {unit: {symbol: its name there}}. public: the names of attributes and methods that are
    not private, of all modules. keywords: the names that calls give to arguments.
    """

    of: dict[str, dict[Symbol, str]]
    public: set[str]
    keywords: set[str]


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
    public = set[str]().union(*(_attributes(module)[2] for module in modules.values()))
    return Names(
        {unit: _of_unit(modules, unit, members, exports) for unit, members in cut.items()},
        public,
        {
            node.arg
            for module in modules.values()
            for node in ast.walk(module.tree)
            if isinstance(node, ast.keyword) and module.names_argument(node)
        },
    )


def _of_unit(modules, unit, members, exports) -> dict[Symbol, str]:
    chosen: dict[Symbol, str] = {}
    taken = {*keyword.kwlist, *dir(builtins), "const", *ARGUMENTS}
    for name in members:
        taken |= modules[name].locals | set(modules[name].foreign)
    letters = _letters(string.ascii_lowercase)
    words = iter(VALUES)
    for name in members:
        taken |= modules[name].fixed
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
        if own in module.fixed or (name == unit and not is_private(own)):
            chosen[symbol] = own
            taken.add(own)
            continue
        if symbol in exports:
            supply = _variants(own, name)
        elif own in module.constants or (is_private(own) and own not in module.values):
            supply = letters
        elif own in module.values | module.classes:
            supply = itertools.chain(words, letters)
        else:
            supply = _variants(own, name)
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


def short_attributes(module: Module, public: set[str]) -> Iterator[Edit]:
    """Private attributes and methods, which no other module may use. Raises LinkError.

    public: the names that objects may have beside them.
    """
    methods, attributes, _ = _attributes(module)
    letters = _letters(string.ascii_lowercase)
    words = iter(ATTRIBUTES)
    if _inherits(module):
        # An object has the private names of both modules: they must not be the same.
        letters = _letters(string.ascii_uppercase)
        words = iter(())
    short = {name: next(letters) for name in sorted(methods)}
    for name in sorted(attributes - methods):
        short[name] = next((word for word in words if word not in public), "") or next(letters)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if is_private(node.value):
                text = f'"{node.value}" looks like a private name, which is not found by it'
                raise module.fail(node, text)
        elif isinstance(node, ast.Attribute) and is_private(node.attr):
            if node.attr not in short:
                raise module.fail(node, f"{node.attr} is private to another module")
            end = node.end_col_offset
            yield node.end_lineno, end - len(node.attr.encode()), end, short[node.attr]
        elif isinstance(node, ast.ClassDef):
            for part in node.body:
                if isinstance(part, FUNCTIONS) and is_private(part.name):
                    yield module.in_line(part, part.name, short[part.name])


def _attributes(module) -> tuple[set[str], set[str], set[str]]:
    """Private methods, private attributes, and the public names of both."""
    methods, attributes, public = set(), set(), set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute):
            if not is_private(node.attr):
                public.add(node.attr)
            elif isinstance(node.ctx, ast.Store):
                attributes.add(node.attr)
        elif isinstance(node, ast.ClassDef):
            for part in node.body:
                names = {part.name} if isinstance(part, FUNCTIONS) else set()
                if isinstance(part, ast.Assign | ast.AnnAssign):
                    found = part.targets if isinstance(part, ast.Assign) else [part.target]
                    own = {name.id for name in found if isinstance(name, ast.Name)}
                    if any(is_private(name) for name in own):
                        raise module.fail(part, "make it a constant of the module")
                    public |= own
                methods |= {name for name in names if is_private(name)}
                public |= {name for name in names if not is_private(name)}
    return methods, attributes, public


def _inherits(module: Module) -> bool:
    """Whether a class of the module has a base from another module, which has names of its own."""
    return any(
        isinstance(node, ast.ClassDef)
        and any(
            (isinstance(base, ast.Name) and base.id in module.imported | module.foreign)
            or (isinstance(base, ast.Attribute) and isinstance(base.value, ast.Name))
            for base in node.bases
        )
        for node in ast.walk(module.tree)
    )


def short_arguments(module: Module, keywords: set[str]) -> Iterator[Edit]:
    """Arguments that no call names."""
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
        for argument in scope.arguments:
            name = argument.arg
            if name in keywords or name == "self" or len(name) == 1:
                continue
            new = next(free, None)
            if new is None:
                break
            words.add(new)
            for node in scope.places[name]:
                if isinstance(node, ast.arg):
                    end = node.col_offset + len(name.encode())
                    yield node.lineno, node.col_offset, end, new
                elif module.is_name(node):
                    yield from module.replaced(node, new)
                else:
                    yield module.in_line(node, name, new)
