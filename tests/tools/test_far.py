"""The networks of the bench: what they do to bytes, and how long it takes."""

import contextlib
import socket
import threading
import time

import pytest

from tools.faults.far import Far, Stalled
from tools.faults.proxy import Loop, Proxy

_ROUND_TRIP_S = 0.2
_SENT = bytes(range(256)) * 4096 * 4  # 4 MiB: 64 reads of the proxy, at the least


@pytest.fixture
def echo():
    """A server that sends back what it gets."""

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                while data := connection.recv(65536):
                    connection.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(echo):
    with Loop() as loop, Proxy(loop, (*echo, None)) as proxy:
        yield proxy


def receive(connection, size):
    received = bytearray()
    while len(received) < size:
        received += connection.recv(min(65536, size - len(received)))
    return received


def test_all_comes_a_round_trip_later_and_no_rate_is_limited(proxy):
    proxy.inject(Far(_ROUND_TRIP_S))
    with socket.create_connection(("127.0.0.1", proxy.port)) as connection:
        connection.sendall(b"?")
        receive(connection, 1)
        began = time.monotonic()
        threading.Thread(target=connection.sendall, args=(_SENT,)).start()
        first = receive(connection, 1)
        first_s = time.monotonic() - began
        rest = receive(connection, len(_SENT) - 1)
        rest_s = time.monotonic() - began - first_s
    assert first + rest == _SENT
    assert first_s >= _ROUND_TRIP_S
    # A delay for each read would be 64 times half a round trip.
    assert rest_s < 3, "it limits the rate"


def test_what_a_stall_has_held_comes_when_it_is_over(proxy):
    with socket.create_connection(("127.0.0.1", proxy.port)) as connection:
        connection.sendall(b"before")
        assert receive(connection, 6) == b"before"
        stall = Stalled()
        proxy.inject(stall)
        connection.sendall(b"during")
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(None)
        proxy.heal()
        assert receive(connection, 6) == b"during"
