"""Runs before main.py. TLS needs RAM outside of MicroPython's heap on an ESP32: the heap is kept
small by collecting its garbage early and often, from the first import on."""

import gc
import os
import sys

gc.threshold(16384)


def _choose_set():
    """An update puts its files beside those that run: see firmware/update/. A set on trial gets
    one start, after which it has confirmed itself or nothing is left of it here.
    """
    sys.path[:] = [place for place in sys.path if not place.startswith("firmware.")]
    chosen = ""
    for name in ("firmware.next", "firmware.set"):
        try:
            with open(name) as file:
                chosen = file.read()
        except OSError:
            continue
        if name == "firmware.next":
            os.remove(name)
            _watch()
        break
    if chosen in ("firmware.a", "firmware.b"):
        sys.path.insert(0, chosen + "/lib")
        sys.path.insert(0, chosen)
        sys.path.append(chosen + "/firmware/setup")


def _watch():
    """What hangs, or ends, before the firmware has its own watchdog is on trial no longer."""
    try:
        from machine import WDT
    except ImportError:
        return  # the unix port
    WDT(timeout=120000)


_choose_set()

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
