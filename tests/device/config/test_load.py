"""config.json as a file: read, refused in which words, and the last good one."""

import json
import os
import random

from example import EXAMPLE, load_text
from firmware import config
from firmware.base import files
from firmware.base.log import Log
from firmware.config import load
from firmware.config.trial import Trial


def test_broken_json_is_told_with_its_line():
    for text, line in (
        ('{\n "mqtt": {},\n "feed" oops\n}', 3),
        ('{\n "mqtt": tru\n}', 2),
        ("", 1),
        ("{", 1),
        ("{}\n}", 2),
        ("hello", 1),
        ('{"a": 1}\n\n\nx', 4),
        ('{"a": 1}' + "\n" * 3000 + "x", 3001),
    ):
        assert load_text(text) == (
            None,
            [
                "config.json: not JSON at line %d or just before; look for a comma, quote or "
                "bracket that is missing or one too many" % line
            ],
        ), text


def test_a_key_that_is_there_twice_is_told_with_its_line():
    told = (
        'config.json: the key "%s" at line %d is there a second time in the same section; '
        "leave one of them"
    )
    long = "k" * 100
    for text, key, line in (
        ('{"mqtt": {},\n "mqtt": {}}', "mqtt", 2),
        ('{"mqtt": {"url": "mqtt://h",\n\n"url": "mqtts://h"}}', "url", 3),
        ('{"%s": 1,\n"%s": 2}' % (long, long), long[:40], 2),
        (EXAMPLE.replace('"mode": "heat"', '"mode": "heat", "setpoint": 20.0'), "setpoint", 15),
    ):
        assert load_text(text) == (None, [told % (key, line)]), text


def test_what_is_not_utf8_is_not_json():
    with open("config.json", "wb") as file:
        file.write(b'{"device": {"id": "\xff\xfe"}}')
    assert "not JSON at line 1" in load.load("config.json")[1][0]


def test_a_byte_order_mark_is_forgiven():
    assert load_text("\ufeff" + EXAMPLE)[1] == []


def test_another_top_level_is_refused():
    for text in ("[]", "3", "null", '"text"'):
        assert load_text(text)[1] == [
            "config.json: expected an object with sections: begin with { and end with }"
        ]


def test_a_missing_file_is_told_with_what_to_do():
    assert load.load("config.json") == (
        None,
        ["config.json: no such file; write one, see docs/configuration.md"],
    )


def test_an_unreadable_file_is_told():
    os.mkdir("config.json")
    settings, (problem,) = load.load("config.json")
    assert settings is None and problem.startswith("config.json: cannot be read: "), problem


def test_a_huge_file_is_not_read():
    assert load_text(EXAMPLE + " " * 16384)[1] == [
        "config.json: larger than 16384 bytes; is it the right file?"
    ]


def test_nesting_cannot_break_it():
    for text in ("[" * 16000, '{"a":' * 3000, '{"mqtt":%s%s}' % ("[" * 8000, "]" * 8000)):
        settings, problems = load_text(text)
        assert settings is None and len(problems) in (1, 2), problems


def test_no_mutation_of_the_example_breaks_it():
    """Bytes changed in the text, and values of any type at any place; settings or problems."""
    values = (None, True, -1, 1e999, 10**40, "", "x" * 50, "°/+#", [], [[]], {}, {"a": 1}, [{}])
    random.seed(11)
    for round_ in range(600):
        if round_ % 2:
            text = bytearray(EXAMPLE.encode())
            for _ in range(random.randint(1, 3)):
                text[random.randint(0, len(text) - 1)] = random.getrandbits(8)
        else:
            place = json.loads(EXAMPLE)
            text = place
            while True:
                keys = list(place) if type(place) is dict else list(range(len(place)))
                key = random.choice(keys)
                if type(place[key]) not in (dict, list) or not place[key] or round_ % 6 == 0:
                    place[key] = random.choice(values)
                    break
                place = place[key]
            text = json.dumps(text).replace("inf", "1e999")
        with open("config.json", "wb") as file:
            file.write(text)
        settings, problems = load.load("config.json")
        assert (settings is None) == bool(problems), text


def ran():
    """A start with which the regulation has run: what was in force, and the problems."""
    trial = Trial()
    found = load.load_good(trial)
    trial.proven()
    return found


def test_good_settings_are_kept_for_later_once_the_regulation_has_run_with_them():
    load_text(EXAMPLE)
    load.load_good(Trial())
    assert os.listdir() == ["config.json"]
    settings, problems = ran()
    assert problems == [] and settings["mqtt"]["grace_s"] == 10
    with open("config.good.json") as file:
        assert file.read() == EXAMPLE
    assert sorted(os.listdir()) == ["config.good.json", "config.json"]


def test_bad_settings_yield_the_last_good_ones_and_the_problems():
    load_text(EXAMPLE)
    ran()
    for text in (EXAMPLE.replace('"grace_s": 10', '"grace_s": -1'), "{", "[]"):
        load_text(text)
        settings, problems = load.load_good(Trial())
        assert settings["mqtt"]["grace_s"] == 10
        assert len(problems) == 1, problems
    os.unlink("config.json")
    settings, problems = load.load_good(Trial())
    assert settings["mqtt"]["grace_s"] == 10 and "no such file" in problems[0]


def test_newer_good_settings_replace_the_older():
    load_text(EXAMPLE)
    ran()
    load_text(EXAMPLE.replace('"grace_s": 10', '"grace_s": 20'))
    ran()
    load_text("{")
    assert load.load_good(Trial())[0]["mqtt"]["grace_s"] == 20


def test_without_any_good_settings_there_are_none():
    load_text("{")
    settings, problems = load.load_good(Trial())
    assert settings is None and len(problems) == 1, problems


def test_a_damaged_last_good_file_is_told_as_well():
    load_text("{")
    with open("config.good.json", "w") as file:
        file.write("[]")
    settings, problems = load.load_good(Trial())
    assert settings is None
    assert [problem.split(":")[0] for problem in problems] == ["config.json", "config.good.json"]


def test_settings_that_cannot_be_kept_are_used_all_the_same():
    load_text(EXAMPLE)
    os.mkdir("config.good.json.new")
    errors = Log.errors
    settings, problems = ran()
    assert settings is not None and problems == []
    assert Log.errors == errors + 1, "that it cannot be kept is told"


def test_that_the_last_good_configuration_is_in_force_is_said_only_then():
    load_text(EXAMPLE)
    ran()
    load_text("{")
    warnings = Log.warnings
    assert load.wait_for_good(Trial())["mqtt"]["grace_s"] == 10
    assert Log.warnings == warnings + 1


def test_settings_are_not_written_again_when_they_are_the_same():
    load_text(EXAMPLE)
    ran()
    errors = Log.errors
    os.mkdir("config.good.json.new")  # a second write would fail at this
    assert ran()[1] == [] and Log.errors == errors


def made(settings):
    """As the App is made, which one of these settings is not."""
    if settings["mqtt"]["grace_s"] == 20:
        raise ValueError("invalid pin")
    return settings["mqtt"]["grace_s"]


def test_settings_of_which_nothing_can_be_made_yield_the_last_good_ones():
    load_text(EXAMPLE)
    ran()
    load_text(EXAMPLE.replace('"grace_s": 10', '"grace_s": 20'))
    trial = Trial()
    assert config.wait_for_good(trial, made) == 10
    failed = [(files.crc32("config.json"), ValueError("invalid pin"))]
    problems = load.load_good(trial, failed)[1]
    assert problems == ["config.json: cannot be put in force: ValueError: invalid pin"]
    trial.proven()
    with open("config.good.json") as file:
        assert file.read() == EXAMPLE
    errors = Log.errors
    assert config.wait_for_good(Trial(), made) == 10
    assert Log.errors == errors + 1


def test_where_there_are_no_others_their_error_is_raised():
    load_text(EXAMPLE.replace('"grace_s": 10', '"grace_s": 20'))
    errors = Log.errors
    try:
        config.wait_for_good(Trial(), made)
        raise AssertionError("it waits")
    except ValueError as error:
        assert str(error) == "invalid pin"
    assert Log.errors == errors + 1


def test_what_was_changed_since_the_start_is_not_what_has_run():
    load_text(EXAMPLE)
    trial = Trial()
    load.load_good(trial)
    load_text(EXAMPLE.replace('"grace_s": 10', '"grace_s": 20'))
    trial.proven()
    assert os.listdir() == ["config.json"]
    load_text("{")
    trial.proven()
    assert os.listdir() == ["config.json"]


def test_without_good_settings_it_waits_for_them_and_tells_the_problems_once():
    class Time:
        """Time passes until somebody mends the file."""

        looks = 0

        def sleep_ms(self, ms):
            self.looks += 1
            if self.looks == 3:
                load_text("{]")
            if self.looks == 5:
                load_text(EXAMPLE)

    errors = Log.errors
    before = load.time
    load.time = passing = Time()
    try:
        settings = load.wait_for_good(Trial())
    finally:
        load.time = before
    assert settings["mqtt"]["grace_s"] == 10
    assert passing.looks == 5
    assert Log.errors - errors == 2, "one for each file, however often it was looked at"
