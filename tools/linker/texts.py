"""The texts of a unit: messages, and tables; and how edits are carried out."""

import ast
from collections.abc import Iterable, Iterator

from tools.linker.module import FUNCTIONS, Edit, LinkError, Module
from tools.linker.names import MESSAGES, ROM

_INTERNED = 10  # characters: shorter strings are kept as names are
_WORDS = 4  # characters of a text of several words, or with places for values
_KEY = 2  # characters of a key of the settings
_CELLS = 4  # of a row in a table that is a text, before its meaning


class Messages:
    """The messages of a unit as one text, of which functions take what they need.

    MicroPython makes an object of each string when a module is loaded, wherever its characters
    lie, and a name of each that is short. A message is a string of more than ten characters, one
    of several words, or one with places for values, in ASCII: of that a slice is what was cut out.
    So is, in functions and where an object is made, the key of a setting: it is needed once.
    """

    def __init__(self):
        self._text = ""
        self._every = False

    def definition(self) -> list[str]:
        """The statement that defines it, if there is anything in it."""
        return [f"{MESSAGES} = {self._text!r}"] if self._text else []

    def edits(self, module: Module, every: bool) -> Iterator[Edit]:
        """Replace a module's messages by slices; every: all texts, as of a unit that passes."""
        self._every = every
        for function in ast.walk(module.tree):
            if isinstance(function, FUNCTIONS):
                for statement in function.body:
                    yield from self._inside(module, statement)
                if function.name == "__init__" or function in module.tree.body:
                    yield from self._keys(module, function)

    def _keys(self, module, function):
        for node in ast.walk(function):
            if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
                key = node.slice.value
                if isinstance(key, str) and _is_key(key) and not self._is_one(key):
                    yield from self._cut(module, node.slice)

    def _inside(self, module, node):
        if isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.JoinedStr)):
            return
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return  # a docstring
        if not isinstance(node, ast.Constant):
            for child in ast.iter_child_nodes(node):
                yield from self._inside(module, child)
        elif isinstance(node.value, str) and self._is_one(node.value):
            yield from self._cut(module, node)

    def _is_one(self, text):
        return _is_message(text) or (self._every and _is_key(text))

    def _cut(self, module, node):
        start = self._text.find(node.value)
        if start < 0:
            start = len(self._text)
            self._text += node.value
        yield from module.replaced(node, f"{MESSAGES}[{start}:{start + len(node.value)}]")


def _is_message(text: str) -> bool:
    words = len(text) >= _WORDS and ("%" in text or " " in text)
    return text.isascii() and (words or len(text) > _INTERNED)


def _is_key(text: str) -> bool:
    return text.isascii() and len(text) >= _KEY and text not in ROM


def bare_classes(module: Module) -> Iterator[Edit]:
    """In the place of a class's docstring: without two entries that nobody asks for.

    The methods take their room.
    """
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef) and ast.get_docstring(node, clean=False):
            yield from module.replaced(node.body[0], "del __module__, __qualname__")


def bare_tables(module: Module) -> Iterator[Edit]:
    """Leave the bare cells of the module's tables that are texts, without blanks and meanings.

    A row goes on in the next line after a backslash, and only its meaning may. Its indentation
    stays: it tells the section of the row. Raises LinkError.
    """
    for node in module.tree.body:
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Constant):
            continue
        text = node.value.value
        if not isinstance(text, str) or text.partition("\n")[0].count("|") < _CELLS:
            continue
        in_meaning = False
        for number in range(node.value.lineno + 1, node.value.end_lineno or 0):
            line = module.lines[number - 1]
            goes_on = line.endswith("\\")
            bare = ""
            if line and not in_meaning:
                cells = [cell.strip() for cell in line.split("|", _CELLS)]
                if len(cells) <= _CELLS:
                    raise LinkError(
                        f"{module.path}, line {number}: a row has its cells in one line"
                    )
                indent = len(line) - len(line.lstrip())
                bare = " " * indent + "|".join([*cells[:_CELLS], ""])
            yield number, 0, len(line.encode()), bare + "\\" * goes_on
            in_meaning = goes_on


def edited(module: Module, edits: Iterable[Edit]) -> list[str]:
    """A module's lines after its edits. Raises LinkError where two are in one place."""
    lines = [line.encode() for line in module.lines]
    after: dict[int, int] = {}
    for number, first, end, text in sorted(set(edits), reverse=True):
        if end > after.get(number, end):
            raise LinkError(f"{module.path}, line {number}: two edits in one place")
        after[number] = first
        line = lines[number - 1]
        lines[number - 1] = line[:first] + text.encode() + line[end:]
    return [line.decode() for line in lines]
