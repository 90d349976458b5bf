"""One source file of the firmware, and what each of its names means."""

import ast
import re
from collections.abc import Iterator

from tools import ToolError

PACKAGE = "firmware"
MAIN = f"{PACKAGE}.app"

_PRIVATE = re.compile(r"_[A-Za-z]\w*")
# Names with an underscore that belong to MicroPython's own modules.
_FOREIGN = {"_io_queue", "_task_queue", "_thread", "_mpy"}

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)

Edit = tuple[int, int, int, str]  # line, first and last column in bytes, what comes there
Symbol = tuple[str, str]  # a module and its name for something


class LinkError(ToolError):
    """A module is written in a way that does not let it be joined; the text says where."""


class Scope:
    """A function, lambda or comprehension: its names, and where they stand.

    arguments: those that may get another name. others: names that it uses and that are not its
    own.
    """

    def __init__(self, names: set[str], arguments: list[str]):
        self.parent: Scope | None = None
        self.names = names
        self.arguments = arguments
        self.places: dict[str, list[ast.AST]] = {}
        self.others: set[str] = set()


class Module:
    """One source file, its names resolved by `resolve`.

    eager, lazy: the modules that it imports at its outermost level, and elsewhere. perhaps: of the
    latter, those that it may import while it is loaded itself, under a condition. home: whose
    private names it may use. word, stands_for: of a module of what is rare (see rare.py), what it
    is found by, and the class of whose methods it is; `path` is then the file where they stand.
    moved: rare functions that stood in it, and the modules where they are.
    """

    def __init__(self, path: str, text: str):
        self.path = path
        self.name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        self.home = self.name
        self.word = ""
        self.stands_for = ""
        self.moved: dict[str, str] = {}
        self.lines = text.splitlines()
        try:
            self.tree = ast.parse(text)
        except SyntaxError as error:
            raise LinkError(f'File "{path}", line {error.lineno}: {error.msg}') from error
        self.eager: dict[str, None] = {}
        self.lazy: dict[str, None] = {}
        self.perhaps: dict[str, None] = {}
        self.defined = bound(self.tree.body)  # names of its own
        # Of those, what the compiler writes into the code; its number, if it is one.
        self.constants: dict[str, int | None] = {}
        self.literals: list[ast.expr] = []  # values of constants that lack a const()
        self.values: set[str] = set()  # of those, what is neither a function nor a class
        self.classes: set[str] = set()  # of those, classes
        self.exceptions: set[str] = set()  # of those, exceptions
        self.fixed: set[str] = set()  # of those, what an import binds that may not happen
        self.modules: dict[str, str] = {}  # name here: the module that it stands for
        self.imported: dict[str, Symbol] = {}  # name here: what it is of another module
        self.foreign: dict[str, str] = {}  # name here: the statement that imports it
        self.statements: list[ast.stmt] = []  # imports at the outermost level
        self.inner: list[ast.ImportFrom] = []  # imports of the firmware elsewhere
        self.references: list[tuple[ast.AST, Symbol]] = []  # to names of the outermost level
        self.scopes: list[Scope] = []
        self.locals: set[str] = set()  # the names of all scopes
        given = [n.kwarg for n in ast.walk(self.tree) if isinstance(n, ast.arguments)]
        self.passed_on = {argument.arg for argument in given if argument}  # as **named

    def fail(self, node, text: str) -> LinkError:
        return LinkError(f"{self.path}, line {node.lineno}: {text}")

    def is_constant(self, node: ast.Assign) -> bool:
        """Whether the compiler writes its value into the code."""
        return _is_constant(node.value) or self._is_literal(node)

    def _is_literal(self, node: ast.Assign) -> bool:
        """Whether it gives a name, for good, a value that the compiler can write into the code."""
        value = node.value
        if not isinstance(value, ast.Constant) or type(value.value) not in (int, str, bytes):
            return False
        own = bound([node])
        again = [name for n in self.tree.body if n is not node for name in bound([n]) & own]
        elsewhere = [
            name
            for n in ast.walk(self.tree)
            if isinstance(n, ast.Global)
            for name in n.names
            if name in own
        ]
        return len(own) == 1 and value.lineno == value.end_lineno and not again + elsewhere

    def resolve(self, modules: dict[str, "Module"]) -> None:
        """Find out what every name is."""
        self.imported.update({name: (there, name) for name, there in self.moved.items()})
        for node in self.tree.body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                self._outer_import(node, modules)
            elif isinstance(node, ast.Assign) and _is_constant(node.value):
                number = _number(node.value.args[0], self.constants)
                self.constants.update(dict.fromkeys(bound([node]), number))
            elif isinstance(node, ast.Assign) and self._is_literal(node):
                number = _number(node.value, {})
                self.constants.update(dict.fromkeys(bound([node]), number))
                self.literals.append(node.value)
            elif isinstance(node, ast.If | ast.Try):
                inner = [n for n in ast.walk(node) if isinstance(n, ast.Import | ast.ImportFrom)]
                self.fixed |= bound(inner)
                for n in inner:
                    if isinstance(n, ast.ImportFrom) and is_ours(n.module):
                        targets = [target for target, _ in self.targets(n, modules)]
                        self.perhaps.update(dict.fromkeys(targets))
        definitions = [n.name for n in self.tree.body if isinstance(n, (*FUNCTIONS, ast.ClassDef))]
        self.values = self.defined - set(definitions)
        classes = [node for node in self.tree.body if isinstance(node, ast.ClassDef)]
        self.classes = {node.name for node in classes}
        self.exceptions = {
            node.name
            for node in classes
            if any(ast.unparse(base).endswith(("Error", "Exception")) for base in node.bases)
        }
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import) and any(is_ours(a.name) for a in node.names):
                raise self.fail(node, "write `from firmware… import …`")
            if not isinstance(node, ast.ImportFrom) or not is_ours(node.module):
                continue
            if node not in self.statements:
                self.inner.append(node)
                self.lazy.update(
                    dict.fromkeys(target for target, _ in self.targets(node, modules))
                )
        for node, name in _Names(self).found:
            if name in self.imported:
                self.references.append((node, self.imported[name]))
            elif name in self.modules:
                if not isinstance(node, ast.Attribute):
                    raise self.fail(node, f"the module {name} is used as a value")
                symbol = (self.modules[name], node.attr)
                moved = modules[symbol[0]].moved
                if node.attr in moved:
                    symbol = (moved[node.attr], node.attr)
                elif node.attr not in modules[symbol[0]].defined:
                    raise self.fail(node, f"{symbol[0]} has no {node.attr}")
                self.references.append((node, symbol))
            elif name in self.defined:
                self.references.append((node, (self.name, name)))

    def targets(self, node: ast.ImportFrom, modules) -> Iterator[tuple[str, ast.alias]]:
        """The module that each part of an import of the firmware loads."""
        for alias in node.names:
            target = f"{node.module}.{alias.name}"
            if target not in modules:
                target = node.module or ""
            if target not in modules:
                raise self.fail(node, f"there is no {node.module}")
            if node in self.inner and alias.name in modules[target].moved:
                raise self.fail(node, f"{alias.name} is rare: import it at the outermost level")
            yield target, alias

    def replaced(self, node, new: str) -> Iterator[Edit]:
        """Edits that put something of one line in the place of what may have several."""
        for number in range(node.lineno, node.end_lineno + 1):
            line = self.lines[number - 1].encode()
            first = node.col_offset if number == node.lineno else 0
            end = node.end_col_offset if number == node.end_lineno else len(line.rstrip())
            yield number, first, end, new if number == node.lineno else ""

    def in_line(self, node, name: str, new: str) -> Edit:
        """An edit of a name in the first line of a definition, or in a `global`."""
        line = self.lines[node.lineno - 1].encode()
        found = re.compile(rb"\b%s\b" % name.encode()).search(line, node.col_offset)
        if not found:
            raise self.fail(node, f"{name} is not where it was expected")
        return node.lineno, found.start(), found.end(), new

    def names_argument(self, node: ast.keyword) -> bool:
        """False for `**` that passes on what was given. Raises LinkError for another, whose names
        nobody can know.
        """
        if node.arg is None:
            if ast.unparse(node.value) in self.passed_on:
                return False
            raise self.fail(node, "write the arguments by name instead of **")
        return True

    @staticmethod
    def is_name(node) -> bool:
        """Whether a reference is the name itself, and not a statement with it."""
        return isinstance(node, ast.Name | ast.Attribute)

    def _outer_import(self, node, modules):
        self.statements.append(node)
        for alias in node.names:
            here = alias.asname or alias.name.partition(".")[0]
            self.defined.discard(here)
            if not (isinstance(node, ast.ImportFrom) and is_ours(node.module)):
                self.foreign[here] = ast.unparse(type(node)(**{**vars(node), "names": [alias]}))
        if isinstance(node, ast.Import) or not is_ours(node.module):
            return
        for target, alias in self.targets(node, modules):
            here = alias.asname or alias.name
            self.eager[target] = None
            moved = modules[target].moved
            if target == node.module and alias.name in moved:
                self.imported[here] = (moved[alias.name], alias.name)
                continue
            if target != node.module:
                self.modules[here] = target
            elif is_private(alias.name) and target != self.home:
                raise self.fail(node, f"{alias.name} is private to its module")
            elif alias.name in modules[target].defined:
                self.imported[here] = (target, alias.name)
            else:
                raise self.fail(node, f"{target} has no {alias.name}")


class _Names(ast.NodeVisitor):
    """Finds a module's references to names of its outermost level, and its scopes."""

    def __init__(self, module: Module):
        self.found: list[tuple[ast.AST, str]] = []
        self._module = module
        self._scopes: list[Scope] = []
        self.visit(module.tree)

    def visit_Name(self, node):
        self._refer(node, node.id)

    def visit_Attribute(self, node):
        base = node.value
        if isinstance(base, ast.Name) and base.id in self._module.modules:
            self._refer(node, base.id)
        else:
            self.visit(base)

    def visit_Global(self, node):
        self.found.extend((node, name) for name in node.names)

    def visit_ExceptHandler(self, node):
        if node.name:
            self._refer(node, node.name)
        self.generic_visit(node)

    def visit_FunctionDef(self, node):
        self._refer(node, node.name)
        self._function(node)

    def visit_AsyncFunctionDef(self, node):
        self.visit_FunctionDef(node)

    def visit_Lambda(self, node):
        self._visit_all(node.args.defaults)
        scope = Scope(_arguments(node.args), _plain(node.args))
        self._enter(scope, [*_every(node.args), node.body])

    def visit_ClassDef(self, node):
        self._refer(node, node.name)
        self._visit_all(node.bases + node.decorator_list)
        # Names of the class are for its body alone; its methods do not see them.
        own = Scope(bound(node.body), [])
        for part in node.body:
            if isinstance(part, FUNCTIONS):
                self._function(part)
            else:
                self._scopes.append(own)
                self.visit(part)
                self._scopes.pop()

    def visit_ListComp(self, node):
        targets = [g.target for g in node.generators]
        names = {n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)}
        self._enter(Scope(names, []), list(ast.iter_child_nodes(node)))

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp  # noqa: N815

    def visit_arg(self, node):
        scope = self._scopes[-1]
        scope.places.setdefault(node.arg, []).append(node)

    def _function(self, node):
        arguments = node.args
        given = [d for d in arguments.kw_defaults if d]
        self._visit_all(node.decorator_list + arguments.defaults + given)
        scope = Scope(_arguments(arguments) | bound(node.body), _plain(arguments))
        self._enter(scope, [*_every(arguments), *node.body])

    def _enter(self, scope, body):
        scope.parent = self._scopes[-1] if self._scopes else None
        self._module.scopes.append(scope)
        self._module.locals |= scope.names
        self._scopes.append(scope)
        self._visit_all(body)
        self._scopes.pop()

    def _visit_all(self, nodes):
        for node in nodes:
            self.visit(node)

    def _refer(self, node, name):
        for scope in reversed(self._scopes):
            if name in scope.names:
                scope.places.setdefault(name, []).append(node)
                return
            scope.others.add(name)
        self.found.append((node, name))


def is_ours(name: str | None) -> bool:
    """Whether a module's name is one of the firmware's."""
    return name is not None and (name + ".").startswith(PACKAGE + ".")


def bound(body: list) -> set[str]:
    """The names that statements bind in the scope that they stand in."""
    found: set[str] = set()
    elsewhere: set[str] = set()
    todo = list(body)
    while todo:
        node = todo.pop()
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            found.add(node.name)
            continue
        if isinstance(node, (ast.Lambda, *_COMPREHENSIONS)):
            continue
        if isinstance(node, ast.Global | ast.Nonlocal):
            elsewhere.update(node.names)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.update(a.asname or a.name.partition(".")[0] for a in node.names)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            found.add(node.name)
        todo.extend(ast.iter_child_nodes(node))
    return found - elsewhere


def _is_constant(value) -> bool:
    return (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Name)
        and value.func.id == "const"
    )


def _number(node, constants) -> int | None:
    """What a constant expression is worth, where it is made of numbers and of constants."""
    try:
        found = eval(ast.unparse(node), {"__builtins__": {}}, constants)
    except (NameError, TypeError):
        return None
    return found if type(found) is int else None


def _every(arguments: ast.arguments) -> list[ast.arg]:
    found = arguments.posonlyargs + arguments.args + arguments.kwonlyargs
    return found + [a for a in (arguments.vararg, arguments.kwarg) if a]


def _plain(arguments: ast.arguments) -> list[str]:
    found = arguments.posonlyargs + arguments.args + arguments.kwonlyargs
    return [argument.arg for argument in found]


def _arguments(arguments: ast.arguments) -> set[str]:
    return {a.arg for a in _every(arguments)}


def is_private(name: str) -> bool:
    return bool(_PRIVATE.fullmatch(name)) and name not in _FOREIGN
