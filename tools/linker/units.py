"""Which modules become one unit."""

import itertools

from tools.linker.module import PACKAGE, LinkError

MAIN = "firmware.app"

Cut = dict[str, list[str]]  # root: its modules, each after those that it imports


def apart(modules: dict) -> Cut:
    """Every module a unit, in an order in which each comes after what it imports."""
    every = dict.fromkeys(name for name in modules if name != PACKAGE)
    return {name: [name] for name in _ordered(every, _needs(modules))}


def cut(modules: dict) -> Cut:
    """As few units as can be. Raises LinkError where modules import each other."""
    needs = _needs(modules)
    packages = _packages(modules)
    if MAIN not in modules:
        raise LinkError(f"there is no {MAIN}")
    units: dict[str, dict[str, None]] = {}
    roots = {MAIN}
    while roots:
        placed = {PACKAGE, *itertools.chain(*units.values())}
        while True:
            new = {root: _reached(root, needs, placed | roots - {root}) for root in roots}
            reached = list(itertools.chain(*new.values()))
            shared = {name for name in reached if reached.count(name) > 1}
            if not shared:
                break
            roots |= shared  # what several need is a unit of its own
        units |= new
        placed |= set(reached)
        lazy = [modules[name].lazy for name in placed - {PACKAGE}]
        roots = set(itertools.chain(*lazy)) - placed
        # What no import names is found by its name.
        roots = roots or set(modules) - placed - packages
    return {root: _ordered(units[root], needs) for root in sorted(units)}


def flat_names(modules: dict, cut: Cut) -> dict[str, str]:
    """Each unit's name: that of its root, in the package itself unless it is found by its name."""
    imported = {target for m in modules.values() for target in (*m.lazy, *m.eager)}
    last = [root.rpartition(".")[2] for root in cut]
    return {
        root: f"{PACKAGE}.{name}" if root in imported and last.count(name) == 1 else root
        for root, name in zip(cut, last, strict=True)
    }


def _packages(modules) -> set[str]:
    return {name for name, module in modules.items() if module.path.endswith("/__init__.py")}


def _needs(modules):
    packages = _packages(modules)

    def needs(name):
        """What is imported with a module: its packages, but for the outermost; what it names."""
        parts = name.split(".")
        above = [".".join(parts[:n]) for n in range(2, len(parts))]
        return [p for p in above if p in packages and modules[p].defined] + [*modules[name].eager]

    return needs


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
