"""Debian's mosquitto as the broker, with a certificate of an authority of its own."""

import json
import shutil
import ssl
import subprocess
import time
from pathlib import Path

import paho.mqtt.client as paho
import pytest
import trustme

from tools.platform import ports

_PROGRAM = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


class Mosquitto:
    """A broker that can be stopped and started again on its port, and a client that hears all.

    `port` is MQTT over TLS, `plain` without; `ws` and `wss` are WebSockets.
    """

    def __init__(self, folder: Path, device: dict, more: str = ""):
        """`more`: lines of mosquitto.conf."""
        if not _PROGRAM:
            pytest.skip("mosquitto is not installed (Debian: apt-get install mosquitto)")
        folder.mkdir()
        self.ca = folder / "ca.pem"
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca)
        server = authority.issue_cert("localhost", "127.0.0.1")
        server.cert_chain_pems[0].write_to_path(folder / "cert.pem")
        server.private_key_pem.write_to_path(folder / "key.pem")
        wanted = ports.choose({"mqtts": 0, "mqtt": 0, "ws": 0, "wss": 0})
        self.port, self.plain, self.ws, self.wss = wanted.values()
        passwords = folder / "passwords"
        passwords.write_text(f"{device['key_id']}:{device['key_secret']}\ntester:tester\n")
        subprocess.run(["mosquitto_passwd", "-U", passwords], check=True)
        tls = f"cafile {self.ca}\ncertfile {folder}/cert.pem\nkeyfile {folder}/key.pem\n"
        # mosquitto gives up its rights, and must be able to read all this.
        self._configuration = folder / "mosquitto.conf"
        self._configuration.write_text(
            f"user root\nallow_anonymous false\npassword_file {passwords}\n"
            "max_queued_messages 0\n"  # no limit: devices may be faster than who hears them
            f"{more}listener {self.port} 127.0.0.1\n{tls}"
            f"listener {self.plain} 127.0.0.1\n"
            f"listener {self.ws} 127.0.0.1\nprotocol websockets\n"
            f"listener {self.wss} 127.0.0.1\nprotocol websockets\n{tls}"
        )
        self._device = device["id"]
        self._log = (folder / "log").open("w")
        self._process = None
        self.feeds: list[dict] = []

    def __enter__(self) -> "Mosquitto":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()
        self._log.close()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [_PROGRAM, "-c", self._configuration], stdout=self._log, stderr=self._log
        )
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._client.username_pw_set("tester", "tester")
        self._client.tls_set(str(self.ca), tls_version=ssl.PROTOCOL_TLS_CLIENT)
        self._client.on_message = lambda _client, _data, message: self.feeds.append(
            json.loads(message.payload)
        )
        end = time.monotonic() + 10
        while True:
            try:
                self._client.connect("localhost", self.port)
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        self._client.subscribe(f"csipio/data/out/devices/{self._device}/json", 1)
        self._client.loop_start()

    def stop(self) -> None:
        # The broker first: what it acknowledged while nobody listened would seem to be lost.
        self._process.terminate()
        self._process.wait(10)
        self._client.loop_stop()
        self._client.disconnect()

    def command(self, name: str, payload: bytes, retain: bool = False) -> None:
        """Send the device a command. `retain`: and every later session of the device, too."""
        topic = f"csipio/data/in/devices/{self._device}/properties/{name}"
        self._client.publish(topic, payload, 1, retain).wait_for_publish(10)

    def points(self, prop: str) -> list[tuple[str, object]]:
        """(time, value) of every point that arrived, in the order of arrival."""
        return [(p["t"], p["v"]) for feed in self.feeds for p in feed["dps"] if p["prop"] == prop]
