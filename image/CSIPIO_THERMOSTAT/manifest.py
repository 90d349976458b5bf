"""What is frozen into the image: read by MicroPython's build, whose names these are.

A board runs boot.py and main.py from the image if they are in it, else from its file system. With
all code here, the file system holds the configuration and what the firmware keeps, and is empty
on a new board.
"""

# ruff: noqa: F821

# What every ESP32 needs to start: it mounts the file system, and makes one where there is none.
# The rest of that folder stays out: its machine.py would take 1.8 KB of RAM for counters that
# nobody uses.
freeze("$(PORT_DIR)/modules", ("_boot.py", "flashbdev.py", "inisetup.py"))

# Of MicroPython's own library, what the firmware imports.
include("$(MPY_DIR)/extmod/asyncio")
require("ssl")
require("umqtt.simple")
require("onewire")
require("dht")
require("ds18x20")

# The firmware, as `python -m tools.image` writes it: shortened, and nothing else in the folder.
FIRMWARE = "$(BOARD_DIR)/../../build/frozen"
module("boot.py", base_path=FIRMWARE)
module("main.py", base_path=FIRMWARE)
package("firmware", base_path=FIRMWARE)
freeze(FIRMWARE + "/units")
