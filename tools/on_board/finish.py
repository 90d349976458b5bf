"""Runs on the board: the last part of a deployment, which puts the staged files in their place.

`csipio deploy` writes it to deploy.tmp/finish.py, with its steps, when all files there are whole.
From that moment on the deployment counts: if the power is cut, boot.py runs the file at the next
start. So a step that was done before does nothing.
"""

import errno
import os

_OLD = "deploy.old"


def _step(source, target):
    """Rename a file or folder; without a target, remove the file."""
    try:
        if target is None:
            os.remove(source)
        else:
            os.rename(source, target)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise


def _finish(steps):
    """A folder cannot replace another one, so the old firmware first becomes _OLD. While that is
    there, what is called `firmware` is the new one."""
    for source, target in steps:
        if target != _OLD or _OLD not in os.listdir():
            _step(source, target)
    os.remove("deploy.tmp/finish.py")
