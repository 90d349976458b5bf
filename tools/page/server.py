"""Serves the page from a thread of its own, on 127.0.0.1 alone."""

import socket
import threading
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI
from nicegui import ui

_TRIED = 50  # ports from the one that was asked for
_END_S = 5


class Server:
    """`with Server(draw, port) as server`; `draw` is called for each browser."""

    def __init__(self, draw: Callable[[], object], port: int):
        self._socket = _listen(port)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        app = FastAPI()
        ui.page("/", title="Csipio thermostat")(lambda: draw() and None)
        ui.run_with(app, dark=None, show_welcome_message=False)
        config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="page", daemon=True
        )

    def __enter__(self) -> "Server":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.should_exit = True
        self._thread.join(_END_S)
        self._socket.close()


def _listen(port: int) -> socket.socket:
    """On that port, or the next free one. Raises OSError."""
    for tried in range(port, port + _TRIED):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", tried))
        except OSError:
            sock.close()
            continue
        return sock
    raise OSError(f"no free port for the page from {port} to {port + _TRIED - 1}")
