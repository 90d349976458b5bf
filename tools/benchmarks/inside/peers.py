"""What people use today, each as a competent user writes it: a way to deliver feeds.

A way is called with the stand-in's line of JSON and an iterator of feeds, bytes; it returns when
the last one is acknowledged. All verify the server's certificate but `requests`, which cannot.
"""

import time

import verified


def simple(info, feeds):
    """umqtt.simple: publish and wait, in a loop."""
    _publish(verified.client(info), info, feeds)


def at_once(info, feeds):
    """The same, its sockets with TCP_NODELAY."""
    verified.at_once()
    simple(info, feeds)


def robust(info, feeds):
    """umqtt.robust, that connects again by itself."""
    from umqtt.robust import MQTTClient

    _publish(verified.client(info, MQTTClient), info, feeds)


def _publish(client, info, feeds):
    client.connect()
    for feed in feeds:
        client.publish(topic(info), feed, qos=1)


def chumicro(info, feeds):
    """chumicro-mqtt: as many feeds in flight as its queue is made for."""
    client = Chumicro(info)
    for feed in feeds:
        while len(client.kept) >= Chumicro.WINDOW:
            client.step(1000)
        client.kept.append(feed)
    while client.kept:
        client.step(1000)


class Chumicro:
    """Its client, connected, driven as its runner does: a step when the socket is ready."""

    WINDOW = 16  # of the 20 that its queue takes

    def __init__(self, info):
        import select

        from chumicro_mqtt.client import MQTTClient
        from chumicro_sockets import ssl_context_with_ca
        from chumicro_sockets.sockets_factory import fixed_connector_factory
        from chumicro_timing import ticks_ms

        device = info["device"]
        with open(info["ca"]) as file:
            context = ssl_context_with_ca(file.read())
        self._client = MQTTClient(
            transport_factory=fixed_connector_factory(
                info["host"], info["mqtts"], ssl_context=context
            ),
            client_id=device["id"],
            username=device["key_id"],
            password=device["key_secret"],
            keep_alive_seconds=verified.KEEPALIVE_S,
        )
        self._topic = topic(info)
        self._ticks_ms, self._select = ticks_ms, select
        # Until they are acknowledged, oldest first: a session that ends forgets its own.
        self.kept = []
        self._in_flight = 0  # the first so many of them
        self._client.on_publish = self._published
        self._client.on_disconnect = self._disconnected
        self._client.connect()
        while self._client.state != "connected":
            self.step(100)

    def _published(self, topic, feed):
        self.kept.remove(feed)
        self._in_flight -= 1

    def _disconnected(self):
        self._in_flight = 0

    def step(self, wait_ms):
        """Wait until there is something to do, and do it."""
        if self._client.state == "connected":
            for feed in self.kept[self._in_flight : self.WINDOW]:
                self._client.publish(self._topic, feed, qos=1)
                self._in_flight += 1
        now = self._ticks_ms()
        socket, interest = self._client.io_socket, self._client.io_interest(now)
        if socket is not None and interest:
            poll = self._select.poll()
            events = (self._select.POLLIN if interest & 1 else 0) | (
                self._select.POLLOUT if interest & 2 else 0
            )
            poll.register(getattr(socket, "sock", socket), events)
            poll.poll(wait_ms)
        else:
            time.sleep_ms(min(wait_ms, 10))
        self._client.handle(self._ticks_ms())


def requests(info, feeds):
    """requests: a POST a feed, and a connection for each."""
    import requests

    device = info["device"]
    for feed in feeds:
        answer = requests.post(
            info["api"] + "/data/devices/_this_/properties",
            data=feed,
            headers={"Content-Type": "application/json"},
            auth=(device["key_id"], device["key_secret"]),
        )
        if answer.status_code != 200 or answer.json()["rejected"]:
            raise OSError(answer.text)
        answer.close()


def topic(info):
    return "csipio/data/out/devices/" + info["device"]["id"] + "/json"


def iso(t_ms):
    """ISO 8601, of milliseconds since 1970."""
    year, month, day, hour, minute, second = time.gmtime(t_ms // 1000)[:6]
    date = f"{year}-{month:02d}-{day:02d}"
    return f"{date}T{hour:02d}:{minute:02d}:{second:02d}.{t_ms % 1000:03d}Z"


WAYS = {
    "simple": simple,
    "at_once": at_once,
    "robust": robust,
    "chumicro": chumicro,
    "requests": requests,
}
