"""A part of a configuration, merged into the one in force; and that, once checked, put on trial.

The part is a JSON merge patch (RFC 7396): objects merge, null removes a key, so that its default
holds, and everything else replaces what was there, lists as a whole.
"""

import io
import json
import os

from micropython import const

from firmware.base import files
from firmware.config import reader, schema
from firmware.config.trial import CONFIG, GOOD, IDENTITY, NEW, OLD, WAYS

_SHARED = ("device", "wifi", "network", "tls", "time")  # what every way to the platform depends on
_HIDDEN = "(hidden)"  # stands for a secret in what is shown
_DEEPEST = const(6)  # objects and lists within each other
_LONGEST = const(1000)  # bytes of what is shown
_LONGEST_KEY = const(40)  # characters of an unknown key that are repeated
_SHORTEST = const(4)  # characters of a secret


def draft(path: str, part: dict) -> bool:
    """Write the configuration of a file, changed by a part, as NEW; whether it is another then.

    Raises ValueError, with words, where the file cannot be read.
    """
    try:
        given = reader.read(path)
    except ValueError as error:
        raise ValueError("%s: %s" % (path, error))
    changes = merge(given, part)
    with open(NEW, "wb") as file:
        json.dump(given, file)
    return changes


def put_on_trial(trial, path: str, part: dict, worked: list) -> None:
    """NEW, which was made of a file and a part, is on trial from the next start on."""
    # The power may go at any moment: the old one is safe before the new one counts.
    files.copy(path, OLD)
    trial.begin(files.crc32(NEW), part, _needs(part, worked))
    os.rename(NEW, CONFIG)


def _needs(part, worked):
    """The ways to the platform that have to work before the configuration is kept: those whose
    address the part gives, and those that worked, if it changes anything that they depend on.
    """
    needs = []
    for way in WAYS:
        touched = way in part or any(key in part for key in _SHARED)
        addressed = way in part and (part[way] is None or "url" in part[way])
        if addressed or (touched and way in worked):
            needs.append(way)
    return needs


def merge(target: dict, patch: dict) -> bool:
    """Merge `patch` into `target`; whether that changed anything."""
    changes = False
    for key, value in patch.items():
        if value is None:
            if key in target:
                del target[key]
                changes = True
        elif type(value) is dict:
            if type(target.get(key)) is not dict:
                target[key] = {}
                changes = True
            changes = merge(target[key], value) or changes
        elif key not in target or target[key] != value or type(target[key]) is not type(value):
            target[key] = value
            changes = True
    return changes


def shown(part: dict) -> dict:
    """A copy of a part in which every secret is hidden; its sections alone where it is long.

    Raises ValueError, with words, for a part of something else: one that removes what there is
    not, or that is such a copy.
    """
    known = [row[0] for row in schema.rows(io.StringIO(schema.TABLE))]
    for key in part:
        if key not in known:
            text = "%s: unknown key; expected one of %s"
            raise ValueError(text % (key[:_LONGEST_KEY], ", ".join(known)))
    copy = _redacted(part, schema.secrets(), _DEEPEST)
    return copy if _size(copy) <= _LONGEST else dict.fromkeys(copy, "(long)")


def censored(text: str) -> str:
    """A text without the secrets of the configurations on flash."""
    secrets = schema.secrets()
    for path in (CONFIG, GOOD, OLD, IDENTITY):
        parts: list = []
        try:
            parts.append(reader.read(path))
        except ValueError:
            continue
        while parts:
            part = parts.pop()
            parts.extend(part.values() if type(part) is dict else part)
            for key in secrets if type(part) is dict else ():
                value = part.get(key)
                # A shorter one protects nothing, and may be a word of anything.
                if type(value) is str and len(value) >= _SHORTEST:
                    text = text.replace(value, _HIDDEN)
            parts = [member for member in parts if type(member) in (dict, list)]
    return text


def _redacted(value, secrets, deepest):
    if not deepest:
        raise ValueError("it is nested too deeply")
    if type(value) is list:
        return [_redacted(member, secrets, deepest - 1) for member in value]
    if type(value) is not dict:
        if value == _HIDDEN:
            raise ValueError('"%s" only stands for a secret; leave the key out' % _HIDDEN)
        return value
    copy = {}
    for key, member in value.items():
        copy[key] = _redacted(member, secrets, deepest - 1)
        if key in secrets and member is not None:
            copy[key] = _HIDDEN
    return copy


def _size(tree):
    """The bytes of a tree as JSON, or a few more, without a text of all of it."""
    if type(tree) is str and len(tree) > _LONGEST:
        return len(tree)
    if type(tree) not in (dict, list):
        return len(json.dumps(tree).encode())
    size = 2
    for member in tree:
        size += _size(member) + 2
        if type(tree) is dict:
            size += _size(tree[member]) + 2
    return size
