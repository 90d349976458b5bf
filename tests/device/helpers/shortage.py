"""An operation in a heap that has only so many blocks left: each allocation of it fails once.

Everything that it allocates adds up while the collector is off. So with room for n blocks it is
the first allocation beyond them that fails, and n = 0, 1, 2, … reaches one after the other. What
follows a failure, as an `except` does, finds no more memory than that either.
"""

import gc
import sys

_WORDS = 4  # of a block, on every port
_BLOCK = 32 if sys.maxsize > 1 << 32 else 16  # its bytes
_SIZES = (16384, 1024, 128)  # of the blocks that hold the memory, bytes
_PLACES = 1000  # for them
# Of rooms tried, where times in milliseconds are objects and make ten times as many allocations.
_TRIES = 400


def short(blocks, operation, *arguments):
    """Call `operation` where the heap has so many blocks left, side by side. Returns what it
    returns and raises what it raises.
    """
    places = [None] * _PLACES
    chain = []
    gc.collect()
    gc.disable()
    try:
        # Of a list that is cleared one block stays.
        rest = [None] * (_WORDS * (blocks + 1))
        chain = [_fill(places)]
        rest.clear()
        return operation(*arguments)
    finally:
        chain.clear()
        places.clear()
        gc.enable()
        gc.collect()


def _fill(places):
    """Take all that the heap has, into the places; returns a chain of the last, single blocks."""
    i = 0
    for size in _SIZES:
        try:
            while i < _PLACES:
                places[i] = bytearray(size)
                i += 1
        except MemoryError:
            pass
    chain = None
    try:
        while True:
            chain = (chain,)
    except MemoryError:
        pass
    return chain


def needed(operation, *arguments):
    """The blocks that it allocates, all in all."""
    gc.collect()
    gc.disable()
    try:
        before = gc.mem_alloc()
        operation(*arguments)
        return (gc.mem_alloc() - before) // _BLOCK
    finally:
        gc.enable()
        gc.collect()


def shortages(begin, operation, check, step=1, most=None):
    """Call `operation(thing)` with enough memory, and then with room for 0, 1, 2, … blocks, up to
    those that it needs or, if given, `most`; each time with what `begin()` made, and before
    `check(thing, n)`, both of which have memory. `n` is the room; None: there was enough. Returns
    how often it raised MemoryError.
    """
    thing = begin()
    if most:
        operation(thing)
    else:
        most = needed(operation, thing) + 1
    check(thing, None)
    if _BLOCK == 16:
        step = max(step, most // _TRIES)
    failures = 0
    for n in range(0, most, step):
        thing = begin()
        try:
            short(n, operation, thing)
        except MemoryError:
            failures += 1
        check(thing, n)
    return failures
