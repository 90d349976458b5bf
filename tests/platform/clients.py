"""Clients that nobody here wrote, with the least around them: paho-mqtt and curl."""

import json
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as paho

WITHIN_S = 10


def eventually(condition, within_s=WITHIN_S):
    """The first true value of `condition()`; fails when there is none in time."""
    end = time.monotonic() + within_s
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"did not come true within {within_s} s")
        time.sleep(0.005)
    return value


def feed(*points, **attributes):
    """A Data Feed as text."""
    return json.dumps({**attributes, "dps": list(points)})


class Mqtt:
    """One MQTT connection as the device, unless told otherwise. Use with `with`."""

    def __init__(self, info, transport="tcp", ca=None, **options):
        key = options.get("key", info["device"])
        version = options.get("protocol", paho.MQTTv311)
        self.client = paho.Client(
            paho.CallbackAPIVersion.VERSION2,
            client_id=options.get("client_id", info["device"]["id"]),
            clean_session=None if version == paho.MQTTv5 else options.get("clean_session", True),
            protocol=version,
            transport="websockets" if transport == "ws" else "tcp",
            reconnect_on_failure=False,
        )
        self.client.username_pw_set(key["key_id"], options.get("secret", key["key_secret"]))
        self.client.max_inflight_messages_set(100)
        if transport == "tls":
            self.client.tls_set(ca or info["ca"])
        self.port = info[{"tcp": "mqtt", "tls": "mqtts", "ws": "ws"}[transport]]
        self.out = f"csipio/data/out/devices/{info['device']['id']}/"
        self.into = f"csipio/data/in/devices/{info['device']['id']}/"
        self.answer = None  # to CONNECT, in paho's words
        self.messages = []  # (topic, payload)
        self.whole = []  # the same, as paho has them
        self.acked = set()
        self.gone = threading.Event()
        self._granted = {}
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = lambda *_: self.gone.set()
        self.client.on_message = self._on_message
        self.client.on_publish = lambda _c, _u, mid, *_: self.acked.add(mid)
        self.client.on_subscribe = self._on_subscribe

    def __enter__(self):
        self.client.connect("localhost", self.port)
        self.client.loop_start()
        eventually(lambda: self.answer or self.gone.is_set())
        return self

    def __exit__(self, *_):
        self.client.disconnect()
        self.client.loop_stop()

    def send(self, topic, payload, qos=1):
        """Publish; returns the message id without waiting for the acknowledgement."""
        return self.client.publish(topic, payload, qos).mid

    def publish(self, topic, payload, qos=1):
        """Publish, and wait for the acknowledgement (QoS 0: until it is sent)."""
        mid = self.send(topic, payload, qos)
        eventually(lambda: mid in self.acked)

    def subscribe(self, topic_filter, qos=1):
        """The return code of the SUBACK: a QoS, or 128 for a refusal."""
        _, mid = self.client.subscribe(topic_filter, qos)
        return eventually(lambda: self._granted.get(mid))[0].value

    def _on_connect(self, _client, _user, _flags, reason, _properties):
        self.answer = str(reason)

    def _on_message(self, _client, _user, message):
        self.whole.append(message)
        self.messages.append((message.topic, message.payload))

    def _on_subscribe(self, _client, _user, mid, reasons, _properties):
        self._granted[mid] = reasons


@dataclass
class Answer:
    """An HTTP answer with its JSON body; header names are lower case."""

    status: int
    headers: dict
    body: object


class Curl:
    """The HTTPS API through curl, which verifies the certificate."""

    def __init__(self, info):
        self.info = info

    def get(self, path, key="device"):
        return self.request("GET", path, None, key)

    def post(self, path, body, key="device"):
        """`body` is text, or something to be written as JSON."""
        return self.request("POST", path, body if isinstance(body, str) else json.dumps(body), key)

    def request(self, method, path, body=None, key="device", *options):
        """`key` is device, client, `id:secret`, or None for no authentication."""
        command = ["curl", "-sS", "--cacert", self.info["ca"], "-X", method, "-D", "-", *options]
        if key in ("device", "client"):
            key = "{key_id}:{key_secret}".format(**self.info[key])
        if key:
            command += ["-u", key]
        if body is not None:
            command += ["--data-binary", "@-", "-H", "Content-Type: application/json"]
        path = path.replace("{id}", self.info["device"]["id"])
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder, "body")
            command += ["-o", str(out), self.info["api"] + path]
            done = subprocess.run(command, input=(body or "").encode(), capture_output=True)
            if done.returncode:
                raise ConnectionError(done.stderr.decode())
            head = done.stdout.decode().strip().split("\r\n\r\n")[-1].split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:])
            return Answer(int(head[0].split()[1]), headers, json.loads(out.read_bytes()))
