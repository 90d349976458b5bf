"""A part of a configuration, merged into the one in force and checked as a whole.

The part is a JSON merge patch (RFC 7396): objects merge, null removes a key, so that its default
holds, and everything else replaces what was there, lists as a whole.
"""

import gc
import json
import os

from micropython import const

from firmware.base import files
from firmware.config import check, load, trial
from firmware.config.schema import SCHEMA

_SHARED = ("device", "wifi", "tls", "time")  # what every way to the platform depends on
_SECRETS = ("key_secret", "password")
HIDDEN = "(hidden)"  # stands for a secret in what is shown
_DEEPEST = const(6)
_LONGEST = const(1000)  # bytes


def propose(part: dict, worked: list) -> tuple:
    """Put a part of a configuration on trial: it is in force after a restart.

    worked: the ways to the platform that did until now, for what the trial is to show. Returns the
    part as it may be shown, and whether a restart is needed. Raises ValueError with words, also
    where the configuration as a whole would be wrong; nothing is changed then.
    """
    if trial.is_open():
        raise ValueError("another configuration is on trial; wait until it is kept or given up")
    hidden = shown(part)
    return hidden, _apply(part, worked)


def _apply(part: dict, worked) -> bool:
    """Put the configuration in force, changed by a part, on trial; whether it is another one then.

    worked: the ways to the platform that did before. Raises ValueError with words, where the
    configuration as a whole would be wrong.
    """
    problem = None
    for path in (trial.CONFIG, trial.GOOD):
        # The second one is in force where the first is wrong.
        try:
            given = load.read(path)
        except ValueError as error:
            problem = problem or "%s: %s" % (path, error)
            continue
        changes = merge(given, part)
        gc.collect()
        problems = check.check(given)[1]
        if not problems:
            if changes:
                # In an order in which the power may go: the old one is safe before the new one
                # counts.
                files.copy(path, trial.OLD)
                new = trial.CONFIG + ".new"
                files.replace_json(new, given)
                trial.mark(files.crc32(new), part, _needs(part, worked))
                os.rename(new, trial.CONFIG)
            return changes
        problem = problem or problems[0]
    raise ValueError(problem)


def _needs(part, worked):
    """The ways to the platform that have to work before the configuration is kept.

    One way has to, in any case, and one whose address the part gives. One that had worked has to
    work again if the part says anything of what it depends on.
    """
    needs = []
    for way in trial.WAYS:
        touched = [key for key in part if key == way or key in _SHARED]
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

    Raises ValueError, with words, for a part of something else.
    """
    for key in part:
        sections = [row[0] for row in SCHEMA]
        if key not in sections:
            expected = ", ".join(sections)
            raise ValueError("%s: unknown key; expected one of %s" % (key[:40], expected))
        value = part[key]
        if value is not None and type(value) is not (list if key in ("wifi", "sensors") else dict):
            raise ValueError("%s: expected a section of a configuration" % key)
    copy = _redacted(part, _DEEPEST)
    if len(json.dumps(copy).encode()) > _LONGEST:
        copy = dict.fromkeys(copy, "(long)")
    return copy


def _redacted(value, deepest):
    if not deepest:
        raise ValueError("it is nested too deeply")
    if type(value) is list:
        return [_redacted(member, deepest - 1) for member in value]
    if type(value) is not dict:
        if value == HIDDEN:
            raise ValueError('"%s" only stands for a secret; leave the key out' % HIDDEN)
        return value
    copy = {}
    for key, member in value.items():
        copy[key] = _redacted(member, deepest - 1)
        if key in _SECRETS and member is not None:
            copy[key] = HIDDEN
    return copy
