"""Which modules become one unit."""

import ast
import itertools

from tools.linker.module import FUNCTIONS, MAIN, PACKAGE, LinkError
from tools.linker.names import UNITS

_PASSING = ("firmware.base.passing", "passing")

Cut = dict[str, list[str]]  # root: its modules, each after those that it imports


def apart(modules: dict) -> Cut:
    """Every module a unit, in an order in which each comes after what it imports."""
    every = dict.fromkeys(name for name in modules if name != PACKAGE)
    return {name: [name] for name in _ordered(every, _needs(modules))}


def cut(modules: dict) -> Cut:
    """As few units as can be. Raises LinkError where modules import each other."""
    needs = _needs(modules)
    if MAIN not in modules:
        raise LinkError(f"there is no {MAIN}")
    main = _reached(MAIN, needs, {PACKAGE})
    lazy = {target for module in modules.values() for target in module.lazy}
    # What no import names is found by its name.
    named = lazy.union(*(module.eager for module in modules.values()))
    roots = (lazy | set(modules) - named - _packages(modules)) - set(main) - {PACKAGE}
    while True:
        elsewhere = {PACKAGE, *main} | roots
        units = {root: _reached(root, needs, elsewhere - {root}) for root in roots}
        every = list(itertools.chain(*units.values()))
        beside = _loaded_with(modules, units, needs)
        alone = set()
        for name in {name for name in every if every.count(name) > 1}:
            users = [root for root in sorted(roots) if name in units[root]]
            # What several need is in one that is loaded with them all, or a unit of its own.
            for first in users:
                if all(first in beside[root] for root in users):
                    for root in set(users) - {first}:
                        del units[root][name]
                    break
            else:
                alone.add(name)
        if not alone:
            break
        roots |= alone
    units[MAIN] = main
    before = _before(modules, needs)
    return {root: _ordered(units[root], before) for root in sorted(units)}


def _loaded_with(modules, units, needs) -> dict[str, set[str]]:
    """{root: those that are loaded whenever it is, itself among them}."""
    found = {root: set(units) for root in units}
    importers = {
        root: [
            unit
            for unit in units
            for name in units[unit]
            # What is rare in a module is loaded by it.
            if root in modules[name].lazy or (modules[root].word and modules[root].home == name)
        ]
        for root in units
    }
    from_elsewhere = {
        target
        for name, module in modules.items()
        for target in module.lazy
        if not any(name in members for members in units.values())
    }
    changed = True
    while changed:
        changed = False
        for root in units:
            sure = {root} | set(_reached(root, needs, {PACKAGE})) & set(units)
            if importers[root] and root not in from_elsewhere:
                sure |= set.intersection(*(found[unit] for unit in importers[root]))
            changed = changed or sure != found[root]
            found[root] = sure
    return found


def passing(modules: dict) -> set[str]:
    """The roots that are loaded for a moment: those that a function imports which is given to
    `passing` of firmware/base/passing.py.
    """
    found: set[str] = set()
    for module in modules.values():
        given = {
            node.args[0].id
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and module.imported.get(node.func.id) == _PASSING
            and isinstance(node.args[0], ast.Name)
        }
        for function in module.tree.body:
            if isinstance(function, FUNCTIONS) and function.name in given:
                for node in ast.walk(function):
                    if node in module.inner:
                        found |= {target for target, _ in module.targets(node, modules)}
    return found


def flat_names(modules: dict, cut: Cut) -> dict[str, str]:
    """Each unit's name: that of its root, in the package itself unless it is found by its name."""
    imported = _imported(modules)
    last = [root.rpartition(".")[2] for root in cut]
    return {
        root: f"{PACKAGE}.{name}" if root in imported and last.count(name) == 1 else root
        for root, name in zip(cut, last, strict=True)
    }


def short_names(modules: dict, cut: Cut) -> dict[str, str]:
    """Each unit's name: a word outside of the package unless it is found by its name.

    MicroPython puts a module's dotted name together in RAM, and keeps it for good; and so it does
    with the path of its file.
    """
    imported = _imported(modules) - {MAIN}
    words = iter(
        sorted(set(UNITS) - {module.word for module in modules.values()}, key=UNITS.index)
    )
    return {
        root: modules[root].word or (next(words) if root in imported else root) for root in cut
    }


def _imported(modules):
    return {target for m in modules.values() for target in (*m.lazy, *m.eager)}


def _packages(modules) -> set[str]:
    return {
        name
        for name, module in modules.items()
        if module.path.endswith("/__init__.py") and not module.word
    }


def _needs(modules):
    packages = _packages(modules)

    def needs(name):
        """What is imported with a module: its packages, but for the outermost; what it names."""
        parts = name.split(".")
        above = [".".join(parts[:n]) for n in range(2, len(parts))]
        return [p for p in above if p in packages and modules[p].defined] + [*modules[name].eager]

    return needs


def _before(modules, needs):
    """As `needs`, with what another unit asks of this one that is loaded in the middle of it."""

    def before(name):
        inside = [p for target in modules[name].perhaps for p in _reached(target, needs, {name})]
        return needs(name) + inside

    return before


def _reached(root, needs, elsewhere) -> dict[str, None]:
    found: dict[str, None] = {}
    todo = [root]
    while todo:
        name = todo.pop()
        if name not in found and name not in elsewhere:
            found[name] = None
            todo += needs(name)
    return found


def _ordered(members, needs) -> list[str]:
    order: list[str] = []
    under_way: list[str] = []

    def put(name):
        if name in order or name not in members:
            return
        if name in under_way:
            circle = under_way[under_way.index(name) :]
            raise LinkError("these import each other: " + ", ".join(circle))
        under_way.append(name)
        for target in needs(name):
            put(target)
        under_way.pop()
        order.append(name)

    for name in members:
        put(name)
    return order
