"""A configuration in the making: config.json, changed key by key, and nothing in force before it
is saved.

A key is named by its path, `wifi[0].ssid`. Whoever asks gets a ValueError with words for a person.
"""

import io
import json

from firmware import sensors
from firmware.base import files
from firmware.config import check, reader, schema
from firmware.config.trial import CONFIG, GOOD


class Draft:
    """given: what config.json says, as far as it can be read, and what was changed since.

    problem: why it could not be read; None where it could.
    """

    def __init__(self):
        self.given: dict = {}
        self.problem = None
        self.changed = False
        if not files.exists(CONFIG):
            self.problem = "There is no %s yet: this begins a new one." % CONFIG
            return
        try:
            self.given = reader.read(CONFIG)
        except ValueError as error:
            self.problem = "%s: %s" % (CONFIG, error)

    def put(self, path: str, value) -> list:
        """Give a key a value, or a section all of its keys. Returns the problems that the whole
        has elsewhere for it. Raises ValueError, with nothing changed, for a value that the key
        cannot have.
        """
        return self._change(path, lambda tree, last: _put(tree, last, path, value))

    def remove(self, path: str) -> list:
        """Let the key's default hold; or take an entry out of its list. Otherwise as put."""
        return self._change(path, lambda tree, last: _remove(tree, last, path))

    def problems(self) -> list:
        """What keeps it from being saved."""
        return check.check(self.given)[1]

    def save(self) -> None:
        """Make it config.json. A power cut leaves the old one, or this. Raises ValueError with the
        first problem, and OSError.
        """
        problems = self.problems()
        if problems:
            raise ValueError(problems[0])
        files.replace_json(CONFIG, self.given)
        self.changed = False
        self.problem = None

    def restore(self) -> None:
        """What ran well last, in place of all of it."""
        self.given = reader.read(GOOD)
        self.changed = True

    def rows(self, path: str = ""):
        """(path, value, mark) of every key at and below a path, in the schema's order.

        value: a text, with secrets hidden; None for the head of a section. mark: "*" for what
        differs from its default, "!" for what is missing, else "".
        """
        for row in _rows(io.StringIO(schema.TABLE), 0, "", self.given):
            if not path or is_within(row[0], path):
                yield row

    def _change(self, path, act):
        kept = json.dumps(self.given)
        parts = split(path)
        try:
            act(_parent(self.given, parts, path), parts[-1])
            problems = self.problems()
            for problem in problems:
                name = problem.partition(": ")[0]
                missing = ": missing; " in problem
                if is_within(name, path) and not missing:
                    raise ValueError(problem)
        except ValueError:
            self.given = json.loads(kept)
            raise
        self.changed = True
        return problems


def split(path: str) -> list:
    """["wifi", 0, "ssid"] of `wifi[0].ssid`."""
    parts: list = []
    for word in path.split("."):
        name, *places = word.split("[")
        parts.append(name)
        for place in places:
            if not (place.endswith("]") and place[:-1].isdigit()):
                raise ValueError("%s: expected a path such as wifi[0].ssid" % path)
            parts.append(int(place[:-1]))
    if not all(part != "" for part in parts):
        raise ValueError("%s: expected a path such as wifi[0].ssid" % path)
    return parts


def _parent(tree, parts, path):
    """What holds the last part; made where there is nothing yet."""
    for part, then in zip(parts, parts[1:]):
        tree = _member(tree, part, path, [] if type(then) is int else {})
    return tree


def _member(tree, part, path, empty):
    if type(part) is int:
        if type(tree) is not list:
            raise ValueError("%s: there is no list to have a place [%d]" % (path, part))
        if part > len(tree):
            here = len(tree)
            raise ValueError("%s: there are only %d; the next is [%d]" % (path, here, here))
        if part == len(tree):
            tree.append(empty)
    elif type(tree) is not dict:
        raise ValueError("%s: %s is no key of a list; name a place, such as [0]" % (path, part))
    elif tree.get(part) is None:
        tree[part] = empty
    return tree[part]


def _put(tree, last, path, value):
    _member(tree, last, path, value)
    tree[last] = value


def _remove(tree, last, path):
    try:
        del tree[last]
    except (LookupError, TypeError):
        raise ValueError("%s: is not set" % path)


def is_within(name: str, path: str) -> bool:
    """Whether a key's path is this one, or below it."""
    return name == path or name.startswith(path + ".") or name.startswith(path + "[")


def _rows(table, depth, prefix, given, more=""):
    """Of an object whose rows are the table's next ones, and those of a text."""
    if type(given) is not dict:
        given = {}
    for source, level in ((table, depth), (io.StringIO(more), 0)):
        for key, kind, _, default, _ in schema.rows(source, level):
            where = prefix + key
            value = given.get(key)
            if kind == "section" and (value is not None or default != "null"):
                yield where, None, "*" if default == "null" else ""
                yield from _rows(source, level + 1, where + ".", value)
            elif kind in ("sections", "sensors") and value and type(value) is list:
                yield where, None, "*"
                start = source.tell()
                for place, entry in enumerate(value):
                    source.seek(start)
                    yield "%s[%d]" % (where, place), None, "*"
                    keys = driver_keys(entry) if kind == "sensors" else ""
                    yield from _rows(source, level + 1, "%s[%d]." % (where, place), entry, keys)
            else:
                if default.startswith("required"):
                    default = "required" if schema.is_required(default, given) else "null"
                yield (where,) + _told(key in given, value, kind, default)


def _told(is_given, value, kind, default):
    """(value, mark) of one key."""
    if not is_given:
        if default.startswith("="):
            default = json.dumps(schema.value(default))
        return ("", "!") if default == "required" else (default, "")
    if kind.startswith("secret"):
        return "(hidden)" if value else '""', "*"
    text = json.dumps(value)
    return text, "" if default != "required" and value == schema.value(default) else "*"


def driver_keys(entry) -> str:
    """The table of the keys that the driver of a sensor's entry has; "" while it has none."""
    name = entry.get("driver") if type(entry) is dict else None
    return sensors.driver(name).KEYS if name in sensors.drivers() else ""
