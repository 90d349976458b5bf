"""The name servers that a board and a computer know."""

import sys

import fake_esp32

fake_esp32.install()

from firmware.board import esp32, unix  # noqa: E402 needs the stand-ins


def test_name_servers_of_a_computer():
    with open("resolv.conf", "w") as file:
        file.write(
            "# nameserver 192.0.2.1\nsearch example\nnameserver\nnameserver 2001:db8::1\n"
            "nameserver 192.0.2.2\n\tnameserver  192.0.2.3 # the other\noptions ndots:1\n"
        )
    assert unix.name_servers("resolv.conf") == ["192.0.2.2", "192.0.2.3"]
    assert unix.name_servers("missing") == []


def test_name_servers_of_a_board():
    wlan = sys.modules["network"].WLAN
    wlan.ifconfig = lambda self: ("192.0.2.9", "255.255.255.0", "192.0.2.1", "192.0.2.53")
    assert esp32.name_servers() == ["192.0.2.53", "192.0.2.1"], "the router, if that is silent"
    wlan.ifconfig = lambda self: ("192.0.2.9", "255.255.255.0", "192.0.2.1", "192.0.2.1")
    assert esp32.name_servers() == ["192.0.2.1"]
    wlan.ifconfig = lambda self: ("192.0.2.9", "255.255.255.0", "0.0.0.0", "192.0.2.53")
    assert esp32.name_servers() == ["192.0.2.53"]
    wlan.ifconfig = lambda self: ("0.0.0.0",) * 4
    assert esp32.name_servers() == []
