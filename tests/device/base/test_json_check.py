"""firmware/base/json_check.py: what is JSON as RFC 8259 has it, and how deep its brackets are."""

import io

from firmware.base.json_check import depth


def of(text):
    return depth(io.BytesIO(text))


def test_how_deep_they_are():
    for text, expected in (
        (b"21.5", 0),
        (b"[]", 1),
        (b'{"a": [1, {"b": 2}], "c": []}', 3),
        (b"[[[[[[[]]]]]]]", 7),
        (b"[" * 32 + b"]" * 32, 32),
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


def test_what_is_json_is_taken():
    for text in (
        b'""',
        b'"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD800\\uFfFf"',
        b'"\xc3\xa9\x7f/\'"',
        b"0",
        b"-0",
        b"-0.0",
        b"10.50",
        b"2e1",
        b"2E+10",
        b"1.5e-07",
        b"9" * 400,
        b" \t\r\n21.5 \t\r\n",
        b"true",
        b"false",
        b"null",
        b"[]",
        b" [ ] ",
        b"{}",
        b" { } ",
        b'[1,"2",null,[],{},true]',
        b'{"":"","a":1,"d":[{"b":-1e1},{}],"c":{"d":false}}',
        b'{ "a" : [ 1 , 2 ] , "b" : { "c" : null } }',
        b"\xef\xbb\xbf{}",
    ):
        assert of(text) >= 0, text
        assert of(b'{"a": [%s]}' % text) >= 0 or text[0] == 0xEF, text


def test_what_is_no_json_is_told():
    for text in (
        b"",
        b" ",
        b",21.5",
        b":21.5",
        b"21.5,",
        b"021.5",
        b"-021.5",
        b"00",
        b"21.",
        b".5",
        b"-",
        b"-.5",
        b"+21",
        b"2e",
        b"2e+",
        b"2e1.5",
        b"2e1e1",
        b"1.5.1",
        b"1-1",
        b"1_0",
        b"0x15",
        b"21\x00",
        b"\x0021",
        b"21 22",
        b"21\xa0",
        b"\x0b21",
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"nul",
        b"nulll",
        b"True",
        b"'a'",
        b'"a" "b"',
        b'"a"b',
        b'1"a"',
        b'"a\tb"',
        b'"a\x00b"',
        b'"a\nb"',
        b'"\\x41"',
        b'"\\u12"',
        b'"\\u00zz"',
        b'"\\u+123"',
        b'"\\"',
        b"[1 2]",
        b"[1,]",
        b"[,1]",
        b"[,]",
        b"[1,,2]",
        b"[1}",
        b"[1]]",
        b"[]]",
        b"]",
        b"}",
        b"[1:2]",
        b"{,}",
        b'{"a"}',
        b'{"a" 1}',
        b'{"a":}',
        b'{"a":1,}',
        b'{"a":1 "b":2}',
        b'{"a"::1}',
        b'{"a":1:2}',
        b'{"a":1]',
        b'{"a",1}',
        b"{1:2}",
        b"{a:2}",
        b"{null:2}",
        b'{["a"]:1}',
        b"{}{}",
        b"[][]",
        b"// no\n1",
        b"\xef\xbb\xbf",
        b"1\xef\xbb\xbf",
    ):
        assert of(text) == -1, text
        # Across two blocks of 128 bytes, too.
        assert of(b" " * 127 + text) == -1, text


def test_the_file_stands_after_the_byte_that_is_wrong():
    for more in (0, 100, 126, 127, 128, 129, 1000):
        file = io.BytesIO(b'{"a": [1,\n' + b" " * more + b'x], "b": 1}' + b" " * 500)
        assert depth(file) == -1
        assert file.tell() == 12 + more  # and after what ends a word
        file = io.BytesIO(b"[" + b" " * more + b"} " + b" " * 500)
        assert depth(file) == -1
        assert file.tell() == more + 2


def test_a_key_that_an_object_has_twice_is_told_apart():
    for text in (
        b'{"a":1,"a":2}',
        b'{"a": 1, "b": {"c": 1}, "a": 2}',
        b'{"x": [{"a": 1}, {"b": 1, "a": {}, "b": 1}]}',
        b'{"":1,"":1}',
        b'{"a\\"b":1,"a\\"b":2}',
    ):
        assert of(text) == -2, text
        assert of(b" " * 120 + text) == -2, text
    for text in (
        b'{"a": {"a": {"a": "a"}}, "b": "a", "c": "c"}',
        b'[{"a": 1}, {"a": 2}]',
        b'{"ab": 1, "a": 2, "b": 3, "A": 4}',
        b'{"a\\"b": 1, "b": 2, "a": 3, "a\\\\": 4}',
        b'{"a": ["a", "a"], "b": [[], {"a": 1}, [{"a": 2}]]}',
    ):
        assert of(text) > 0, text
    file = io.BytesIO(b'{"a": 1,\n"a": 2}' + b" " * 300)
    assert depth(file) == -2
    assert file.tell() == 12, "after the second one"


def test_brackets_without_end_are_not_followed():
    assert of(b"[" * 100000) == 33
    assert of(b'{"a":' * 1000) == 33
