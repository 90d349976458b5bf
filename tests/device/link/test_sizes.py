"""How large a feed may be: what the platform has said, and what a broker shows by closing."""

import os

from peers import until
from world import World

HEAP = "2M"


class Closing:
    """Has a World's broker close at a feed of more bytes than this, as it does without a word."""

    def __init__(self, world, most):
        self.cuts = 0
        self.most = most
        self._answer = world.broker._answer
        world.broker._answer = self._close

    async def _close(self, conn, first, body):
        if first in (0x32, 0x3A) and len(body) > self.most:
            self.cuts += 1
            raise EOFError
        await self._answer(conn, first, body)


def sizes(feeds):
    return [len(found) for _, found in feeds]


async def told(world):
    """For a World whose platform takes no more than four points in a feed."""
    world.api.state = (200, b"", b'{"ingestion":{"rateLimit":6000,"maxNrOfDpPerFeed":4}}')
    await world.connected()


async def delivered(world, failures=12):
    """All of it over MQTT, past any back-off."""
    await world._past(world.link.failover.mqtt, lambda: not len(world.queue), "an empty queue")


async def test_limits_that_were_told_hold_after_a_restart_without_the_api():
    async with World() as world:
        await told(world)
    async with World(https=False) as world:
        await world.connected()
        world.put(*range(20))
        await world.empty()
        world.complete()
        assert max(sizes(world.broker.feeds)) == 4


async def test_where_none_were_ever_told_feeds_are_small():
    async with World(https=False) as world:
        await world.connected()
        world.put(*range(20))
        await world.empty()
        world.complete()
        assert max(sizes(world.broker.feeds)) == 5


async def test_limits_that_cannot_be_kept_are_in_force_all_the_same():
    os.mkdir("limits.json")
    async with World() as world:
        await told(world)
        world.put(*range(8))
        await world.empty()
        assert max(sizes(world.broker.feeds)) == 4
        assert world.told("E https_api: the platform's limits cannot be kept: ")


async def test_feeds_get_smaller_until_the_broker_takes_them_and_stay_so():
    async with World(grace_s=1000) as world:
        await world.connected()
        closing = Closing(world, 300)
        world.put(*range(40))
        await delivered(world)
        world.complete()
        # Ten points, five, and two, of some 60 bytes each; once is a coincidence.
        assert closing.cuts == 4, closing.cuts
        assert max(sizes(world.broker.feeds)) == 2
        assert world.told("at most 2 points from now on")
        world.put(*range(40, 80))
        await world.empty()
        assert closing.cuts == 4


async def test_it_is_not_long_until_they_are_small_enough():
    async with World(grace_s=1000) as world:
        await world.connected()
        for _ in range(8):
            world.link.failover.mqtt.failed(0)  # it was away for long
        closing = Closing(world, 300)
        world.put(*range(20))
        while closing.cuts < 4:
            cuts = closing.cuts
            await until(lambda n=cuts: closing.cuts > n, "the next session")
        await world.empty()


async def test_a_size_that_has_passed_is_not_to_blame_for_the_end_of_a_session():
    async with World(grace_s=1000) as world:
        await world.connected()
        world.put(*range(10))
        await world.empty()
        for count in range(2, 6):
            world.broker.acknowledges = False
            world.put(*range(10 * count, 10 * count + 10))
            sent = len(world.broker.feeds)
            await until(lambda n=sent: len(world.broker.feeds) > n, "the feed")
            world.broker.conn.reset()
            world.broker.acknowledges = True
            await world.connected(count)
            await world.empty()
        world.complete()
        assert world.link._pace.most_points == 10


async def test_a_broker_that_takes_less_than_it_did_gets_smaller_feeds_too():
    async with World(grace_s=1000) as world:
        await world.connected()
        world.put(*range(10))
        await world.empty()
        closing = Closing(world, 300)
        world.put(*range(10, 30))
        await delivered(world)
        world.complete()
        assert closing.cuts <= 8, closing.cuts


async def test_a_text_that_no_feed_is_small_enough_for_is_counted_and_does_not_hold_up_the_rest():
    async with World(grace_s=1000, slots=512) as world:
        await world.connected()
        Closing(world, 600)
        world.put(1, 2)
        world.queue.put(0, "x" * 700)
        world.put(3, 4)
        await delivered(world)
        world.complete()
        assert world.queue.rejected == 1
        # The others are as large as before.
        world.put(*range(10, 15))
        await world.empty()
        assert max(sizes(world.broker.feeds)) == 5
