"""Modules that are needed once in a while, and too large to stay in memory between."""

import sys


def unload(*names: str) -> None:
    """Let go of modules, such as "firmware.config": who still needs one has it by another name.

    What they made stays, and importing them again loads them again.
    """
    for name in names:
        sys.modules.pop(name, None)
        package, _, module = name.rpartition(".")
        parent = sys.modules.get(package)
        if hasattr(parent, module):
            delattr(parent, module)
