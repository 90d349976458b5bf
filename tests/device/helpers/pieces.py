"""A heap in pieces, as after a long run: a block that is larger than they is a MemoryError."""

import gc


class Pieces:
    """with Pieces(): the free heap is in pieces of that size, and a little."""

    def __init__(self, size=2048):
        self._size = size

    def __enter__(self):
        gc.collect()
        self._kept = freed = None
        try:
            while True:
                freed = [freed, bytearray(self._size)]
                self._kept = [self._kept, bytearray(self._size)]
        except MemoryError:
            pass
        try:
            while True:  # and what is left
                self._kept = [self._kept, bytearray(8)]
        except MemoryError:
            pass
        let_go(freed)
        gc.collect()
        try:
            bytearray(self._size + 300)
            raise AssertionError("there is a larger one")
        except MemoryError:
            pass

    def __exit__(self, *_):
        let_go(self._kept)
        gc.collect()


def let_go(chain):
    """Link by link: an address of one that is left on the stack must not keep the others."""
    while chain:
        following = chain[0]
        chain[0] = chain[1] = None
        chain = following
