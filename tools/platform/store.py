"""SQLite: the time series, the journal of every write, and the device's log.

`points` holds one value for a property and a millisecond: a later write of the same overwrites.
`writes` holds every accepted point as it came in, by which transport and with which kind of key.
`log` holds why points and publishes were refused. Values are kept as JSON text.

A method that writes has committed when it returns. The database is in WAL mode with
`synchronous=NORMAL`: what was committed survives the end of this process, however it ends.
"""

import json
import sqlite3
import time
from pathlib import Path

from tools import ToolError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS points (
    device TEXT, prop TEXT, t_ms INTEGER, value TEXT, PRIMARY KEY (device, prop, t_ms)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS writes (
    id INTEGER PRIMARY KEY, received_ms INTEGER, transport TEXT, key TEXT,
    device TEXT, prop TEXT, t_ms INTEGER, value TEXT
);
CREATE TABLE IF NOT EXISTS log (
    id INTEGER PRIMARY KEY, received_ms INTEGER, device TEXT, text TEXT
);
"""
_WRITES = ("received_ms", "transport", "key", "device", "prop", "t_ms", "value")
_ASKED = (
    "device, prop, t_ms, value FROM points",
    f"id, {', '.join(_WRITES)} FROM writes",
    "id, received_ms, device, text FROM log",
)
_LOCK_WAIT_S = 1.0  # someone else may be looking into the file with a tool of his own


class StoreError(ToolError):
    """The file cannot be used as the database."""


class Store:
    """One database file. All times are UTC milliseconds. Not for use by several threads."""

    def __init__(self, path: Path):
        """Raises StoreError."""
        try:
            self._db = sqlite3.connect(path, timeout=_LOCK_WAIT_S)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
            for query in _ASKED:
                self._db.execute(f"SELECT {query} LIMIT 0")
        except sqlite3.Error as error:
            raise StoreError(
                f"{path}: expected the database of a stand-in: {error}; move it away, and a new "
                "one is made, or name another --dir"
            ) from error

    def close(self) -> None:
        self._db.close()

    def write(self, device: str, transport: str, key: str, points: list[tuple]) -> None:
        """Commit `points`, each `(prop, t_ms, value)`, together. Raises sqlite3.Error."""
        now = now_ms()
        rows = [(device, prop, t_ms, json.dumps(value)) for prop, t_ms, value in points]
        with self._db:
            self._db.executemany("INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?)", rows)
            self._db.executemany(
                "INSERT INTO writes VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)",
                [(now, transport, key, *row) for row in rows],
            )

    def note(self, device: str, text: str) -> None:
        """Add a line to the device's log."""
        with self._db:
            self._db.execute("INSERT INTO log VALUES (NULL, ?, ?, ?)", (now_ms(), device, text))

    def points(self, device: str, prop: str | None = None) -> list[tuple[str, int, object]]:
        """The time series as `(prop, t_ms, value)`, sorted by time; of one property if given."""
        rows = self._db.execute(
            "SELECT prop, t_ms, value FROM points WHERE device = ? AND (? IS NULL OR prop = ?)"
            " ORDER BY t_ms, prop",
            (device, prop, prop),
        )
        return [(name, t_ms, json.loads(value)) for name, t_ms, value in rows]

    def count(self, device: str, prop: str | None = None) -> int:
        """How many points the time series has; of one property if given."""
        query = "SELECT count(*) FROM points WHERE device = ? AND (? IS NULL OR prop = ?)"
        return self._db.execute(query, (device, prop, prop)).fetchone()[0]

    def latest(self, device: str, prop: str) -> tuple[int, object] | None:
        """`(t_ms, value)` of the most recent point by its own time, or None."""
        query = "SELECT t_ms, value FROM points WHERE device = ? AND prop = ?"
        row = self._db.execute(query + " ORDER BY t_ms DESC LIMIT 1", (device, prop)).fetchone()
        return (row[0], json.loads(row[1])) if row else None

    def written(self) -> int:
        """How many rows the journal has had so far."""
        return self._db.execute("SELECT max(id) FROM writes").fetchone()[0] or 0

    def writes(self, after: int = 0) -> list[dict]:
        """The journal in the order of arrival, without its first `after` rows."""
        rows = self._db.execute(
            f"SELECT {', '.join(_WRITES)} FROM writes WHERE id > ? ORDER BY id", (after,)
        )
        entries = [dict(zip(_WRITES, row, strict=True)) for row in rows]
        for entry in entries:
            entry["value"] = json.loads(entry["value"])
        return entries

    def forget(self, rows: int) -> None:
        """Keep only the last `rows` of the journal, and of the log. Later rows count on."""
        with self._db:
            for table in ("writes", "log"):
                last = f"(SELECT max(id) FROM {table})"
                self._db.execute(f"DELETE FROM {table} WHERE id <= {last} - ?", (rows,))

    def log(self, device: str) -> list[tuple[int, str]]:
        """The device's log as `(received_ms, text)`, oldest first."""
        query = "SELECT received_ms, text FROM log WHERE device = ? ORDER BY id"
        return list(self._db.execute(query, (device,)))


def now_ms() -> int:
    """The platform's clock: UTC milliseconds since 1970."""
    return time.time_ns() // 1_000_000
