"""A board's file system as an image: littlefs, as MicroPython's ESP32 port mounts it."""

from pathlib import PurePosixPath

from littlefs import LittleFS, LittleFSError

from tools import ToolError

BLOCK = 4096
# The format that every MicroPython since 1.12 reads.
_DISK_VERSION = 0x00020000


class FilesError(ToolError):
    """The files do not fit."""


def image(files: dict[str, bytes], size: int) -> bytes:
    """A file system of that many bytes with these files, by path; the same for the same files.

    Raises FilesError.
    """
    disk = LittleFS(
        block_size=BLOCK,
        block_count=size // BLOCK,
        read_size=32,
        prog_size=32,
        cache_size=128,
        lookahead_size=32,
        disk_version=_DISK_VERSION,
    )
    try:
        for path in sorted(files):
            parent = PurePosixPath(path).parent
            if parent.parts:
                disk.makedirs(str(parent), exist_ok=True)
            with disk.open(path, "wb") as file:
                file.write(files[path])
        disk.unmount()
    except LittleFSError as error:
        total = sum(map(len, files.values()))
        raise FilesError(
            f"files of {total} bytes do not fit into a file system of {size}: {error}"
        ) from error
    return bytes(disk.context.buffer)
