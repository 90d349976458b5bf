"""The log's lines, and what keeps a value from breaking them."""

import json

from firmware.base.log import Log, harmless
from logs import logged


def test_a_line_has_uptime_level_room_and_text():
    log = Log("link")
    (line,) = logged(lambda: log.info("connected to %s in %d ms", "mqtt.csip.io", 12))
    uptime, rest = line[:12], line[12:]
    assert rest == " I link: connected to mqtt.csip.io in 12 ms", line
    seconds, milliseconds = uptime.strip().split(".")
    assert int(seconds) >= 0 and len(milliseconds) == 3, line
    assert len(uptime) == 12, line


def test_levels_have_their_letters_and_are_counted_over_all_rooms():
    warnings, errors = Log.warnings, Log.errors
    lines = logged(
        lambda: (
            Log("a").info("x"),
            Log("a").warning("x"),
            Log("b").error("x"),
            Log("c").error("x"),
        )
    )
    assert [line[13] for line in lines] == ["I", "W", "E", "E"], lines
    assert (Log.warnings - warnings, Log.errors - errors) == (1, 2)


def test_a_percent_sign_without_values_is_text():
    assert logged(lambda: Log("a").info("at 50 %"))[0].endswith(" a: at 50 %")


def test_values_that_do_not_fit_the_text_are_logged_all_the_same():
    (line,) = logged(lambda: Log("a").error("after %d ms", "many"))
    assert line.endswith(" E a: after %d ms ('many',)"), line


def test_a_value_cannot_forge_a_line_or_reach_the_terminal():
    hostile = "x\r\n      12.345 I app: all is well\x1b[2J\x00\x7f\x9b\u2028\u202e"
    (line,) = logged(lambda: Log("a").info("got %s", hostile))
    assert "\n" not in line and "\r" not in line and "\x1b" not in line, repr(line)
    assert line.endswith(
        "got x\\x0d\\x0a      12.345 I app: all is well\\x1b[2J\\x00\\x7f\\x9b\\u2028\\u202e"
    )


def test_printable_text_of_any_language_stays():
    assert harmless("21 °C – température 温度 😀") == "21 °C – température 温度 😀"


def test_half_a_surrogate_pair_is_escaped_because_it_is_not_utf8():
    assert harmless(json.loads('"\\ud83d"')) == "\\ud83d"


def test_a_long_text_is_cut():
    assert len(harmless("x" * 10000)) == 240
    assert harmless("x" * 10000).endswith("x…")
    assert harmless("x" * 240) == "x" * 240
