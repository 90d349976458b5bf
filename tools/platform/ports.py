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
BELOW_EPHEMERAL = range(20000, 32000)  # Linux hands out 32768 and up, macOS and Windows 49152
_TRIES = 100


def choose(wanted: dict[str, int]) -> dict[str, int]:
    """The wanted ports by name, with a free one in place of each 0, all different.

    Raises OSError when too few are found.
    """
    candidates = random.sample(BELOW_EPHEMERAL, _TRIES)
    free = (port for port in candidates if port not in wanted.values() and _is_free(port))
    try:
        return {name: port or next(free) for name, port in wanted.items()}
    except StopIteration:
        raise OSError(f"found no free ports in {BELOW_EPHEMERAL}") from None


def _is_free(port: int) -> bool:
    try:
        Listener(port).close()
    except OSError:
        return False
    return True


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
