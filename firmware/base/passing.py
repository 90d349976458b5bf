"""Modules that are needed for a moment: what reads and checks a configuration, what goes over
HTTPS, what goes over MQTT, what was missed.

An eighth of the firmware's RAM would be theirs. They are loaded when they are needed, and keep
nothing.
"""

import gc
import sys

from micropython import const

# Bytes that only a heap in PSRAM has free: there code is loaded from files, in 0.1 to 0.2 s.
_PLENTY = const(2500000)
# Modules that are kept for what is rare and may call them once more: a loop calls two or three.
_MOST = const(3)

_brought = None  # modules that came with what is rare, while that runs


def passing(use, *given):
    """What a function returns; the modules that it imported are forgotten, but for MicroPython's,
    unless there is plenty of memory.

    Whoever still has something of theirs keeps it.
    """
    before = _ours()
    try:
        found = use(*given)
    except BaseException:
        _forget(before)
        raise
    if gc.mem_free() < _PLENTY:
        _forget(before)
    return found


def whole(use, *given):
    """What a function returns; the modules that it imported are forgotten where it raises.

    What is rare, in it or in what calls it, is loaded no longer than it runs.
    """
    global _brought
    after = None if _brought is None else []
    _let_go()
    before = _ours()
    try:
        return use(*given)
    except Exception:
        _forget(before)
        raise
    finally:
        _brought = after


def away(word):
    """A module of what is rare: see firmware/base/rare.py. The linker calls it by a word.

    While something rare runs the last few are kept for what that may call, with what they need
    themselves.
    """
    before = _ours()
    running = _brought is not None
    try:
        module = __import__(word)
        if running:
            _brought.extend([name for name in _ours() if name not in before])
            while len(_brought) > _MOST:
                _drop(_brought.pop(0))
        return module
    except Exception:
        running = False
        raise
    finally:
        if not running:
            _forget(before)


def rarely(word, owner, name):
    """A method that the linker took out of its owner's class."""
    try:
        method = getattr(away(word).module, name)
    except AttributeError:
        raise AttributeError(name)
    return lambda *given, **named: _run(method, owner, *given, **named)


def born(self, *given, **named):
    """An `__init__` that the linker took out."""
    self.born(*given, **named)


def _run(method, *given, **named):
    global _brought
    if _brought is not None:
        return method(*given, **named)
    _brought = []
    try:
        return method(*given, **named)
    finally:
        _let_go()


def _let_go():
    global _brought
    for name in _brought or ():
        _drop(name)
    _brought = None


def _forget(before):
    """Where memory is short, MicroPython may keep the name of a module that it could not make, and
    dies at its next import. So this allocates nothing to take the names out.
    """
    for name in sys.modules:
        if _is_ours(name) and name not in before:
            _drop(name)


def _ours():
    return [name for name in sys.modules if _is_ours(name)]


def _is_ours(name):
    # The linker calls a unit by a word that begins with a capital.
    return name < "[" or name.startswith("firmware.") or name.startswith("umqtt")


def _drop(name):
    sys.modules.pop(name, None)
    try:
        above, _, last = name.rpartition(".")
        package = sys.modules.get(above)  # None: it is forgotten, too
        if hasattr(package, last):
            delattr(package, last)
    except MemoryError:
        pass  # it stays a while
