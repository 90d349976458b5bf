"""Which pins of a chip a user may have: those that are led out, and are neither the flash's nor
the serial line's (Espressif's data sheets, "Pin Overview").

A row has the chip, with a + where its pins are those beside PSRAM; its outputs, which may be
inputs, too; and the pins that can only be inputs. On an ESP32-S3 it is PSRAM of 8 lines, as in
modules with R8, that takes pins.
"""

import io

_CHIPS = """\
ESP32    | 0, 2, 4, 5, 12-19, 21-23, 25-27, 32, 33         | 34-39
ESP32+   | 0, 2, 4, 5, 12-15, 18, 19, 21-23, 25-27, 32, 33 | 34-39
ESP32S2  | 0-18, 21, 33-45                                 | 46
ESP32S3  | 0-18, 21, 33-48                                 |
ESP32S3+ | 0-18, 21, 38-48                                 |
ESP32C3  | 0-10, 20, 21                                    |
ESP32C6  | 0-11, 14-23                                     |
"""
_ANY = "0-48"  # of a chip that is not known


def usable(chip: str, psram: bool, output: bool) -> str:
    """The pins of a chip as a text, such as `0, 2, 4-7`. output: those that can be one."""
    found = _ANY
    for line in io.StringIO(_CHIPS):
        name, outputs, inputs = [cell.strip() for cell in line.split("|")]
        if name == chip or (psram and name == chip + "+"):
            found = outputs if output or not inputs else outputs + ", " + inputs
    return found


def has(pins: str, pin: int) -> bool:
    """Whether a pin is among those of such a text."""
    for part in pins.split(", "):
        lowest, _, highest = part.partition("-")
        if int(lowest) <= pin <= int(highest or lowest):
            return True
    return False
