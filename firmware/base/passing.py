"""Modules that are needed for a moment: what reads and checks a configuration, what goes over
HTTPS, what goes over MQTT, what was missed.

An eighth of the firmware's RAM would be theirs. They are loaded when they are needed, and keep
nothing.
"""

import sys


def passing(use, *given):
    """What a function returns; the modules that it imported are forgotten, but for MicroPython's.

    Whoever still has something of theirs keeps it.
    """
    before = list(sys.modules)
    try:
        return use(*given)
    finally:
        _forget(before)


def whole(use, *given):
    """What a function returns; the modules that it imported are forgotten where it raises."""
    before = list(sys.modules)
    try:
        return use(*given)
    except Exception:
        _forget(before)
        raise


def away(number):
    """A module of what is rare: see firmware/base/rare.py. The linker calls it by a number."""
    return passing(_module, number)


def rarely(number, owner, name):
    """A method that the linker took out of its owner's class."""
    try:
        method = getattr(away(number).module, name)
    except AttributeError:
        raise AttributeError(name)
    return lambda *given, **named: method(owner, *given, **named)


def born(self, *given, **named):
    """An `__init__` that the linker took out."""
    self.born(*given, **named)


def _module(number):
    return __import__("firmware.rare.r%d" % number, None, None, ("module",))


def _forget(before):
    """Where memory is short, MicroPython may keep the name of a module that it could not make, and
    dies at its next import. So this allocates nothing to take the names out.
    """
    for name in sys.modules:
        ours = name.startswith("firmware.") or name.startswith("umqtt")
        if ours and name not in before:
            sys.modules.pop(name, None)
            try:
                above, _, last = name.rpartition(".")
                package = sys.modules.get(above)  # None: it is forgotten, too
                if hasattr(package, last):
                    delattr(package, last)
            except MemoryError:
                pass  # it stays a while
