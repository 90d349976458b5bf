"""What the device tells of itself: properties that it sends every `health.every_s`."""

import asyncio
import gc
import io

from micropython import const

from firmware import VERSION
from firmware.base import uptime
from firmware.base.log import Log
from firmware.base.rare import rare
from firmware.board import board

_KIB = const(1024)
# Of a verified session over TLS 1.2, in KiB, at its peak; and of its largest block, for a record.
_TLS_KIB = const(30)
_TLS_BLOCK_KIB = const(17)
# So many bytes are allocated between two collections: at least; and where PSRAM is slow to sweep.
_LEAST_GARBAGE = const(1024)
_MOST_GARBAGE = const(131072)

# A row makes a property: its name, its owner, and the owner's attribute that has the value, or the
# method that returns it. The table is a text because a text stays in flash.
_ROWS = """\
uptime         health      uptime
freeheap       health      freeheap
lowheap        health      lowheap
freeidf        health      freeidf
largestidf     health      largestidf
waiting        queue       __len__
spilled        queue       spilled
dropped        queue       dropped
thinned        queue       thinned
damaged        queue       damaged
lost           queue       lost
undated        queue       undated
rejected       uplink      rejected
transport      failover    carrier
reconnections  failover    reconnections
unverified     uplink      unverified
rssi           wifi        rssi
restarts       supervisor  restarts
looppause      loop_meter  take
relayseconds   heater      on_s
relaycycles    heater      cycles
resetcause     board       reset_cause
lastfault      services    lastfault
firmware       health      firmware
"""


def names() -> list:
    """The names of all properties that can be reported."""
    return [row.split()[0] for row in io.StringIO(_ROWS)]


def tight() -> bool:
    """Is there less of ESP-IDF's memory than a TLS session needs?"""
    idf = board.memory()
    return idf is not None and (idf[0] < _TLS_KIB * _KIB or idf[1] < _TLS_BLOCK_KIB * _KIB)


class Health:
    """The owner of what nobody else has; and the task that reports everything.

    freeheap, lowheap: bytes of the heap that are free once the garbage is gone, now and at worst:
    only that tells whether something leaks. freeidf, largestidf: board.memory().
    """

    firmware = VERSION

    @rare
    def __init__(self, owners: dict, has, tell, every_s: int = 0):
        """`owners`: by their names in the table; None: this device has no such part. `has(name)`:
        whether that property is to be reported; `tell(name, value)` reports it.
        """
        self._owners = owners
        self._has = has
        self._tell = tell
        self._every_s = every_s
        self.lowheap: int | None = None
        self.freeidf: int | None = None
        self.largestidf: int | None = None
        self._measure()

    def uptime(self) -> int:
        return uptime.ms() // 1000

    async def run(self):
        while True:
            self.report()
            await asyncio.sleep(self._every_s)

    @rare
    def report(self):
        """Tell the present value of each property. None is not told."""
        self._measure()
        for row in io.StringIO(_ROWS):
            name, owner, attribute = row.split()
            if not self._has(name):
                continue
            part = self if owner == "health" else self._owners[owner]
            value = None if part is None else getattr(part, attribute)
            if callable(value):
                value = value()
            if value is not None:
                self._tell(name, value)

    @rare
    def log_memory(self, tls: bool) -> None:
        """One line about the memory at the start. `tls`: whether there will be TLS sessions."""
        log = Log("health")
        used = gc.mem_alloc()
        # On an ESP32 the free heap includes the block by which the heap could still grow.
        heap = (used + self.freeheap - (self.largestidf or 0)) // _KIB
        if self.freeidf is None:
            log.info("memory: heap %d of %d KiB", used // _KIB, heap)
            return
        free, largest = self.freeidf // _KIB, self.largestidf // _KIB
        text = "memory: heap %d of %d KiB, ESP-IDF %d KiB free, largest block %d KiB"
        log.info(text, used // _KIB, heap, free, largest)
        if tls and tight():
            text = "memory: too little for TLS, which needs %d KiB of ESP-IDF's, %d in one block;"
            text += " use an image that runs from flash, or lower buffer.ram_points"
            log.warning(text, _TLS_KIB, _TLS_BLOCK_KIB)

    @rare
    def _measure(self):
        gc.collect()
        self.freeheap = free = gc.mem_free()
        self.lowheap = min(self.lowheap or free, free)
        idf = board.memory()
        if idf:
            self.freeidf, self.largestidf = idf
            free -= idf[1]  # by which the heap is not to grow
        # A collection costs the same however little it finds. But what is made while garbage lies
        # about comes behind it, and stays there: a heap that is nearly full falls into pieces.
        gc.threshold(max(_LEAST_GARBAGE, min(free // 8, _MOST_GARBAGE)))
