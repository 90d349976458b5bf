"""Modules that are needed for a moment: what reads and checks a configuration.

A tenth of the firmware's RAM would be theirs. They are read at the start and when a configuration
comes from afar, and keep nothing.
"""

import sys


def passing(use, *given):
    """What a function returns; the modules of the firmware that it imported are forgotten.

    Whoever still has something of theirs keeps it.
    """
    before = list(sys.modules)
    try:
        return use(*given)
    finally:
        for name in list(sys.modules):
            if name not in before and name.startswith("firmware."):
                del sys.modules[name]
                above, _, last = name.rpartition(".")
                package = sys.modules.get(above)  # None: it is forgotten, too
                if hasattr(package, last):
                    delattr(package, last)
