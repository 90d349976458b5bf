"""Something else over the API's connection: behind readings and commands, and the way back."""

import asyncio

from peers import until
from world import World


async def test_https_carries_the_feeds_while_there_is_an_errand_and_mqtt_comes_back():
    async with World(grace_s=2) as world:
        await world.connected()
        world.put(1)
        await world.empty()
        assert world.link.asked
        await until(lambda: world.link.sent, "a feed that was taken")
        went = []

        async def errand():
            went.append(world.link.failover.state)
            await asyncio.sleep_ms(1)
            if len(went) == 3:
                world.put(2)
            if len(went) >= 10:
                # The reading did not wait for the errand's end, nor for MQTT's grace.
                assert len(world.api.feeds) == 1 and not world.broker.open
                world.link.errand = None

        world.link.errand = errand
        await until(lambda: len(went) == 10, "the errand")
        assert set(went) == {"https"}
        await world.connected(2)
        world.put(3)
        await world.empty()
        world.complete()


async def test_a_command_is_polled_for_before_the_errand_goes_on():
    async with World(poll_s=10) as world:
        await world.connected()
        asked = len(world.api.requests)

        async def errand():
            await asyncio.sleep_ms(20)

        world.link.errand = errand
        world.skip(11000)
        await until(lambda: len(world.api.requests) == asked + 1, "a question for commands")
        world.skip(11000)
        await until(lambda: len(world.api.requests) == asked + 2, "another one")
        world.link.errand = None
        await world.connected(2)


async def test_a_range_comes_with_credentials_to_the_apis_own_host_alone():
    async with World() as world:
        await world.connected()
        got = bytearray()
        headers = b'Content-Range: bytes 0-4/9\r\nETag: "x"\r\n'
        world.api.state = (206, headers, b"hello")
        answers = []

        async def errand():
            own = "http://127.0.0.1:%d/releases/x?a=b" % world.api.port
            world.link.errand = None
            for url in (own, own.replace("127.0.0.1", "localhost")):
                answers.append(await world.link.api.fetch(url, {"Range": "bytes=0-4"}, got.extend))
            world.api.state = (200, b"", b"{}")

        world.link.errand = errand
        await until(lambda: len(answers) == 2, "the ranges")
        assert bytes(got) == b"hellohello"
        assert answers[0].status_code == 206
        assert answers[0].headers["content-range"] == "bytes 0-4/9"
        assert answers[0].headers["etag"] == '"x"'
        heads = [head for head in world.api.heads if b"Range: bytes=0-4\r\n" in head]
        assert [b"Authorization: " in head for head in heads] == [True, False]
        assert heads[0].startswith(b"GET /releases/x?a=b HTTP/1.1\r\n")
