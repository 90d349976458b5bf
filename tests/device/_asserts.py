"""Lets a failing assert say what it compared: MicroPython's own says only that it failed.

`assert a == b` becomes `assert (x := (a)) == (y := (b)), "%r == %r" % (x, y)`, in place, so that
every line keeps its number and everything is evaluated once, as before. Asserts that have a
message, or that are not one comparison, stay as they are.
"""

import ast

_SIGNS = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.In: "in",
    ast.NotIn: "not in",
}


# A place in the source, what comes first at one place, and the text to put there.
_Insertion = tuple[int, int, int, str]


def explain(source: str) -> str:
    """`source` with its plain comparing asserts rewritten. Raises SyntaxError."""
    lines = source.encode().splitlines(keepends=True)  # ast counts columns in bytes
    insertions: list[_Insertion] = []
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Assert) and node.msg is None):
            continue
        test = node.test
        if not (isinstance(test, ast.Compare) and len(test.ops) == 1):
            continue
        for name, side in (("_assert_a", test.left), ("_assert_b", test.comparators[0])):
            insertions.append((side.lineno, side.col_offset, 0, f"({name} := ("))
            insertions.append((*_end(side), 0, "))"))
        message = f', "%r {_SIGNS[type(test.ops[0])]} %r" % (_assert_a, _assert_b)'
        insertions.append((*_end(node), 1, message))
    # From the end backwards, so that no insertion moves the place of another.
    for line, column, _, text in sorted(insertions, reverse=True):
        row = lines[line - 1]
        lines[line - 1] = row[:column] + text.encode() + row[column:]
    return b"".join(lines).decode()


def _end(node: ast.expr | ast.stmt) -> tuple[int, int]:
    if node.end_lineno is None or node.end_col_offset is None:
        raise ValueError("a node without an end: not from ast.parse")
    return node.end_lineno, node.end_col_offset
