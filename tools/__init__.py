"""The CPython side: everything that `csipio` does on a developer's machine.

It knows the firmware's files, never its modules: what has to be asked of the firmware is asked
of it inside MicroPython.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The root of the repository."""


class ToolError(Exception):
    """Something that the person at the keyboard can mend; the text says what, and how.

    `csipio` prints the text alone, without a traceback, and exits with 2.
    """
