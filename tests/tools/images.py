"""Images for releases: an application as ESP-IDF lays it out, without a program in it."""

import hashlib
import struct


def app_image(chip_id=0, version=b"v1.28.0", size=512):
    """esp_app_format.h: header, one segment with the description, checksum, hash."""
    header = struct.pack("<BBBBI", 0xE9, 1, 0, 0, 0) + bytes(4) + struct.pack("<H", chip_id)
    header += bytes(9) + b"\1"
    description = struct.pack("<III8x32s32s", 0xABCD5432, 0, 0, version, b"micropython")
    segment = description.ljust(size, b"\xa5")
    image = header + struct.pack("<II", 0x3F400020, len(segment)) + segment
    image = image.ljust(len(image) + 15 - len(image) % 16, b"\0") + b"\xef"
    return image + hashlib.sha256(image).digest()
