"""Why the fallback does not use `requests`: what MicroPython's own does, shown on real servers.

If one of these fails, the module has changed, and docs/dependencies.md has to be read again.
"""

import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tools import micropython

DRIPS = 8
DRIP_S = 0.5


class Server(ThreadingHTTPServer):
    """/redirect leads to another server, /drip sends a byte now and then; keeps what it got."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.port = self.server_address[1]
        self.seen = []
        self.other = None


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.path, self.headers["Authorization"]))
        if self.path == "/redirect":
            self.send_response(307)
            other = f"http://localhost:{self.server.other.port}/elsewhere"
            self.send_header("Location", other)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(DRIPS))
        self.end_headers()
        for _ in range(DRIPS):
            time.sleep(DRIP_S if self.path == "/drip" else 0)
            self.wfile.write(b"x")

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def server():
    with Server() as running, Server() as running.other:
        servers = (running, running.other)
        for each in servers:
            threading.Thread(target=each.serve_forever, daemon=True).start()
        yield running
        for each in servers:
            each.shutdown()


def run(code: str) -> str:
    """What MicroPython prints."""
    done = subprocess.run(
        micropython.command("-c", "import requests\n" + code),
        env=micropython.environment([]),
        capture_output=True,
        text=True,
        timeout=30,
    )
    return done.stdout + done.stderr


def test_requests_talks_to_an_impostor(platform):
    """The stand-in's authority is in nobody's store, and it gets the password all the same."""
    url = platform.info["api"] + "/data/devices/_this_"
    assert run(f"print(requests.get({url!r}, auth=('key', 'secret')).status_code)") == "401\n"


def test_requests_takes_the_password_along_when_it_is_sent_elsewhere(server):
    url = f"http://127.0.0.1:{server.port}/redirect"
    run(f"requests.post({url!r}, data=b'x', auth=('key', 'secret'))")
    assert [path for path, _ in server.seen] == ["/redirect"]
    assert [path for path, _ in server.other.seen] == ["/elsewhere"]
    assert server.other.seen[0][1].startswith("Basic ")


def test_requests_keeps_its_timeout_for_every_byte_only(server):
    code = f"""
import time
t = time.ticks_ms()
r = requests.post('http://127.0.0.1:{server.port}/drip', data=b'x', timeout=1)
r.content
print(time.ticks_diff(time.ticks_ms(), t))
"""
    assert int(run(code)) > 1000 * DRIPS * DRIP_S * 0.9
