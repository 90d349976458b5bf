"""A device that is updated: its flash, its slots, its starts, and a server, all in memory.

The power may be cut at any program or erase of either flash, counted over both.
"""

import asyncio
import errno
import gc
import os
import sys

import vfs

import firmware
import flash
from firmware.base import uptime
from firmware.update import job, manifest, start, targets, trial
from releases import KEY, rom

SLOT_BLOCKS = 8
FS_BLOCKS = 80
OLD = b"\xe9" + b"old" * 3000
DEPLOYED = rom({"firmware/app.mpy": b"old" * 3000, "lib/z.mpy": b""})
_BOOT = firmware.__file__[: -len("firmware/__init__.py")] + "boot.py"
_formatted = []


class Answer:
    def __init__(self, status_code, headers):
        self.status_code = status_code
        self.headers = headers


class Chips:
    """The file system's flash, and those of the slots; one count of what is done to them."""

    def __init__(self):
        if not _formatted:
            _formatted.append(flash.formatted(FS_BLOCKS))
        self.disk = flash.Flash(FS_BLOCKS, _formatted[0])
        self.slots = {"ota_0": flash.Flash(SLOT_BLOCKS), "ota_1": flash.Flash(SLOT_BLOCKS)}
        # An odd number of blocks: the last one belongs to no half.
        self.slots["romfs"] = flash.Flash(2 * SLOT_BLOCKS + 1)
        self.all = [self.disk] + list(self.slots.values())

    @property
    def dead(self):
        return any(chip.dead for chip in self.all)

    def cut(self, at, leaves):
        """The power goes at that operation from now on, of the chip that meets it."""
        counted = [0]
        for chip in self.all:
            chip.cut_leaves = leaves
            real = chip._change

            def change(where, data, chip=chip, real=real):
                counted[0] += 1
                if counted[0] == at:
                    chip.cut_at = chip.operations + 1
                error = real(where, data)
                if chip.dead:
                    for other in self.all:
                        other.dead = True
                return error

            chip._change = change

    def revive(self):
        for chip in self.all:
            chip.dead = False
            chip.cut_at = -1
            del chip._change


def partitions(chips):
    """A class as esp32.Partition, that checks how it is used; with the boot loader's side."""

    class Partition:
        RUNNING = 1
        TYPE_DATA = 1
        half = ""  # of `romfs`, that runs
        running = "ota_0"
        boot = "ota_0"
        state = "valid"  # of what is to boot; or "new", or "pending"
        images = {"ota_0": OLD}  # what a slot may boot, as its own hash says
        marks = 0

        def __init__(self, name):
            self._name = Partition.running if name == Partition.RUNNING else name
            self._chip = chips.slots[self._name]

        def info(self):
            return (0, 16, 0x10000, SLOT_BLOCKS * 4096, self._name, False)

        def get_next_update(self):
            return Partition("ota_1" if Partition.running == "ota_0" else "ota_0")

        @staticmethod
        def find(kind, label):
            assert (kind, label) == (Partition.TYPE_DATA, "romfs")
            return [Partition(label)]

        def ioctl(self, operation, argument):
            if operation == 6:
                self._check_passive(argument)
            return _checked(self._chip.ioctl(operation, argument))

        def readblocks(self, block, buffer, offset=0):
            _checked(self._chip.readblocks(block, buffer, offset))

        def writeblocks(self, block, buffer, offset=None):
            self._check_passive(block)
            # Without an offset it would erase by itself.
            assert offset is not None and offset + len(buffer) <= 4096
            at = block * 4096 + offset
            kept = bytes(memoryview(self._chip.data)[at : at + len(buffer)])
            assert kept == b"\xff" * len(buffer), "it is written before it is erased"
            _checked(self._chip.writeblocks(block, buffer, offset))

        def set_boot(self):
            image = Partition.images.get(self._name)
            if chips.dead:
                raise OSError(errno.EIO)
            whole = image and bytes(memoryview(self._chip.data)[: len(image)]) == image
            if not whole:
                raise OSError("ESP_ERR_OTA_VALIDATE_FAILED")
            Partition.boot = self._name
            Partition.state = "new"

        def _check_passive(self, block):
            assert self._name != Partition.running, "it writes over what runs"
            if self._name == "romfs":
                half = self._chip.blocks // 2
                second = block >= half
                assert second == (Partition.half != "slot.b"), "it writes over what runs"
                assert block < 2 * half, "it writes beyond its half"

        @staticmethod
        def mark_app_valid_cancel_rollback():
            if chips.dead:
                raise OSError(errno.EIO)
            # ESP-IDF writes nothing where it is valid already.
            assert Partition.state == "pending" or Partition.marks, "marked without a trial"
            Partition.marks += Partition.state == "pending"
            Partition.state = "valid"

        @staticmethod
        def start():
            """What the boot loader does."""
            if Partition.state == "pending":
                Partition.boot = "ota_1" if Partition.boot == "ota_0" else "ota_0"
                Partition.state = "valid"
            elif Partition.state == "new":
                Partition.state = "pending"
            Partition.running = Partition.boot
            image = Partition.images[Partition.running]
            chip = chips.slots[Partition.running]
            assert bytes(memoryview(chip.data)[: len(image)]) == image, "half an image is started"

    return Partition


def _checked(error):
    if error and error < 0:
        raise OSError(errno.EIO)
    return error


class _Vfs:
    """The module, of a board that has a partition for ROMFS."""

    VfsRom = vfs.VfsRom
    mount = vfs.mount
    umount = vfs.umount

    def __init__(self, chips):
        self._chips = chips

    def rom_ioctl(self, operation, part):
        assert (operation, part) == (2, 0)
        return memoryview(self._chips.slots["romfs"].data)


class Updated:
    """A device of this kind, and the image that its server has: "app", "romfs", "files"; "image"
    is the unix port's "romfs", whose halves are files.
    """

    def __init__(self, kind, image):
        self.runs = kind
        self.kind = "romfs" if kind == "image" else kind
        self.image = image
        self.chips = Chips()
        self.partition = partitions(self.chips)
        passive = self.chips.slots["ota_1"]
        passive.data[:] = bytes(len(passive.data))  # of what was there before
        slot = self.chips.slots["ota_0"]
        slot.data[: len(OLD)] = OLD
        rom = self.chips.slots["romfs"].data
        rom[:] = bytes(len(rom))
        rom[: len(DEPLOYED)] = DEPLOYED
        self.partition.images["ota_1"] = image
        self.told = []
        self.reasons = []
        self.asked = []  # headers
        self.answers = []  # (status, headers, body), or an exception, before the right ones
        self.key = KEY  # update.key
        self.cause = "power-on"
        self.set = ""  # of files, or the half, that runs
        self.starts = []  # what ran in each start
        self.sent = self.asked_for = True
        self.restarts = 0
        self.rests = True
        self.errand = None
        self.api = self
        self._restarted = False
        self._ticks = 0

    def __enter__(self):
        self._kept = targets.kind, targets.chip, targets._place, manifest.verify
        self._path = list(sys.path)
        targets.kind = lambda: self.kind
        targets.chip = lambda board: "ESP32" if self.kind == "app" else "unix"
        deployed = "/rom/" if self.kind == "romfs" else ""
        targets._place = lambda: (self.set + "/" if self.set else deployed) + "firmware"
        self._sleep = asyncio.sleep_ms
        self._folder = os.getcwd()
        self._mount()
        return self

    def __exit__(self, *_):
        targets.kind, targets.chip, targets._place, manifest.verify = self._kept
        asyncio.sleep_ms = self._sleep
        sys.path[:] = self._path
        self._leave()
        os.chdir(self._folder)
        flash.umount()

    def hurried(self):
        """Nothing waits, and each signature is right."""

        async def verify(tree, key):
            pass

        manifest.verify = verify
        asyncio.sleep_ms = lambda ms: self._sleep(0)

    def _mount(self):
        flash.mount(self.chips.disk)
        os.chdir("/flash")

    # The board, the supervisor and the uplink, as far as an update knows them

    def partition_class(self):
        if self.runs == "image":
            raise OSError("the unix port has no slots for applications")
        return self.partition

    def reset_cause(self):
        return self.cause

    def reached(self):
        return ["mqtt"]

    @property
    def asked_(self):
        return self.asked_for

    async def fetch(self, url, headers, sink):
        self.asked.append(headers)
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        first, last = [int(n) for n in headers["Range"].split("=")[1].split("-")]
        body = self.image[first : last + 1]
        status = 206
        told = {"content-range": "bytes %d-%d/%d" % (first, last, len(self.image)), "etag": '"1"'}
        if answer:
            status, changes, body = answer[0], answer[1], body if answer[2] is None else answer[2]
            told.update(changes)
        if status in (200, 206):
            for at in range(0, len(body), 128):
                sink(memoryview(body)[at : at + 128])
        return Answer(status, told)

    # Its starts

    async def start(self, tree=None, until=None):
        """One start, until the device restarts, has nothing to do, or loses its power; "restart",
        "ended" or "dead". until(): it is stopped.
        """
        self.set = ""
        if self.kind == "app":
            try:
                os.remove("firmware.next")  # boot.py
            except OSError:
                pass
            self.partition.start()
            self.starts.append(self.partition.running)
        else:
            self._boot()
            self.starts.append(self.set.lstrip("/"))
        self._restarted = False
        self.errand = None
        if tree is None and "update.json" not in os.listdir():
            return "ended"
        return await self.run(tree, until)

    def _boot(self):
        """What boot.py does. What it chose is a whole one."""
        if self.runs == "romfs":
            sys.modules["vfs"] = _Vfs(self.chips)
        try:
            with open(_BOOT) as file:
                exec(file.read(), {})
        finally:
            sys.modules["vfs"] = vfs
        places = [p for p in sys.path if p in ("firmware.a", "firmware.b", "/slot.a", "/slot.b")]
        assert len(places) <= 1, places
        sys.path[:] = self._path
        if places:
            self.set = places[0]
        if self.kind == "romfs" and self.set:
            with open(self.set + "/firmware/app.mpy", "rb") as file:
                data = file.read()
            assert data in (b"new" * 4000, b"old" * 3000), "half an image is started"
        self.partition.half = self.set.lstrip("/")

    def _leave(self):
        for half in ("/slot.a", "/slot.b"):
            try:
                vfs.umount(half)
            except OSError:
                pass

    async def run(self, tree=None, until=None):
        uplink = _Uplink(self)
        board = _Board(self)
        task = asyncio.create_task(
            start.make(
                tree,
                (self.key, 5),
                uplink,
                board,
                self,
                self._tick,
                self._tell,
                lambda patient: self.rests,
            )()
        )
        try:
            while True:
                await self._sleep(0)
                if self.chips.dead:
                    return "dead"
                if self._restarted:
                    return "restart"
                if task.done():
                    await task
                    return "ended"
                if until and until():
                    return "stopped"
                if uplink.errand:
                    await uplink.errand()
        finally:
            task.cancel()
            try:
                await task
            except (asyncio.CancelledError, OSError):
                pass
            gc.collect()

    def power_off(self):
        """The power goes, or comes back after a cut."""
        os.chdir("/")
        self._leave()
        flash.umount()
        if self.chips.dead:
            self.chips.revive()
        self._mount()
        self.cause = "power-on"

    def restart(self, why):
        assert why == "update"
        self._restarted = True
        self.cause = why

    def _tick(self):
        self._ticks += 1
        return self._ticks

    def _tell(self, value, reason):
        if not self.chips.dead:
            self.told.append(value)
            self.reasons.append(reason)

    @property
    def result(self):
        found = [value["result"] for value in self.told if "result" in value]
        return found[-1] if found else None


class _Uplink:
    def __init__(self, device):
        self.api = device
        self.reached = device.reached
        self.errand = None
        self.sent = device.sent
        self.asked = device.asked_for


class _Board:
    def __init__(self, device):
        self.reset_cause = device.reset_cause
        self.partition = device.partition_class


assert job and trial and uptime
