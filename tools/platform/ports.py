"""Listening sockets: on ports that stay ours while nothing listens, and able to go down hard.

A port from the system's ephemeral range is a bad choice for a service that goes down and comes
back: meanwhile the system may give it to any outgoing connection, even to the client that keeps
knocking on it, which then finds itself connected to itself.
"""

import contextlib
import random
import socket
import weakref

HOST = "127.0.0.1"
_BELOW_EPHEMERAL = range(20000, 32000)  # Linux hands out 32768 and up, macOS and Windows 49152
_TRIES = 100


def choose(port: int) -> int:
    """`port` itself, or for 0 a free one. Raises OSError when none is found."""
    if port:
        return port
    for candidate in random.sample(_BELOW_EPHEMERAL, _TRIES):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, candidate))
            except OSError:
                continue
            return candidate
    raise OSError(f"no free port found between {_BELOW_EPHEMERAL[0]} and {_BELOW_EPHEMERAL[-1]}")


class Listener(socket.socket):
    """A listening TCP socket that can end every connection it has accepted.

    asyncio's servers know only the connections whose TLS handshake is done. Raises OSError if
    the port is taken.
    """

    def __init__(self, port: int):
        super().__init__()
        self._accepted: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        try:
            self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.bind((HOST, port))
        except OSError as error:
            self.close()
            raise OSError(error.errno, f"port {port}: {error.strerror}") from error
        self.setblocking(False)

    def accept(self) -> tuple[socket.socket, tuple]:
        connection, address = super().accept()
        self._accepted.add(connection)
        return connection, address

    def cut(self) -> None:
        """End the connections at once, with no word from the protocols above."""
        for connection in list(self._accepted):
            with contextlib.suppress(OSError):  # it has ended already
                connection.shutdown(socket.SHUT_RDWR)
