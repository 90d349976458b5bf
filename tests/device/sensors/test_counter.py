"""The driver `counter`: every reading is on file, once, over restarts and torn lines."""

import gc

from drivers import create, failure, spec


def write(text):
    with open("counter.txt", "w") as file:
        file.write(text)


def content():
    with open("counter.txt") as file:
        return file.read()


def test_a_counter_counts_from_zero_and_writes_each_down_first():
    counter = create(spec("counter"))
    for number in range(3):
        assert counter.value(0) == number
        assert content().split("\n")[number] == str(number)
    assert content() == "0\n1\n2\n"


def test_a_counter_goes_on_after_a_restart():
    first = create(spec("counter"))
    taken = [first.value(0) for _ in range(120)]
    taken += [create(spec("counter")).value(0) for _ in range(3)]
    assert taken == list(range(123))
    assert content() == "".join(["%d\n" % number for number in range(123)])


def test_a_torn_line_is_completed_by_the_reading_that_it_began():
    for torn in ("", "1", "12", "123"):
        write("121\n122\n" + torn)
        counter = create(spec("counter"))
        assert [counter.value(0), counter.value(0)] == [123, 124], torn
        assert content() == "121\n122\n123\n124\n", torn


def test_a_torn_first_line_is_completed():
    write("0")
    assert create(spec("counter")).value(0) == 0
    assert content() == "0\n"


def test_an_empty_file_begins_at_zero():
    write("")
    assert create(spec("counter")).value(0) == 0


def test_digits_are_added_where_they_must_be():
    write("97\n98\n")
    counter = create(spec("counter"))
    assert [counter.value(0) for _ in range(904)] == list(range(99, 1003))
    assert content().endswith("\n999\n1000\n1001\n1002\n")


def test_the_file_of_somebody_else_is_left_alone():
    for text in ("hello\n", "hello", "1\n2\nx", "1\n2\n7", "\n\n"):
        write(text)
        assert failure(create, spec("counter")).endswith("is not a counter's file; move it")
        assert content() == text


def test_a_counter_without_a_place_to_write_says_so():
    assert failure(create, spec("counter", file="none/x")).startswith("cannot use none/x: ")


def test_a_long_file_is_not_read_whole():
    with open("counter.txt", "w") as file:
        for start in range(0, 300000, 1000):
            file.write("".join(["%d\n" % n for n in range(start, start + 1000)]))
    entry = spec("counter")
    gc.collect()
    before = gc.mem_alloc()
    counter = create(entry)
    assert gc.mem_alloc() - before < 20000
    assert counter.value(0) == 300000


def test_a_counters_reading_allocates_nothing():
    counter = create(spec("counter"))
    counter.value(0)
    gc.collect()
    gc.disable()
    try:
        before = gc.mem_alloc()
        wait_ms = counter.start()
        number = counter.value(0)
        used = gc.mem_alloc() - before
    finally:
        gc.enable()
    assert (used, wait_ms, number) == (0, 0, 1)
