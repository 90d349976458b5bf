"""Runs before main.py. TLS needs RAM outside of MicroPython's heap on an ESP32: the heap is kept
small by collecting its garbage early and often, from the first import on. How often later on:
firmware/supervision/health.py."""

import gc
import os
import sys

try:
    import vfs
except ImportError:  # MicroPython before 1.24 has no ROMFS either
    pass

gc.threshold(16384)


def _choose():
    """An update puts its firmware beside the one that runs: see firmware/update/. One on trial
    gets one start, after which it has confirmed itself or nothing is left of it here.
    """
    # On the unix port an earlier run may have chosen.
    sys.path[:] = [p for p in sys.path if p[:9] != "firmware." and p[:6] != "/slot."]
    for name in ("slot.a", "slot.b"):
        try:
            vfs.umount("/" + name)
        except (NameError, OSError):
            pass
    for pointer in ("firmware.next", "firmware.set"):
        try:
            with open(pointer) as file:
                name = file.read()
        except OSError:
            continue
        try:
            if pointer == "firmware.next":
                os.remove(pointer)
                _watch()
            if name in ("slot.a", "slot.b"):
                name = _mount(name)
            elif name not in ("firmware.a", "firmware.b"):
                continue  # a slot for applications, which the boot loader chooses
            os.stat(name + "/firmware")
            sys.path.insert(0, name + "/lib")
            sys.path.insert(0, name)
            sys.path.append(name + "/firmware/setup")
            return
        except Exception as error:  # the one before runs, or the deployed one
            sys.print_exception(error)


def _mount(name):
    """Returns the place of a half of the ROMFS partition; on the unix port, of the image in the
    file of that name.
    """
    try:
        image = memoryview(bytearray(os.stat(name)[6]))
        with open(name, "rb") as file:
            file.readinto(image)
    except OSError:
        image = memoryview(vfs.rom_ioctl(2, 0))
        half = len(image) // 8192 * 4096
        image = image[:half] if name == "slot.a" else image[half:]
    vfs.mount(vfs.VfsRom(image), "/" + name)  # type: ignore[attr-defined]
    return "/" + name


def _watch():
    """What hangs, or ends, before the firmware has its own watchdog is on trial no longer."""
    try:
        from machine import WDT
    except ImportError:
        return  # the unix port
    WDT(timeout=120000)


# An image has the modules that a board runs, and flash may have others of these names.
for place in ("/rom/lib", "/rom"):
    if place in sys.path:
        sys.path.remove(place)
        sys.path.insert(0, place)

_choose()

# What an image has frozen in runs from flash. Files that an earlier deployment left on the file
# system have the same names, and would be loaded into RAM in its place.
if ".frozen" in sys.path:
    sys.path.remove(".frozen")
    sys.path.insert(0, ".frozen")

# `import setup` at the prompt finds firmware/setup/setup.py, wherever the firmware is.
for place in ("", "/rom/", ".frozen/"):
    sys.path.append(place + "firmware/setup")


def _finish_deployment():
    """Put the files of a deployment in place that were all there when the power was cut."""
    try:
        with open("deploy.tmp/finish.py") as file:
            text = file.read()
    except OSError:
        return
    try:
        exec(text, {})
    except Exception as error:  # it must not keep main.py from running
        sys.print_exception(error)


_finish_deployment()

# main.py goes on with the same names, and these would stay in memory.
for place in ("_choose", "_mount", "_watch", "_finish_deployment"):
    del globals()[place]
