"""What a board is asked before a deployment, and which way the firmware goes there.

A plain ESP32 has no memory for the firmware as files: loaded bytecode lies in RAM. It runs from
flash there, frozen into MicroPython's image or in a ROMFS partition.
"""

from dataclasses import dataclass
from typing import Literal

Way = Literal["frozen", "romfs", "files"]

KB = 1024
# Measured on an ESP32-WROOM-32 with MicroPython's own image.
WIFI = 43 * KB
TLS = 30 * KB
# What the running firmware holds of the heap when it was loaded from .mpy files, on 32 bits.
FILES = 148 * KB

# No chip of the family has that much RAM of its own, and no PSRAM is smaller than 2 MiB.
_PSRAM = 1024 * KB


@dataclass(frozen=True)
class Facts:
    """What a board said of itself; sizes in bytes."""

    platform: str
    machine: str
    micropython: tuple[int, int, int]
    bytecode: int
    """The version of .mpy files that it loads."""
    heap: int
    """MicroPython's heap, with the largest piece by which it may still grow."""
    regions: list[tuple[int, int, int]]
    """ESP-IDF's memory: total, free, largest free block of each region; empty without ESP-IDF."""
    frozen: str | None
    """The version of the firmware in the board's image, None without one."""
    frozen_umqtt: bool
    romfs: int
    """The size of the ROMFS partition, 0 without one."""

    @property
    def is_unix_port(self) -> bool:
        return self.platform in ("linux", "darwin")

    @property
    def has_psram(self) -> bool:
        """PSRAM is one region of ESP-IDF's memory, and MicroPython's heap may grow into it."""
        return any(total >= _PSRAM for total, _, _ in self.regions) or self.heap >= _PSRAM

    @property
    def for_python(self) -> int:
        """What Python may have while Wi-Fi and one TLS connection are up."""
        if not self.regions:
            return self.heap
        # The heap's figure counts the largest free block of ESP-IDF's as its own.
        largest = max(block for _, _, block in self.regions)
        free = sum(region[1] for region in self.regions)
        return self.heap - largest + free - WIFI - TLS

    def way(self, image: int) -> Way | None:
        """The way for a firmware whose ROMFS image has `image` bytes; None: it does not fit."""
        if self.frozen is not None:
            return "frozen"
        if 0 < image <= self.romfs:
            return "romfs"
        if self.is_unix_port or self.for_python >= FILES:
            return "files"
        return None

    def refusal(self, image: int) -> str:
        """Why no way is open, with the figures, and what helps."""
        romfs = (
            f"its ROMFS partition of {kb(self.romfs)} is too small"
            if self.romfs
            else "there is no ROMFS partition"
        )
        return (
            f"the firmware does not fit into this board ({self.machine}).\n"
            f"  As .mpy files it takes {kb(FILES)} of RAM when it runs. The board has "
            f"{kb(self.for_python)} for it\n"
            f"  beside Wi-Fi ({kb(WIFI)}) and one TLS connection ({kb(TLS)}); it has "
            f"{'' if self.has_psram else 'no '}PSRAM,\n"
            f"  {romfs}, and no firmware is in its MicroPython image.\n"
            "  One of these helps:\n"
            "  - flash MicroPython with the firmware in its image (`make image`), then deploy "
            "the configuration;\n"
            "  - take a board with PSRAM: an ESP32-WROVER, or an ESP32-S3 with R2 or R8. If it is "
            "one,\n"
            "    flash MicroPython's variant SPIRAM, or SPIRAM_OCT for R8: no other uses it;\n"
            f"  - flash a MicroPython that has ROMFS, with a partition of {kb(image)} or more.\n"
            "  With --source mpy the files are sent nevertheless, for example to a board whose "
            "firmware is cut down."
        )


def kb(size: int) -> str:
    return f"{-(-size // KB)} KB"
