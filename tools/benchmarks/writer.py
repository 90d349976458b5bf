"""The stand-in's own share of a drain: a plain writer, whose packets are made beforehand.

    python -m tools.benchmarks.writer INFO POINTS FEED

INFO: a file with the stand-in's line of JSON. Over TLS, with QoS 1 and 16 feeds in flight.
"""

import json
import socket
import ssl
import sys
from pathlib import Path

from tools.faults import units

_IN_FLIGHT = 16
_ACKNOWLEDGEMENT = 4  # bytes


def _string(text: str) -> bytes:
    return len(text).to_bytes(2, "big") + text.encode()


def _connect(device: dict) -> bytes:
    body = b"\0\4MQTT\4\xc2\0\x19" + b"".join(
        _string(device[name]) for name in ("id", "key_id", "key_secret")
    )
    return bytes([units.CONNECT << 4, len(body)]) + body


def _feed(first: int, size: int) -> bytes:
    dps = [{"tt": n, "v": n, "prop": f"c{n % 20}"} for n in range(first, first + size)]
    feed = {"t": "2026-11-23T03:00:00.000Z", "dps": dps}
    return json.dumps(feed, separators=(",", ":")).encode()


def main(info: dict, points: int, size: int) -> None:
    device = info["device"]
    topic = f"csipio/data/out/devices/{device['id']}/json".encode()
    packets = [
        units.publish(topic, _feed(first, size), first // size + 1)
        for first in range(0, points, size)
    ]
    tls = ssl.create_default_context(cafile=info["ca"])
    plain = socket.create_connection((info["host"], info["mqtts"]))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with tls.wrap_socket(plain, server_hostname=info["host"]) as server:
        answers = server.makefile("rb")
        server.sendall(_connect(device))
        answers.read(_ACKNOWLEDGEMENT)
        for n, packet in enumerate(packets):
            server.sendall(packet)
            if n >= _IN_FLIGHT:
                answers.read(_ACKNOWLEDGEMENT)
        for _ in packets[:_IN_FLIGHT]:
            answers.read(_ACKNOWLEDGEMENT)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), int(sys.argv[2]), int(sys.argv[3]))
