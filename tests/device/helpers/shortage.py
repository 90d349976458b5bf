"""An operation in a heap that has only so many blocks left: each allocation of it fails once.

Everything that it allocates adds up while the collector is off. So with room for n blocks it is the
first allocation beyond them that fails, and n = 0, 1, 2, … reaches one after the other. What
follows a failure, as an `except` does, finds no more memory than that either.
"""

import gc

_WORDS = 4  # of a block, on every port
_SIZES = (16384, 1024, 128)  # of the blocks that hold the memory, bytes
_PLACES = 1000  # for them
_MOST = 4000  # blocks


def short(blocks, operation, *arguments):
    """Call `operation` where the heap has so many blocks left, side by side. Returns what it
    returns and raises what it raises.
    """
    places = [None] * _PLACES
    gc.collect()
    gc.disable()
    try:
        # Of a list that is cleared one block stays.
        rest = [None] * (_WORDS * (blocks + 1))
        chain = _fill(places)
        rest.clear()
        return operation(*arguments)
    finally:
        chain = None
        places.clear()
        gc.enable()
        gc.collect()


def _fill(places):
    """Take all that the heap has, into the places; returns a chain of the last, single blocks."""
    i = 0
    for size in _SIZES:
        try:
            while True:
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


def shortages(begin, operation, check, step=1):
    """Call `operation(thing)` with more and more room, until it does not want for memory; each time
    with what `begin()` made, and before `check(thing, n)`, both of which have memory. `n` is the
    room in blocks that was too little; None in the end. Returns how often it was too little.
    """
    failures = 0
    for n in range(0, _MOST, step):
        thing = begin()
        try:
            short(n, operation, thing)
        except MemoryError:
            failures += 1
            check(thing, n)
            continue
        check(thing, None)
        return failures
    raise AssertionError("%d blocks are too few" % _MOST)
