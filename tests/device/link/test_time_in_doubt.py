"""Which time is believed: where servers are wrong, or contradict each other and the platform."""

from firmware.base import uptime
from firmware.times.calendar import iso
from firmware.times.clock import Clock
from peers import UdpPeer, until
from time_servers import DATE, DATE_MS, DATED, T0, Pauses, Web, keeper, name, reply, server
from world import Shorter

HOURS = 3600000
DAYS = 24 * HOURS
ERA = 9 * 365 * DAYS  # from T0 to 2035


def http_date(utc_ms):
    """As a Date header has it; it is a Sunday."""
    text = iso(utc_ms)
    return "Sun, %s Nov %s %s GMT" % (text[8:10], text[:4], text[11:19])


def near(clock, utc_ms):
    return 0 <= clock.now() - utc_ms <= 2000


async def rounds(servers, count, after=None, url="http://localhost:1/v3", clock=None):
    """A clock after so many rounds with these servers, and the pauses between them. `after`:
    called after each, with its number and the Timekeeper.
    """
    clock = clock or Clock()
    kept = keeper(clock, [name(peer) for peer in servers], url)
    async with Pauses() as pauses:
        task = pauses.task(kept)
        for n in range(1, count + 1):
            await until(lambda n=n: len(pauses.asked) == n, "the next round")
            if after:
                await after(n, kept)
            pauses.over()
        task.cancel()
    return clock, pauses.asked


async def test_an_era_ahead_does_not_count_before_somebody_else_says_so():
    wrong = server(T0 + ERA)
    clock, _ = await rounds([wrong], 2)
    assert not clock.known, "nobody else is there, and it has said so only twice"
    clock, pauses = await rounds([server(T0 + ERA, T0)], 2)
    assert near(clock, T0) and max(pauses) <= 60
    # Another server; the one that is asked first is not believed alone, whichever that is.
    right = server()
    for servers in ([wrong, right], [right, wrong]):
        clock, _ = await rounds(servers, 1)
        assert near(clock, T0)
    other = server(T0 + ERA + 1000)
    clock, _ = await rounds([wrong, other], 1)
    assert near(clock, T0 + ERA + 1000), "perhaps the firmware is that old"
    clock, _ = await rounds([wrong], 3)
    assert near(clock, T0 + ERA), "so it was asked three times"


async def test_where_the_server_is_in_doubt_the_api_is_asked_at_once():
    web = Web(DATED % DATE)
    clock, _ = await rounds([server(T0 + ERA)], 1, url=web.url)
    assert near(clock, DATE_MS)
    assert not clock.sure, "nobody vouches for it"
    ahead = Web(DATED % http_date(DATE_MS + ERA).encode())
    clock, _ = await rounds([server(DATE_MS + ERA)], 1, url=ahead.url)
    assert near(clock, DATE_MS + ERA), "two of them say so"


async def test_an_answer_that_differs_wildly_from_the_clock_is_asked_for_again():
    for wrong_ms in (T0 + ERA, T0 + 2 * HOURS, T0 - 2 * HOURS, T0 + 61000):
        clock = Clock()
        clock.set(T0, uptime.ms())
        await rounds([server(wrong_ms, T0)], 1, clock=clock)
        assert near(clock, T0)
        await rounds([server(wrong_ms, T0)], 2, clock=clock)
        assert near(clock, T0)
        other = server(wrong_ms)
        await rounds([server(wrong_ms), server(T0)], 3, clock=clock)
        assert near(clock, T0), "the other one is right"
        await rounds([server(wrong_ms), other], 1, clock=clock)
        assert near(clock, wrong_ms), "both say so"
        # The only one there is must be right in the end: it was the clock that was wrong.
        await rounds([server(T0)], 3, clock=clock)
        assert near(clock, T0)
    clock = Clock()
    clock.set(T0, uptime.ms())
    _, pauses = await rounds([server(T0 + 30000)], 1, clock=clock)
    assert near(clock, T0 + 30000), "a drift"
    assert pauses == [3600]


async def test_the_platforms_date_settles_it():
    """A router that takes local time for UTC is wrong for as long as it runs."""

    async def reached(n, kept):
        if n == 1:
            assert not kept._clock.sure
            kept.dated(http_date(T0))

    for wrong_ms in (2 * HOURS, -14 * HOURS + 5000, 90000):
        told = []
        router = server(T0 + wrong_ms)
        clock = Clock()
        kept = keeper(clock, [name(router)], told=told)
        async with Pauses() as pauses:
            task = pauses.task(kept)
            await until(lambda: pauses.asked, "the first answer")
            assert near(clock, T0 + wrong_ms) and not clock.sure
            kept.dated(http_date(T0))
            assert near(clock, T0) and clock.sure and clock.vouched
            assert len(told) == 2 and 0 <= told[1] - T0 <= 2000, "the board's clock, too"
            for n in range(2, 8):
                pauses.over()
                await until(lambda n=n: len(pauses.asked) == n, "the next round")
                assert near(clock, T0)
            kept.dated(http_date(T0))
            task.cancel()
        assert router.asked == 7 and len(told) == 2
    # A server that is right.
    clock, _ = await rounds([server(T0 + 700)], 1, reached)
    assert near(clock, T0 + 700) and clock.sure and clock.vouched, "it knows the milliseconds"


async def test_where_it_is_further_from_the_platform_the_server_is_asked_once_more():
    async def reached(n, kept):
        kept.dated(http_date(T0))
        kept.dated(http_date(T0))
        assert not kept._clock.sure
        await until(lambda: kept._clock.sure, "another answer")

    for answers, right_ms in (
        ((T0 + 800 * DAYS, T0), T0),
        ((T0 + 3 * DAYS, T0 + 3 * DAYS), T0 + 3 * DAYS),
        ((T0 + 3 * DAYS, T0 - 5 * DAYS), T0),
    ):
        peer = server(*answers)
        clock, _ = await rounds([peer], 1, reached)
        assert near(clock, right_ms)
        assert clock.vouched == (right_ms == T0)
    # One that says nothing any more.
    left = [T0 + 3 * DAYS]

    def answer(data):
        return (reply(data, left[0], left.pop()),) if left else ()

    with Shorter("SNTP_MS", 50):
        clock, _ = await rounds([UdpPeer(answer)], 1, reached)
    assert near(clock, T0)


async def test_a_platform_that_does_not_say_when_is_reached_after_a_second_answer():
    async def reached(n, kept):
        for text in ("", "today", "Sat, 01 Jan 2000 00:03:20 GMT"):
            kept.dated(text)
        assert not kept._clock.sure
        await until(lambda: kept._clock.sure, "another answer")

    for answers, right_ms in (((T0,), T0), ((T0 + 90 * DAYS, T0), T0)):
        peer = server(*answers)
        clock, _ = await rounds([peer], 1, reached)
        assert near(clock, right_ms) and not clock.vouched
        assert peer.asked == 2 * len(answers), "more often only where they disagree"


async def test_a_time_with_which_no_certificate_is_valid_is_asked_of_the_api():
    """A router that was without power, too: the platform is never reached with its time."""
    web = Web(DATED % DATE)
    clock, pauses = await rounds([server(T0 - 500 * DAYS)], 3, url=web.url)
    assert near(clock, DATE_MS)
    assert pauses == [60, 60, 60]


async def test_the_operating_systems_clock_is_never_in_doubt():
    clock = Clock()
    kept = keeper(clock, [])
    async with Pauses() as pauses:
        task = pauses.task(kept)
        await until(lambda: pauses.asked, "the clock")
        before_ms = clock.now()
        assert clock.sure and clock.vouched
        kept.dated(http_date(T0 + ERA))
        assert clock.now() - before_ms < 2000
        task.cancel()
