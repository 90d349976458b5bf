"""Raw values and methods over HTTPS to the byte, and what each answer does."""

import json

from api import Platform, receipt
from firmware.link.single_values import call_method, write_value
from peers import failure


async def test_a_raw_value_is_an_object_with_its_name():
    platform = Platform(receipt(1))
    await write_value(platform.api, "alarm", "21 °C")
    line, body = platform.requests[0]
    assert line == "POST /v3/data/devices/_this_"
    assert json.loads(body) == {"alarm": "21 °C"}
    assert platform.api.rejected == 0


async def test_a_raw_value_that_is_rejected_is_counted():
    platform = Platform(receipt(0, 1))
    await write_value(platform.api, "alarm", True)
    assert platform.api.rejected == 1


async def test_raw_values_that_did_not_arrive_are_told():
    for answer, text in (
        ((500, b"{}"), "the API answered 500"),
        ((400, b"{}"), "the API answered 400"),
        ((301, b"{}"), "the API answered 301"),
        ((200, b"<html>"), "the API's answer is no receipt"),
        ((200, b"[]"), "the API's answer is no receipt"),
        ((200, b"[" * 8000), "the API's answer is no receipt"),
        ((200, b'{"accepted":1,"x":%s}' % (b"[" * 1000)), "the API's answer is no receipt"),
        ((429, b"{}"), "the API answered 429"),
        (b"SSH-2.0\r\n\r\n", "what answers is no HTTP server; is https.url right?"),
    ):
        platform = Platform(answer)
        assert str(await failure(write_value(platform.api, "a", 1))) == text
        assert platform.api.rejected == 0


async def test_too_many_raw_values_slow_everything_down():
    for call in (
        lambda api: write_value(api, "a", 1),
        lambda api: call_method(api, "open", 5),
    ):
        platform = Platform((429, b"{}"))
        await failure(call(platform.api))
        assert not platform.pace.ready(50000)


async def test_a_method_is_called_by_its_name():
    platform = Platform((200, b'{"result": [1]}'), (200, b'{"result": null}'))
    await call_method(platform.api, "open", 5)
    await call_method(platform.api, "a b/c?°", {"x": None})
    assert platform.requests == [
        ("POST /v3/data/devices/_this_/methods/open", b'{"value": 5}'),
        ("POST /v3/data/devices/_this_/methods/a%20b%2Fc%3F%C2%B0", b'{"value": {"x": null}}'),
    ]


async def test_what_has_no_time_of_its_own_is_not_sent_twice_where_a_kept_connection_went_stale():
    for call in (
        lambda api: call_method(api, "open", 5),
        lambda api: write_value(api, "a", 2),
    ):
        platform = Platform(receipt(1))
        await write_value(platform.api, "a", 1)
        platform.answers = [b"", receipt(1)]
        await failure(call(platform.api))
        assert len(platform.requests) == 2


async def test_what_is_no_result_of_a_method_is_told():
    for answer in (b"<html>", b"[]", b"{}", b"7", b""):
        platform = Platform((200, answer))
        error = await failure(call_method(platform.api, "open", 1))
        assert str(error) == "the API's answer is no result of a method", answer
    platform = Platform((404, b"{}"))
    assert str(await failure(call_method(platform.api, "o", 1))) == "the API answered 404"
