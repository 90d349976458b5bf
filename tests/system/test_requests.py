"""Why the fallback does not use `requests`: what MicroPython's own does, shown on real servers.

If one of these fails, the module has changed, and README's Dependencies has to be read again.
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
    """/redirect leads to another host name, /drip sends a byte now and then; keeps what it got."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen = []


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.headers["Host"], self.path, self.headers["Authorization"]))
        if self.path == "/redirect":
            self.send_response(307)
            port = self.server.server_address[1]
            self.send_header("Location", f"http://localhost:{port}/elsewhere")
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
    with Server() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


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
    port = server.server_address[1]
    run(f"requests.post('http://127.0.0.1:{port}/redirect', data=b'x', auth=('key', 'secret'))")
    assert [(host.split(":")[0], path) for host, path, _ in server.seen] == [
        ("127.0.0.1", "/redirect"),
        ("localhost", "/elsewhere"),
    ]
    assert server.seen[1][2].startswith("Basic ")


def test_requests_keeps_its_timeout_for_every_byte_only(server):
    port = server.server_address[1]
    code = f"""
import time
t = time.ticks_ms()
r = requests.post('http://127.0.0.1:{port}/drip', data=b'x', timeout=1)
r.content
print(time.ticks_diff(time.ticks_ms(), t))
"""
    assert int(run(code)) > 1000 * DRIPS * DRIP_S * 0.9
