"""The machinery of the fuzz tests: how many streams there are, and that what fails is found."""

import random

import fuzz


def test_there_are_at_least_two_hundred_thousand_streams():
    assert sum(fuzz.STREAMS.values()) >= 200000


async def made(family, check, most_allocated=None):
    """(streams that were checked, what the family ended with)"""
    seen = []

    async def checked(data):
        seen.append(data)
        return await check(data)

    fuzz.STREAMS["a test"] = family
    try:
        await fuzz.each("a test", fuzz.noise, checked, most_allocated)
        return seen, None
    except Exception as error:
        return seen, error
    finally:
        del fuzz.STREAMS["a test"]


async def half(data):
    return "odd" if len(data) & 1 else "even"


async def test_each_run_has_the_same_streams_and_all_of_them():
    first, error = await made(500, half)
    assert error is None and len(first) == 500
    second, _ = await made(500, half)
    assert first == second
    assert len(set(first)) > 480


async def test_an_exception_ends_it():
    async def bad(data):
        if len(data) == 30:
            raise KeyError("x")
        return len(data)

    seen, error = await made(1000, bad)
    assert type(error) is KeyError and len(seen[-1]) == 30


async def test_streams_that_all_end_in_one_way_are_no_test():
    async def same(data):
        return "refused"

    _, error = await made(100, same)
    assert "prove little" in str(error)


async def test_what_one_allocates_is_measured():
    async def greedy(data):
        await half(data)
        bytes(5000)
        return len(data) & 1

    _, error = await made(100, greedy, 4000)
    assert "allocates 5" in str(error)
    _, error = await made(100, greedy, 6000)
    assert error is None


def test_damage_is_of_every_kind():
    random.seed(1)
    whole = bytes(range(40))
    found = [fuzz.mutated(whole, (b"splice",), (b"token",)) for _ in range(2000)]
    lengths = {len(data) for data in found}
    assert whole in found and min(lengths) == 0 and max(lengths) > 60
    for piece in (b"token", b"splice"[2:], b"\0\0\0"):
        assert len([data for data in found if piece in data]) > 20
