"""umqtt's client for the stand-in's device, over TLS that verifies the broker.

A script beside this one gets the stand-in's line of JSON in a file that its first argument names.
"""

import binascii
import json
import socket
import ssl
import sys

from umqtt import simple

# MicroPython's newer name for what umqtt.simple 1.3.4 imports.
sys.modules["ussl"] = ssl

KEEPALIVE_S = 25
_IPPROTO_TCP, _TCP_NODELAY = 6, 1


class _AtOnce:
    """What umqtt.simple calls `socket`, whose sockets have TCP_NODELAY."""

    getaddrinfo = socket.getaddrinfo

    @staticmethod
    def socket():
        made = socket.socket()
        made.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
        return made


def at_once():
    """Let umqtt.simple's packets not wait for one another's acknowledgement.

    It writes each in pieces. It has no option for this, and makes its socket itself.
    """
    simple.socket = _AtOnce


def told():
    """The stand-in's line of JSON."""
    with open(sys.argv[1]) as file:
        return json.load(file)


def client(info, make=simple.MQTTClient):
    """A client that is not connected; make: umqtt.simple's class, or one derived from it."""
    device = info["device"]
    with open(info["ca"]) as file:
        lines = [line for line in file if not line.startswith("-----")]
    verified = {
        "server_hostname": info["host"],
        "cert_reqs": ssl.CERT_REQUIRED,
        "cadata": b"".join([binascii.a2b_base64(line) for line in lines]),
    }
    user, password = device["key_id"], device["key_secret"]
    port = info["mqtts"]
    return make(device["id"], info["host"], port, user, password, KEEPALIVE_S, True, verified)
