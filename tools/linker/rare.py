"""Take what is rare out of its module (see firmware/base/rare.py).

Before the modules are joined, each that has functions or methods marked `@rare` is divided. They
become a module of their own, with what they need of theirs. The methods are those of a class in
it; in their place is a `__getattr__` that loads it. The calls of the functions load it, too.
A function takes 24 bytes of RAM for good and, loaded from a file, its code.

The lines of a divided module stay where they are: what went elsewhere is empty.
"""

import ast
from collections.abc import Iterator

from tools.linker.module import FUNCTIONS, PACKAGE, Edit, Module, bound, is_ours, is_private
from tools.linker.names import UNITS
from tools.linker.texts import edited

_MARK = "rare"
_MARK_MODULE = f"{PACKAGE}.base.rare"
_LOADERS = f"{PACKAGE}.base.passing"
_LOADER = f"from {_LOADERS} import born, rarely"
_CLASS = "module"  # of a module of rare methods: a word that every MicroPython has


def divided(sources: dict[str, str]) -> list[Module]:
    """The modules of the firmware, and those of what is rare. Raises LinkError."""
    parsed = [Module(path, text) for path, text in sources.items()]
    lasting = {module.name for module in parsed if _lasts(module)}
    words = iter(UNITS)
    found: list[Module] = []
    for module in parsed:
        functions, methods, owner = _parts(module)
        if functions or methods:
            word = next(words)
            new = Module(f"{PACKAGE}/{word}.py", _apart(module, functions, methods, owner))
            new.path, new.home, new.word = module.path, module.name, word
            found.append(new)
            lines = list(module.lines)
            for node in functions + methods:
                start = node.decorator_list[0].lineno - 1
                lines[start : node.end_lineno] = [""] * (node.end_lineno - start)
            if owner:
                new.stands_for = owner.name
                new.fixed.add(_CLASS)
                at = methods[0].decorator_list[0].lineno - 1
                for number, stub in enumerate(_stubs(methods, word)):
                    lines[at + number] = " " * methods[0].col_offset + stub
            module = Module(module.path, _remaining(module, lines, lasting))
            module.moved = {node.name: new.name for node in functions}
        if module.name != _MARK_MODULE:
            found.append(module)
    return found


def _parts(module: Module) -> tuple[list, list, ast.ClassDef | None]:
    """The functions that are rare, the methods, and the class that these are of."""
    functions = [node for node in module.tree.body if _is_marked(module, node)]
    found: list = []
    owner = None
    for node in module.tree.body:
        if isinstance(node, ast.ClassDef):
            methods = [part for part in node.body if _is_marked(module, part)]
            if methods and node.bases:
                raise module.fail(node, "a class that is derived has no rare methods")
            if methods and owner:
                raise module.fail(node, "one class of a module has rare methods")
            if methods:
                found, owner = methods, node
    return functions, found, owner


def _stubs(methods: list, word: str) -> list[str]:
    """What stands in a class in the place of its rare methods."""
    stubs = [f'def __getattr__(self, name): return rarely("{word}", self, name)']
    if any(method.name == "__init__" for method in methods):
        stubs.append("__init__ = born")
    return stubs


def whole(sources: dict[str, str]) -> list[Module]:
    """The modules of the firmware as they are, but for the marks."""
    found = []
    for path, text in sources.items():
        module = Module(path, text)
        lines = list(module.lines)
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ImportFrom) and node.module == _MARK_MODULE:
                lines[node.lineno - 1] = ""
            elif _is_marked(module, node):
                lines[node.decorator_list[0].lineno - 1] = ""
        if module.name != _MARK_MODULE:
            found.append(
                module if lines == module.lines else Module(path, "\n".join(lines) + "\n")
            )
    return found


def _lasts(module: Module) -> bool:
    """Whether a module that only something rare imports has to be in memory: for the objects of
    its classes, or for what is rare in it.
    """
    return any(
        isinstance(node, ast.ClassDef)
        or (isinstance(node, ast.ImportFrom) and node.module == _MARK_MODULE)
        for node in module.tree.body
    )


def _is_marked(module: Module, node) -> bool:
    """Whether it is a rare function or method. Raises LinkError for what cannot be one."""
    if not isinstance(node, FUNCTIONS):
        return False
    marks = [ast.unparse(mark) for mark in node.decorator_list]
    if _MARK not in marks:
        return False
    if len(marks) > 1:
        raise module.fail(node, "what is rare has no other decorator")
    if node.name.startswith("__") and node.name != "__init__":
        raise module.fail(node, f"{node.name} is found by MicroPython itself: it is not rare")
    if any(isinstance(n, ast.Global) or _is_super(n) for n in ast.walk(node)):
        raise module.fail(node, "what is rare uses neither `global` nor `super`")
    return True


def _is_super(node) -> bool:
    return isinstance(node, ast.Name) and node.id == "super"


def _apart(module: Module, functions: list, methods: list, owner: ast.ClassDef | None) -> str:
    """The text of a module of rare functions, and of the rare methods of a class."""
    rare = functions + methods
    used = _used(rare)
    lines = [""] * len(module.lines)
    for statement in reversed(module.tree.body):
        if isinstance(statement, ast.Assign) and module.is_constant(statement):
            own = statement.targets[0].id
            if own in used and is_private(own):
                used |= _used([statement.value])
                span = slice(statement.lineno - 1, statement.end_lineno)
                lines[span] = module.lines[span]
                used.discard(own)
    for statement in module.tree.body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            lines[statement.lineno - 1] = _imports(statement, used)
    outside = (ast.Import, ast.ImportFrom)
    own = bound([part for part in module.tree.body if not isinstance(part, outside)]) & used
    own -= {function.name for function in functions}
    edits: list[Edit] = []
    if owner:
        lines[owner.lineno - 1] = f"class {_CLASS}:"
        for method in methods:
            edits += _direct(module, method, methods)
            if method.name == "__init__":
                edits.append(module.in_line(method, "__init__", "born"))
    if own:
        lines[0] = f"from {module.name} import {', '.join(sorted(own))}"
    moved = edited(module, edits)
    for node in rare:
        span = slice(node.lineno - 1, node.end_lineno)
        lines[span] = moved[span]
    return "\n".join(lines) + "\n"


def _direct(module: Module, method, methods: list) -> Iterator[Edit]:
    """A rare method that calls another one of its class does not load it once more."""
    names = {other.name for other in methods}
    for node in ast.walk(method):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        owner = node.func.value
        if isinstance(owner, ast.Name) and owner.id == "self" and node.func.attr in names:
            yield from module.replaced(owner, _CLASS)
            line, column = node.func.end_lineno, node.func.end_col_offset
            given = node.args or node.keywords
            yield line, column, column + 1, "(self, " if given else "(self"


def _remaining(module: Module, lines: list[str], lasting: set[str]) -> str:
    """The text of a module without what is rare in it, and without the imports for that.

    lasting: modules that stay in memory all the same.
    """
    tree = ast.parse("\n".join(lines))
    used = _used(tree.body)
    for statement in tree.body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            left = _imports(statement, used)
            if isinstance(statement, ast.ImportFrom) and statement.module == _MARK_MODULE:
                left = _LOADER
            elif not left and _loads(statement) & lasting:
                continue
            first, end = statement.lineno - 1, statement.end_lineno
            lines[first:end] = [left] + [""] * (end - first - 1)
    return "\n".join(lines) + "\n"


def _loads(statement) -> set[str]:
    """The modules of the firmware that an import may load."""
    if not isinstance(statement, ast.ImportFrom) or not is_ours(statement.module):
        return set()
    return {statement.module, *(f"{statement.module}.{a.name}" for a in statement.names)}


def _imports(statement: ast.Import | ast.ImportFrom, used: set[str]) -> str:
    """An import of nothing but what is used; "" where that is nothing."""
    names = [a for a in statement.names if (a.asname or a.name.partition(".")[0]) in used]
    if not names:
        return ""
    return ast.unparse(type(statement)(**{**vars(statement), "names": names}))


def _used(nodes: list) -> set[str]:
    """The names in some code, but for those in annotations."""
    found = set()
    todo = list(nodes)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Name):
            found.add(node.id)
        for field, value in ast.iter_fields(node):
            if field not in ("annotation", "returns", "decorator_list"):
                parts = value if isinstance(value, list) else [value]
                todo += [part for part in parts if isinstance(part, ast.AST)]
    return found
