"""What costs RAM on a board and is of use to people only, left out of the bytecode.

Private names: MicroPython keeps every name of a program in RAM, once, in pools that double in
size. A third of the firmware's names begin with an underscore, and nobody outside of their module
uses them: so the first of each module can all be `_a`, the second ones `_b`, and so on. Only the
name of a private function in a traceback is a short one; files and lines are as they were.

Meanings: the last column of the tables of keys and commands, which goes into the README. Of the
tables that are texts, also the blanks that align their columns.
"""

import ast
import io
import itertools
import re
import string
import tokenize
from collections.abc import Iterator

_COLUMNS = 6  # of a row in a table of tuples
_CELLS = 4  # of a row in a table that is a text, before its meaning
_PRIVATE = re.compile(r"_[A-Za-z]\w*")
# Names with an underscore that MicroPython's own modules have.
_FOREIGN = {"_io_queue", "_thread", "_mpy"}


class ShortenError(Exception):
    """A private name is used in a way that does not let it be shortened; the text says where."""


def shorten(source: str) -> str:
    """The same module for a machine to read. Raises ShortenError, SyntaxError."""
    tree = ast.parse(source)
    letters = string.ascii_lowercase
    if _inherits(tree):
        # An object has the private names of both modules: they must not be the same.
        letters = string.ascii_uppercase
    _check(tree)
    names: dict[str, str] = {}
    supply = ("_" + "".join(few) for n in (1, 2) for few in itertools.product(letters, repeat=n))
    lines = source.splitlines(keepends=True)
    edits = [*_meanings(tree, lines), *_tables(tree, lines)]
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME and _is_private(token.string):
            if token.string not in names:
                names[token.string] = next(supply)
            edits.append((token.start, token.end, names[token.string]))
    for (row, start), (_, end), text in sorted(edits, reverse=True):
        line = lines[row - 1]
        lines[row - 1] = line[:start] + text + line[end:]
    return "".join(lines)


def _meanings(tree: ast.Module, lines: list[str]) -> Iterator[tuple]:
    """The edits that empty the last column of the module's tables of tuples, a line each."""
    rows = [
        row
        for node in ast.walk(tree)
        if isinstance(node, ast.Tuple)
        for row in node.elts
        if isinstance(row, ast.Tuple) and len(row.elts) == _COLUMNS
    ]
    for row in rows:
        last = row.elts[-1]
        if isinstance(last, ast.Constant) and isinstance(last.value, str):
            for number in range(last.lineno, last.end_lineno + 1):
                line = lines[number - 1].encode()
                start = last.col_offset if number == last.lineno else 0
                end = last.end_col_offset if number == last.end_lineno else len(line.rstrip())
                columns = [len(line[:at].decode()) for at in (start, end)]
                text = '""' if number == last.lineno else ""
                yield (number, columns[0]), (number, columns[1]), text


def _tables(tree: ast.Module, lines: list[str]) -> Iterator[tuple]:
    """The edits that leave the bare cells of the module's tables that are texts, a line each.

    A row goes on in the next line after a backslash, and only its meaning may. Its indentation
    stays: it tells the section of the row.
    """
    for node in tree.body:
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Constant):
            continue
        text = node.value.value
        if not isinstance(text, str) or text.partition("\n")[0].count("|") < _CELLS:
            continue
        in_meaning = False
        for number in range(node.value.lineno + 1, node.value.end_lineno or 0):
            line = lines[number - 1].rstrip("\n")
            goes_on = line.endswith("\\")
            cells = [cell.strip() for cell in line.split("|", _CELLS)]
            bare = ""
            if line and not in_meaning:
                if len(cells) <= _CELLS:
                    raise ShortenError(f"line {number}: a row has its cells in one line")
                indent = len(line) - len(line.lstrip())
                bare = " " * indent + "|".join([*cells[:_CELLS], ""])
            yield (number, 0), (number, len(line)), bare + "\\" * goes_on
            in_meaning = goes_on


def _is_private(name: str) -> bool:
    return bool(_PRIVATE.fullmatch(name)) and name not in _FOREIGN


def _inherits(tree: ast.Module) -> bool:
    """Whether a class of the module has a base from another module of the firmware."""
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("firmware")
        for alias in node.names
    }
    return any(
        isinstance(base, ast.Name) and base.id in imported
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for base in node.bases
    )


def _check(tree: ast.Module) -> None:
    """Private names must be the module's own, and must be there as names."""
    own = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            own.add(node.name)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            own.add(node.id if isinstance(node, ast.Name) else node.attr)
        elif isinstance(node, ast.arg):
            own.add(node.arg)
        elif isinstance(node, ast.alias) and _is_private(node.name):
            raise ShortenError(f"line {node.lineno}: {node.name} is private to its module")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _is_private(node.attr) and node.attr not in own:
            raise ShortenError(f"line {node.lineno}: {node.attr} is private to another module")
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and (_is_private(node.value))
        ):
            raise ShortenError(
                f'line {node.lineno}: "{node.value}" looks like a private name, which will not be '
                "found by it"
            )
