"""The cutting into units, and the table: what the other tests here rely on."""

import json

import pytest

from tests.faults import table
from tools.faults import units
from tools.faults.units import Messages, Packets, Records


def fed(splitter, data, size):
    """The units of `data` that comes in pieces of this size."""
    found = []
    for at in range(0, len(data), size):
        found += splitter.feed(data[at : at + size])
    return found


MQTT = [
    b"\x20\x02\x00\x00",
    units.puback(1),
    units.publish(b"a/b", b"x" * 200, 7),
    b"\xd0\x00",
    units.publish(b"a/b", b"x" * 20_000),
]
TLS = [
    b"\x16\x03\x03\x00\x06\x02\0\0\x02ab",
    b"\x14\x03\x03\x00\x01\x01",
    b"\x17\x03\x03\x01\x00" + bytes(256),
]
HTTP = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nabcde",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: b\r\n\r\n",
]


@pytest.mark.parametrize("size", [1, 3, 100, 100_000])
@pytest.mark.parametrize(
    ("splitter", "wanted"), [(Packets, MQTT), (Records, TLS), (Messages, HTTP)]
)
def test_units_are_whole_however_they_come(splitter, wanted, size):
    assert fed(splitter(), b"".join(wanted), size) == wanted


def test_what_is_not_whole_is_held():
    assert Packets().feed(MQTT[2][:-1]) == []
    assert Records().feed(TLS[0][:-1]) == []
    assert Messages().feed(HTTP[1][:-1]) == []


def test_packets_are_read_as_they_were_made():
    assert [units.kind(packet) for packet in MQTT] == [2, 4, 3, 13, 3]
    assert units.pid(units.puback(0xBEEF)) == 0xBEEF
    assert units.message(TLS[0]) == "ServerHello"
    assert units.message(TLS[1]) == "ChangeCipherSpec"


def test_what_is_encrypted_is_finished_whatever_its_first_byte():
    for first in range(256):
        record = b"\x16\x03\x03\x00\x28" + bytes([first]) + b"\xe3" * 39
        assert units.message(record) == "Finished"


def test_the_table_has_the_rows_of_one_run(tmp_path):
    def row(fault, pause_ms=3):
        return {
            "fault": fault,
            "met": 1,
            "pause_ms": pause_ms,
            "readings": 10,
            "taken": 10,
            "recovery_s": 0.5,
            "sockets": (6, 6),
            "heap": (1000, 2000),
        }

    old = tmp_path / "faults/Old 000.json"
    old.parent.mkdir()
    old.write_text(json.dumps({"family": "Old", **row("of an earlier run")}))
    table.add("B", 10, row("last"), tmp_path)
    table.add("B", 9, row("middle", table.BUDGET_MS + 1), tmp_path)
    table.add("A", 0, row("first"), tmp_path)
    lines = (tmp_path / "faults.md").read_text().splitlines()[-5:]
    assert lines == [
        "| **A** | | | | | | |",
        "| first | 1 | 3 | 10 of 10 | 0.5 | 6 → 6 | 1000 → 2000 |",
        "| **B** | | | | | | |",
        "| middle | 1 | **51** | 10 of 10 | 0.5 | 6 → 6 | 1000 → 2000 |",
        "| last | 1 | 3 | 10 of 10 | 0.5 | 6 → 6 | 1000 → 2000 |",
    ]
