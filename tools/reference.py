"""The tables of keys, drivers, commands and properties in docs/, made from the firmware's own.

    python -m tools.reference --check
    python -m tools.reference --write

The text between `<!-- configuration:begin -->` and `<!-- configuration:end -->`, and the same for
`drivers`, `commands` and `properties`, is compared or replaced. The firmware's tables are
MicroPython's to import, so it is MicroPython that prints them, a JSON line a row, with what is
expected in the words of the firmware's own error messages.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from tools import ROOT, ToolError, declared, micropython

# Runs inside MicroPython.
_PRINT_ROWS = """
import json
from firmware import sensors
from firmware.base import kinds
from firmware.commands import table as commands
from firmware.config import schema
from firmware.setup import meanings

for driver in sensors.drivers():
    module = sensors.driver(driver)
    measures = ["%s, %s" % row[:2] if row[1] else row[0] for row in module.MEASURES]
    print(json.dumps({"table": "driver", "name": driver, "meaning": "; ".join(measures)}))
for name, kind, expected, default, meaning in meanings.every():
    table = "configuration"
    driver, _, key = name.partition(".")
    if driver in sensors.drivers():
        table = "driver " + driver
        name = "sensors[]." + key
    row = {"table": table, "name": name, "kind": kind, "expected": expected, "meaning": meaning}
    row["required"] = default.startswith("required") and default
    row["default"] = schema.value(default)
    print(json.dumps(row))
for name, kind, limits, unit, owner, lasts, meaning in commands.rows():
    row = {"table": "commands", "name": name, "kind": kind, "meaning": meaning}
    row["expected"] = kinds.expected(kind, limits, unit)
    print(json.dumps(row))
"""


def rows() -> list[dict]:
    """The rows of all tables, in the firmware's order."""
    done = subprocess.run(
        micropython.command("-c", _PRINT_ROWS),
        env=micropython.environment([ROOT]),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise ToolError(f"the firmware's tables cannot be printed:\n{done.stdout}{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def configuration(table: list[dict]) -> str:
    """The keys of config.json, apart from those of the drivers."""
    return _keys([row for row in table if row["table"] == "configuration"])


def drivers(table: list[dict]) -> str:
    """The keys of each driver."""
    parts = []
    for driver in [row for row in table if row["table"] == "driver"]:
        keys = [row for row in table if row["table"] == f"driver {driver['name']}"]
        more = f":\n\n{_keys(keys)}" if keys else " has no keys of its own.\n"
        parts.append(f"Driver `{driver['name']}` ({driver['meaning']}){more}")
    return "\n".join(parts)


def commands(table: list[dict]) -> str:
    """The properties that take commands."""
    lines = ["| property | expected | meaning |", "|---|---|---|"]
    for row in table:
        if row["table"] == "commands":
            lines.append(f"| `{row['name']}` | {_cell(row['expected'])} | {row['meaning']} |")
    return "\n".join(lines) + "\n"


def properties() -> str:
    """What has to be created on the platform."""
    lines = ["| property | type | access | publish | where |", "|---|---|---|---|---|"]
    sensor = {"name": "", "type": "number", "access": "protected", "publish": "never"}
    sensor["when"] = "each `sensors[].prop`"
    for row in [sensor, *declared.properties()]:
        kind = row["type"]
        if kind == "enum":
            kind += ": " + ", ".join(f"`{value}`" for value in row["values"])
        elif "min" in row:
            kind += f", {row['min']} to {row['max']}"
        name = f"`{row['name']}`" if row["name"] else "of a sensor"
        lines.append(f"| {name} | {kind} | {row['access']} | {row['publish']} | {row['when']} |")
    return "\n".join(lines) + "\n"


def _keys(table):
    lines = ["| key | expected | default | meaning |", "|---|---|---|---|"]
    for row in table:
        if row["required"]:
            default = row["required"]
        elif row["kind"] == "section":
            default = "none" if row["default"] is None else ""
        else:
            default = f"`{json.dumps(row['default'])}`"
        name = f"`{row['name']}`"
        if row["kind"] in ("section", "sections", "sensors"):
            name = f"**{name}**"
        lines.append(f"| {name} | {_cell(row['expected'])} | {default} | {row['meaning']} |")
    return "\n".join(lines) + "\n"


def _cell(text):
    """A table's cell: quoted choices as code, as everywhere in docs/."""
    words = [f"`{word}`" if word.startswith('"') else word for word in text.split(" ")]
    return " ".join(words).replace("|", "\\|")


def renewed(text: str, tables: dict[str, str]) -> str:
    """A page's text with the tables, by name, that have a place in it."""
    for name, content in tables.items():
        begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
        before, found_begin, rest = text.partition(begin)
        _, found_end, after = rest.partition(end)
        if found_begin and found_end:
            text = f"{before}{begin}\n{content}\n{end}{after}"
    return text


def main(arguments: list[str] | None = None, folder: Path = ROOT / "docs") -> int:
    """The exit status: 0, or 1 if --check finds a table out of date, or one has no place."""
    parser = argparse.ArgumentParser(prog="python -m tools.reference", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true", help="fail if a table is out of date")
    what.add_argument("--write", action="store_true", help="bring the tables up to date")
    chosen = parser.parse_args(arguments)
    table = rows()
    tables = {
        "configuration": configuration(table),
        "drivers": drivers(table),
        "commands": commands(table),
        "properties": properties(),
    }
    pages = {path: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.md"))}
    status = 0
    for name in tables:
        if not any(f"<!-- {name}:begin -->" in text for text in pages.values()):
            print(
                f"{folder}: no page has <!-- {name}:begin --> … <!-- {name}:end -->",
                file=sys.stderr,
            )
            status = 1
    for path, text in pages.items():
        new = renewed(text, tables)
        if new == text:
            continue
        if chosen.write:
            path.write_text(new, encoding="utf-8")
        else:
            print(
                f"{path}: its tables are not the firmware's; "
                "bring them up to date with: python -m tools.reference --write",
                file=sys.stderr,
            )
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
