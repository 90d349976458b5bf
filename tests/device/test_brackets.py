"""firmware/brackets.py: how deep brackets are, and whether each is closed."""

import io

from firmware.brackets import depth


def of(text):
    return depth(io.BytesIO(text))


def test_how_deep_they_are():
    for text, expected in (
        (b"", 0),
        (b"21.5", 0),
        (b"[]", 1),
        (b'{"a": [1, {"b": 2}], "c": []}', 3),
        (b"[[[[[[[]]]]]]]", 7),
        (b"[" * 200 + b"]" * 200, 200),
    ):
        assert of(text) == expected, text


def test_those_in_strings_do_not_count():
    assert of(b'"[[["') == 0
    assert of(b'{"password": "a{b[c\\"}"}') == 1
    assert of(b'["\\\\", "]"]') == 1


def test_what_is_not_closed_is_told_apart_wherever_it_ends():
    whole = b'{"mqtt": {"url": "mqtts://a\\"b]", "list": [1, [2, 3]]}, "on": true}'
    assert of(whole) == 4
    for end in range(1, len(whole)):
        assert of(whole[:end]) == -1, whole[:end]
    # Blocks of 128 bytes end anywhere.
    for more in range(120, 136):
        assert of(b" " * more + whole) == 4
        assert of(b" " * more + whole[:-1]) == -1
