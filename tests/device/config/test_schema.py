"""The table of config.json, and the tables of the drivers: every row can be read."""

import io

from firmware.base import kinds
from firmware.config import schema
from firmware.sensors import driver, drivers

NESTED = ("section", "sections", "sensors")


def texts():
    return [schema.TABLE] + [driver(name).KEYS for name in drivers()]


def walk(table, depth=0):
    """Every row below a section, with its depth."""
    for row in schema.rows(table, depth):
        yield row, depth
        if row[1] in NESTED:
            yield from walk(table, depth + 1)


def test_no_line_is_left_out():
    for text in texts():
        lines = [line for line in text.split("\n") if line]
        rows = list(walk(io.StringIO(text)))
        assert len(rows) == len(lines)
        for line, ((key, _, _, _, _), depth) in zip(lines, rows):
            assert line.startswith("  " * depth + key + " "), line


def test_every_row_is_whole_and_its_default_fits():
    for text in texts():
        for (key, kind, limits, default, meaning), _ in walk(io.StringIO(text)):
            assert key and meaning.strip(), key
            limits, unit = kinds.limits(limits, schema.value)
            assert kinds.expected(kind, limits, unit), key
            if kind == "section":
                assert default in ("required", "null", "{}"), key
            elif default != "required" and not default.startswith("required unless "):
                assert kinds.fits(kind, limits, schema.value(default)), key


def test_a_section_has_rows_of_its_own_and_nothing_else_has():
    for text in texts():
        rows = list(walk(io.StringIO(text)))
        for i, ((key, kind, _, _, _), depth) in enumerate(rows):
            below = i + 1 < len(rows) and rows[i + 1][1] > depth
            assert below == (kind in NESTED), key


def test_no_key_stands_twice_in_a_section():
    def look(table, depth):
        keys = []
        for key, kind, _, _, _ in schema.rows(table, depth):
            assert key not in keys, key
            keys.append(key)
            if kind in NESTED:
                look(table, depth + 1)

    for text in texts():
        look(io.StringIO(text), 0)


def test_what_nobody_reads_is_left_out():
    sections = [row[0] for row in schema.rows(io.StringIO(schema.TABLE))]
    assert sections == [
        "device",
        "wifi",
        "network",
        "mqtt",
        "https",
        "tls",
        "time",
        "feed",
        "buffer",
        "sensors",
        "thermostat",
        "health",
        "config",
        "update",
    ]


def test_a_section_can_be_read_again():
    table = io.StringIO(schema.TABLE)
    for key, _, _, _, _ in schema.rows(table):
        if key == "tls":
            start = table.tell()
            for _ in range(3):
                table.seek(start)
                assert [row[0] for row in schema.rows(table, 1)] == ["ca", "verify"]
            break


def test_a_row_without_its_cells_is_an_error():
    try:
        list(schema.rows(io.StringIO("ca | text | 1 to 128 | null\n")))
    except ValueError:
        return
    raise AssertionError("it has no meaning")


def test_limits_and_values():
    for cell, limits in (
        ("", ((), "")),
        ("8", (8, "")),
        ("0 to 6", ((0, 6), "")),
        ("-40 to 60 °C", ((-40, 60), "°C")),
        ("0.1 to 3600 seconds", ((0.1, 3600), "seconds")),
        ('["high", "low"]', (["high", "low"], "")),
        ("=SETPOINT_C °C", ((5, 35), "°C")),
    ):
        assert kinds.limits(cell, schema.value) == limits, cell
    for cell, value in (("null", None), ("21.0", 21.0), ("[]", []), ('"a b"', "a b"), ("", ())):
        assert schema.value(cell) == value, cell
    assert "uptime" in schema.value("=REPORTED")


def test_the_keys_of_all_secrets_are_known():
    secrets = []
    for text in texts():
        secrets.extend([row[0] for row, _ in walk(io.StringIO(text)) if row[1] == "secret"])
    assert sorted(set(secrets)) == sorted(schema.secrets()) == ["key_secret", "password"]
