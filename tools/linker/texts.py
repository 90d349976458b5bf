"""The texts of a unit: messages, the meanings in tables; and how edits are carried out."""

import ast
from collections.abc import Iterable, Iterator

from tools.linker.module import FUNCTIONS, Edit, LinkError, Module

_MESSAGES = "_0"  # the variable
_INTERNED = 10  # characters: shorter strings are kept as names are
_COLUMNS = (6, 7)  # of a row in a table


class Messages:
    """The messages of a unit as one text, of which functions take what they need.

    MicroPython makes an object of each string when a module is loaded, wherever its characters
    lie. A message is a string of more than one word, in ASCII: of that a slice is what was cut
    out.
    """

    def __init__(self):
        self._text = ""

    def definition(self) -> list[str]:
        """The statement that defines it, if there is anything in it."""
        return [f"{_MESSAGES} = {self._text!r}"] if self._text else []

    def edits(self, module: Module) -> Iterator[Edit]:
        """Replace a module's messages by slices."""
        gone = meanings(module)
        for function in ast.walk(module.tree):
            if isinstance(function, FUNCTIONS):
                for statement in function.body:
                    yield from self._inside(module, statement, gone)

    def _inside(self, module, node, gone):
        if isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.JoinedStr)) or node in gone:
            return
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return  # a docstring
        if not isinstance(node, ast.Constant):
            for child in ast.iter_child_nodes(node):
                yield from self._inside(module, child, gone)
        elif isinstance(node.value, str) and _is_message(node.value):
            start = self._text.find(node.value)
            if start < 0:
                start = len(self._text)
                self._text += node.value
            new = f"{_MESSAGES}[{start}:{start + len(node.value)}]"
            yield from module.replaced(node, new)


def _is_message(text: str) -> bool:
    return len(text) > _INTERNED and text.isascii() and " " in text.strip()


def meanings(module: Module) -> list[ast.Constant]:
    """The last column of the module's tables, which is for people."""
    return [
        row.elts[-1]
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Tuple)
        for row in node.elts
        if isinstance(row, ast.Tuple)
        and len(row.elts) in _COLUMNS
        and isinstance(row.elts[-1], ast.Constant)
        and isinstance(row.elts[-1].value, str)
    ]


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
