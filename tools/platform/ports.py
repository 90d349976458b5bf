"""Choosing ports that stay ours while nothing listens on them.

A port from the system's ephemeral range is a bad choice for a service that goes down and comes
back: meanwhile the system may give it to any outgoing connection, even to the client that keeps
knocking on it, which then finds itself connected to itself.
"""

import random
import socket

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
