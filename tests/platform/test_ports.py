"""Ports and listening sockets."""

import socket

import pytest

from tools.platform import ports


def test_chosen_ports_differ_and_wanted_ones_stay(monkeypatch):
    monkeypatch.setattr(ports, "BELOW_EPHEMERAL", range(21000, 21110))
    for _ in range(20):
        chosen = ports.choose({"mqtt": 0, "mqtts": 21050, "ws": 0, "https": 0})
        assert chosen["mqtts"] == 21050
        assert len(set(chosen.values())) == 4
        assert set(chosen.values()) <= set(range(21000, 21110))


def test_taken_ports_are_passed_over(monkeypatch):
    monkeypatch.setattr(ports, "BELOW_EPHEMERAL", range(21200, 21210))
    monkeypatch.setattr(ports, "_TRIES", 10)
    with socket.create_server((ports.HOST, 21205)):
        names = dict.fromkeys("abcdefghi", 0)
        assert 21205 not in ports.choose(names).values()
        with pytest.raises(OSError, match="no free ports"):
            ports.choose(names | {"j": 0})
