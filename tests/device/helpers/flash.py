"""A flash chip for VfsLfs2: it counts its erases, and its power can be cut in the middle of any
program or erase, which is then done, not done, or half done.
"""

import vfs
from micropython import const

OLD, NEW, HALF = "old", "new", "half"


_EIO = const(-5)  # what a chip without power answers: no exception, as a collector may ask, too


class Flash:
    """A block device of `blocks` blocks of 4 KiB, in RAM."""

    def __init__(self, blocks, image=None, size=4096):
        self.blocks = blocks
        self.size = size
        self.data = bytearray(image) if image else bytearray(b"\xff" * (blocks * size))
        self.erases = [0] * blocks
        self.operations = 0  # programs and erases
        self.cut_at = -1  # the operation at which the power is cut
        self.cut_leaves = OLD
        self.dead = False
        self.failing = False  # every operation fails, without harm

    def readblocks(self, block, buffer, offset=0):
        if self.dead or self.failing:
            return _EIO
        at = block * self.size + offset
        buffer[:] = memoryview(self.data)[at : at + len(buffer)]
        return 0

    def writeblocks(self, block, buffer, offset=0):
        at = block * self.size + offset
        return self._change(at, buffer)

    def ioctl(self, operation, argument):
        if operation == 4:
            return self.blocks
        if operation == 5:
            return self.size
        if operation == 6:
            error = self._change(argument * self.size, b"\xff" * self.size)
            self.erases[argument] += not error
            return error
        return 0

    def _change(self, at, data):
        if self.dead or self.failing:
            return _EIO
        self.operations += 1
        if self.operations == self.cut_at:
            self.dead = True
            if self.cut_leaves != OLD:
                size = len(data) if self.cut_leaves == NEW else len(data) // 2
                self.data[at : at + size] = memoryview(data)[:size]
            return _EIO
        self.data[at : at + len(data)] = data
        return 0


def formatted(blocks):
    """An image of an empty file system."""
    flash = Flash(blocks)
    vfs.VfsLfs2.mkfs(flash)
    return bytes(flash.data)


def mount(flash, path="/flash"):
    vfs.mount(vfs.VfsLfs2(flash), path)


def umount(path="/flash"):
    vfs.umount(path)
