"""The header of a segment: written in pieces, and read in pieces wherever they are cut."""

import io
import json
from binascii import crc32

from firmware.points import journal_reader
from firmware.points.journal_reader import Records, read_header
from firmware.points.journal_record import Writer, write_header
from firmware.points.properties import NONE, Properties
from model import Time
from spilling import spill, spilling

HEAP = "2M"


def written(*text):
    file = io.BytesIO()
    size, seed = write_header(file, list(text))
    assert size == len(file.getvalue()) and seed == crc32(b"".join(text))
    return file.getvalue()


def read(data, properties=None):
    """(header, indexes, bytes, seed)"""
    file = io.BytesIO(data + b"records")
    found = read_header(file, properties)
    assert file.read() == b"records"
    return found


def refused(data):
    try:
        read_header(io.BytesIO(data), None)
        return False
    except ValueError:
        return True


def table(count, size):
    names = [("p%02d" % n + "x" * size)[:64] for n in range(count)]
    return names, " ".join(["%s %d" % (name, n % 7) for n, name in enumerate(names)])


def test_a_header_as_json_writes_it_is_read_whatever_its_order():
    names, words = table(63, 64)
    parts = ['"resolution": 7', '"newest": 1795344000000', '"era": [7, -1, 1795344000001]']
    for at in range(4):
        text = "{%s}" % ", ".join(parts[:at] + ['"properties": "%s"' % words] + parts[at:])
        assert json.loads(text)["properties"] == words
        properties = Properties([(name, n % 7) for n, name in enumerate(names)])
        header, indexes, size, _ = read(written(text.encode()), properties)
        assert header["resolution"] == 7 and header["newest"] == 1795344000000
        assert header["era"] == [7, -1, 1795344000001]
        assert list(indexes) == list(range(63)) and header["same"]
        assert size == 2 * (14 + len(text))


def test_wherever_the_pieces_are_cut():
    for size in range(0, 64, 3):
        for count in (0, 1, 2, 40):
            names, words = table(count, size)
            text = b'{"resolution": 0, "properties": "%s", "newest": -1}' % words
            properties = Properties([])
            header, indexes, _, _ = read(written(text[:7], text[7:]), properties)
            assert (header["newest"], header["resolution"]) == (-1, 0)
            assert properties.names == names, (size, count)
            assert list(properties.decimals) == [n % 7 for n in range(count)]
            assert len(indexes) == count


def test_properties_are_found_by_name_and_added_where_they_are_not_known():
    text = b'{"properties": "c 1 a 2 d 3"}'
    properties = Properties([("a", 2), ("b", 0), ("c", 1)])
    header, indexes, _, _ = read(written(text), properties)
    assert list(indexes) == [2, 0, 3] and not header["same"]
    assert properties.names == ["a", "b", "c", "d"] and list(properties.decimals) == [2, 0, 1, 3]
    properties = Properties([("p%d" % n, 0) for n in range(62)])
    assert list(read(written(text), properties)[1]) == [62, NONE, NONE]


def test_the_same_are_the_same_in_order_number_and_decimals():
    for text, same in (
        (b"a 2 b 0", True),
        (b"b 0 a 2", False),
        (b"a 2 b 1", False),
        (b"a 2", False),
        (b"a 2 b 0 c 0", False),
        (b"", False),
    ):
        properties = Properties([("a", 2), ("b", 0)])
        data = written(b'{"properties": "%s"}' % text)
        # One that was added is one too many.
        assert (read(data, properties)[0]["same"] and len(properties.names) == 2) is same, text


def test_either_copy_is_enough():
    _, words = table(63, 64)
    data = written(b'{"newest": 5, "properties": "%s"}' % words)
    half = len(data) // 2
    for at in list(range(0, half, 97)) + [0, 7, 8, 9, 13, half - 1]:
        for place, size in ((at, len(data)), (half + at, len(data))):
            damaged = bytearray(data)
            damaged[place] ^= 0x41
            header, _, found, _ = read(bytes(damaged))
            assert header["newest"] == 5 and found == size
        damaged[at] ^= 0x41
        assert refused(bytes(damaged))


def test_what_is_no_header_is_refused():
    data = written(b'{"newest": 5}')
    for wrong in (b"", b"x", b"\x93Csipio2", data[1:20], bytes(20000), b"\x93Csipio2" * 2000):
        assert refused(wrong), wrong[:20]


def test_the_journals_own_header_is_what_it_was():
    """An earlier firmware's journal is read, and an earlier firmware reads this one."""
    queue = spilling(Time(), ("a", "b"))
    spill(queue, Time(), 1)
    with open("journal/00000001.seg", "rb") as file:
        start = file.read(14)
        assert start[:8] == b"\x93Csipio2"
        text = file.read(int.from_bytes(start[8:10], "little"))
        file.seek(0)
        assert Records(file).next() == 0x40
    header = json.loads(text)
    assert header["properties"] == "a 2 b 2"
    assert sorted(header) == ["era", "newest", "properties", "resolution"]


class Pressed(io.BytesIO):
    """A file; after so many writes Ctrl-C is pressed, once."""

    after = 0

    def write(self, data):
        super().write(data)
        self.after -= 1
        if self.after == 0:
            raise KeyboardInterrupt


def test_ctrl_c_in_the_middle_of_a_record_costs_none_and_dates_none_falsely():
    """On a board it comes between any two steps; what is left is spilled by the same writer."""
    day = 86400000
    points = [(0, n // 3 * 5000 + n // 6 * 60 * day, -1, n) for n in range(12)]
    points += [(0, 1000 + n, 7, n) for n in range(3)]
    for after in range(1, 36):
        file = Pressed()
        writer = Writer(file, *write_header(file, [b'{"properties": "a 0"}']))
        file.after = after
        for point in points:
            try:
                writer.put(*point)
            except KeyboardInterrupt:
                writer.put(*point)
        file.seek(0)
        records = Records(file)
        found = []
        while records.next() >= 0:
            point = (records.kind, records.t, records.cycle, records.value)
            if not found or found[-1] != point:  # one may be there twice: it has its own time
                found.append(point)
        assert found == points and not records.damaged, (after, records.damaged)
    assert file.after > 0, "the last one was not pressed any more"


def test_where_no_block_for_a_group_is_free_all_is_read_one_by_one():
    file = io.BytesIO()
    writer = Writer(file, *write_header(file, [b'{"properties": "a 0"}']))
    points = [(0, 5000 * n, -1, n) for n in range(200)]
    for point in points:
        writer.put(*point)
    refused = []

    def limited(size=0):
        if size > 176:
            refused.append(size)
            raise MemoryError
        return bytearray(size)

    for block in (bytearray, limited):
        file.seek(0)
        journal_reader.bytearray = block  # in the place of Python's own
        records = Records(file)
        found = []
        while records.next() >= 0:
            found.append((records.kind, records.t, records.cycle, records.value))
        assert found == points and not records.damaged
    del journal_reader.bytearray
    assert refused == [704]
