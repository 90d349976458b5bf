"""Take the rare methods out of their classes (see firmware/base/rare.py).

Before the modules are joined, each class that has methods marked `@rare` is divided. They become a
class of a module of its own, firmware.rare.r0 and so on, with what they need of their module; in
their place is a `__getattr__` that loads it. A function takes 24 bytes of RAM for good, of an
ESP32 three in four are called at the start, in a fault or for a command only.

The lines of a divided module stay where they are: what went elsewhere is empty.
"""

import ast
from collections.abc import Iterator

from tools.linker.module import FUNCTIONS, PACKAGE, Edit, Module, bound, is_ours, is_private
from tools.linker.texts import edited

_MARK = "rare"
_MARK_MODULE = f"{PACKAGE}.base.rare"
_LOADER = f"from {PACKAGE}.base.passing import rarely"
_CLASS = "module"  # of a module of rare methods: a word that every MicroPython has


def divided(sources: dict[str, str]) -> list[Module]:
    """The modules of the firmware, and those of its rare methods. Raises LinkError."""
    found: list[Module] = []
    arguments: dict[str, set[str]] = {}
    count = 0
    for path, text in sources.items():
        module = Module(path, text)
        classes = [node for node in module.tree.body if isinstance(node, ast.ClassDef)]
        marked = [(node, methods) for node in classes if (methods := _marked(module, node))]
        lines = list(module.lines)
        for node, methods in marked:
            for method in methods:
                own = arguments.setdefault(method.name, set())
                own |= {argument.arg for argument in method.args.args}
            symbol = (module.name, node.name)
            apart = _apart(module, node, methods)
            found.append(Module(f"{PACKAGE}/{_MARK}/r{count}.py", apart, path, symbol))
            for method in methods:
                start = method.decorator_list[0].lineno - 1
                lines[start : method.end_lineno] = [""] * (method.end_lineno - start)
            loader = f"def __getattr__(self, name): return rarely({count}, self, name)"
            first = methods[0].decorator_list[0]
            lines[first.lineno - 1] = " " * methods[0].col_offset + loader
            count += 1
        if marked:
            module = Module(path, _remaining(module, lines))
        if module.name != _MARK_MODULE:
            found.append(module)
    for module in found:
        _check_calls(module, arguments)
    return found


def _marked(module: Module, node: ast.ClassDef) -> list:
    """The methods of a class that are marked. Raises LinkError for what cannot be one."""
    found = []
    for part in node.body:
        if not isinstance(part, FUNCTIONS):
            continue
        marks = [ast.unparse(mark) for mark in part.decorator_list]
        if _MARK not in marks:
            continue
        if len(marks) > 1 or part.args.kwonlyargs or part.args.kwarg:
            raise module.fail(part, "a rare method has no other decorator and no keywords")
        if part.name.startswith("__"):
            raise module.fail(part, f"{part.name} is found by MicroPython itself: it is not rare")
        if any(isinstance(n, ast.Global) or _is_super(n) for n in ast.walk(part)):
            raise module.fail(part, "a rare method uses neither `global` nor `super`")
        found.append(part)
    if found and node.bases:
        raise module.fail(node, "a class that is derived has no rare methods")
    return found


def _is_super(node) -> bool:
    return isinstance(node, ast.Name) and node.id == "super"


def _check_calls(module: Module, arguments: dict[str, set[str]]) -> None:
    """Raise LinkError where a rare method is called with an argument by its name."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            known = arguments.get(node.func.attr, set())
            if known & {word.arg for word in node.keywords}:
                raise module.fail(node, f"{node.func.attr} is rare: give its arguments in order")


def _apart(module: Module, node: ast.ClassDef, methods: list) -> str:
    """The text of the module of a class's rare methods."""
    used = _used(methods)
    lines = [""] * len(module.lines)
    known = set()  # what needs no import from the class's own module
    for statement in reversed(module.tree.body):
        if isinstance(statement, ast.Assign) and module.is_constant(statement):
            own = statement.targets[0].id
            known.add(own)
            if own in used and is_private(own):
                used |= _used([statement.value])
                span = slice(statement.lineno - 1, statement.end_lineno)
                lines[span] = module.lines[span]
                used.discard(own)
    for statement in module.tree.body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            lines[statement.lineno - 1] = _imports(statement, used)
    outside = (ast.Import, ast.ImportFrom)
    own = sorted(used & bound([part for part in module.tree.body if not isinstance(part, outside)]))
    if own:
        lines[0] = f"from {module.name} import {', '.join(own)}"
    lines[node.lineno - 1] = f"class {_CLASS}:"
    edits = [edit for method in methods for edit in _direct(module, method, methods)]
    moved = edited(module, edits)
    for method in methods:
        span = slice(method.lineno - 1, method.end_lineno)
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
            line = node.func.end_lineno, node.func.end_col_offset
            yield line[0], line[1], line[1] + 1, "(self, " if node.args else "(self"


def _remaining(module: Module, lines: list[str]) -> str:
    """The text of a module without its rare methods, and without the imports for them."""
    tree = ast.parse("\n".join(lines))
    used = _used(tree.body)
    for statement in tree.body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            left = _imports(statement, used)
            if isinstance(statement, ast.ImportFrom) and statement.module == _MARK_MODULE:
                left = _LOADER
            elif isinstance(statement, ast.ImportFrom) and is_ours(statement.module):
                continue  # it stays in memory all the same
            first, end = statement.lineno - 1, statement.end_lineno
            lines[first:end] = [left] + [""] * (end - first - 1)
    return "\n".join(lines) + "\n"


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
