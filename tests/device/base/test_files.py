"""Files that are written whole or not at all."""

import binascii
import json
import os

from firmware.base import files


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def test_what_fails_in_the_middle_leaves_the_file_as_it_was():
    write("a", b"old")

    def fail(file):
        file.write(b"ne")
        raise OSError(28)

    try:
        files.replace("a", fail)
    except OSError:
        assert read("a") == b"old"
        files.replace_json("a", {"new": [1]})
        assert json.loads(read("a")) == {"new": [1]}
        assert os.listdir() == ["a"]
        return
    raise AssertionError("that was not told")


def test_a_copy_and_its_sum():
    for size in (0, 1, 255, 256, 257, 1000):
        data = bytes(n % 251 for n in range(size))
        write("a", data)
        files.copy("a", "b")
        assert read("b") == data
        assert files.crc32("a") == files.crc32("b") == binascii.crc32(data)
    assert files.crc32("none") == -1
    assert files.exists("a") and not files.exists("none")


def test_files_are_the_same_to_the_last_byte():
    for size in (0, 255, 256, 512, 600):
        data = bytes(size)
        write("a", data)
        write("b", data)
        assert files.same("a", "b"), size
        write("b", data + b"x")
        assert not files.same("a", "b") and not files.same("b", "a"), size
        if size:
            write("b", data[:-1] + b"x")
            assert not files.same("a", "b"), size
    assert not files.same("a", "none") and not files.same("none", "a")
