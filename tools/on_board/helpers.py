"""Runs on the board: what `csipio deploy` asks of it. Sent to the REPL as it stands.

What takes long prints as it goes on: mpremote gives up after 10 s of silence.
"""

import binascii
import gc
import hashlib
import os
import sys

# Other file systems that stand in the root.
_MOUNTED = ("rom", "sd", "remote")


def _can_import(module):
    try:
        __import__(module)
        return True
    except ImportError:
        return False


def _facts():
    gc.collect()
    implementation = sys.implementation
    return {
        "platform": sys.platform,
        "machine": implementation._machine,
        "micropython": implementation.version[:3],
        "bytecode": getattr(implementation, "_mpy", 0) & 0xFF,
        "heap": gc.mem_free() + gc.mem_alloc(),
        "regions": _regions(),
        "frozen": _frozen_version(),
        "frozen_umqtt": _frozen("umqtt.simple") is not None,
        "romfs": _rom_size(),
    }


def _regions():
    """ESP-IDF's memory: a list of (total, free, largest free block)."""
    try:
        import esp32

        return [region[:3] for region in esp32.idf_heap_info(esp32.HEAP_DATA)]
    except (ImportError, AttributeError):
        return []


def _frozen(module):
    """The module if it is part of this MicroPython itself, else None."""
    path = sys.path[:]
    before = set(sys.modules)
    sys.path[:] = [".frozen"]
    try:
        __import__(module)
        return sys.modules[module]
    except ImportError:
        return None
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - before:
            del sys.modules[name]


def _frozen_version():
    module = _frozen("firmware")
    return None if module is None else getattr(module, "VERSION", "")


def _rom():
    """What the ROMFS partition is read through, or None without one."""
    try:
        import vfs

        if not hasattr(vfs, "VfsRom") or vfs.rom_ioctl(1) <= 0:
            return None
        device = vfs.rom_ioctl(2, 0)
    except (ImportError, AttributeError):
        return None
    return None if isinstance(device, int) else device


def _rom_size():
    device = _rom()
    if device is None:
        return 0
    if hasattr(device, "ioctl"):
        return device.ioctl(4, 0) * device.ioctl(5, 0)
    return len(device)


def _rom_hash(size):
    sha = hashlib.sha256()
    view = memoryview(_rom())
    for at in range(0, size, 4096):
        sha.update(view[at : min(at + 4096, size)])
    return binascii.hexlify(sha.digest()).decode()


def _walk(path):
    try:
        is_folder = os.stat(path)[0] & 0x4000
    except OSError:
        return
    if not is_folder:
        yield path
        return
    for name in os.listdir(path):
        yield from _walk(path + "/" + name)


def _hash(path):
    sha = hashlib.sha256()
    buffer = bytearray(512)
    with open(path, "rb") as file:
        while True:
            n = file.readinto(buffer)
            if not n:
                return binascii.hexlify(sha.digest()).decode()
            sha.update(memoryview(buffer)[:n])


def _hashes(paths):
    for path in paths:
        for found in _walk(path):
            print(_hash(found), found)


def _parent(path):
    return path.rpartition("/")[0]


def _make_folders(path):
    if path:
        _make_folders(_parent(path))
        try:  # noqa: SIM105 - MicroPython has no contextlib
            os.mkdir(path)
        except OSError:
            pass


def _copy_files(folder, target, without):
    """Copy the files of a folder, but for some; print each."""
    for path in _walk(folder):
        if path not in without:
            _copy(path, target + path)
            print(path)


def _copy(source, target):
    _make_folders(_parent(target))
    buffer = bytearray(512)
    with open(source, "rb") as file, open(target, "wb") as copy:
        while True:
            n = file.readinto(buffer)
            if not n:
                return
            copy.write(memoryview(buffer)[:n])


def _clear(path):
    """Remove a file or a folder with all that is in it; print each file."""
    try:
        is_folder = os.stat(path)[0] & 0x4000
    except OSError:
        return
    if not is_folder:
        os.remove(path)
        print(path)
        return
    for name in os.listdir(path):
        _clear(path + "/" + name)
    os.rmdir(path)


def _can_finish():
    """Whether boot.py finishes a deployment that was cut off."""
    try:
        with open("boot.py") as file:
            return "deploy.tmp/finish.py" in file.read()
    except OSError:
        return False


def _finish_cut_off():
    try:
        with open("deploy.tmp/finish.py") as file:
            text = file.read()
    except OSError:
        return
    exec(text, {})


def _settle():
    """Make littlefs write the root directory anew, so that it is short.

    littlefs appends each change to a block of 4 KiB and reads all of them again for a look-up;
    for a rename out of the directory once for each. When the block is full, it writes what still
    holds to the other block of the pair, with the next revision in the first four bytes.
    """
    try:
        from esp32 import Partition

        flash = Partition.find(Partition.TYPE_DATA, label="vfs")[0]
    except (ImportError, IndexError):
        return
    buffer = bytearray(8)
    view = memoryview(buffer)

    def revisions():
        flash.readblocks(0, view[:4], 0)
        flash.readblocks(1, view[4:], 0)
        return bytes(buffer)

    before = revisions()
    for _ in range(64):
        with open("deploy.pad", "wb") as file:
            file.write(b"-" * 100)
        if revisions() != before:
            break
    os.remove("deploy.pad")
