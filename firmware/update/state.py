"""update.json: what is known of an update over a restart.

{"state": "downloading", "manifest": …}                     the command's value, verified
{"state": "trial", "version": …, "target": …, "tries": n}   the next start runs it, or this one
{"state": "ended", "version": …, "result": …}               to be told
"""

import json

from firmware.base import files

_FILE = "update.json"
_KEYS: dict = {
    "downloading": {"manifest": dict},
    "trial": {"version": str, "target": str, "tries": int},
    "ended": {"version": str, "result": str},
}


def read() -> "dict | None":
    """None where there is none, or none that makes sense."""
    try:
        with open(_FILE) as file:
            tree = json.load(file)
        keys = _KEYS[tree["state"]]
        if all(type(tree[key]) is keys[key] for key in keys):
            return tree
    except (OSError, ValueError, LookupError, TypeError):
        pass
    return None


def write(tree: dict) -> None:
    """Raises OSError."""
    files.replace_json(_FILE, tree)


def end(version: str, result: str) -> dict:
    """It has ended, and that is still to be told. Raises OSError."""
    tree = {"state": "ended", "version": version, "result": result}
    write(tree)
    return tree


def forget() -> None:
    files.remove(_FILE)
