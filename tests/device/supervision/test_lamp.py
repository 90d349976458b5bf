"""What the lamp shows, second by second."""

from firmware.supervision.lamp import lit

KEYS = ("asked", "safe", "fault", "joined", "reached")


def shown(first, count, *given):
    """A second is # or . for on or off."""
    flags = [key in given for key in KEYS]
    return "".join(["#" if lit(second, *flags) else "." for second in range(first, first + count)])


def test_each_state_has_its_number_of_flashes():
    for given, cycle in (
        ((), "#.#..."),
        (("joined",), "#.#.#..."),
        (("fault", "joined", "reached"), "#.#.#.#..."),
        (("safe", "joined", "reached"), "#.#.#.#.#..."),
        (("asked", "joined", "reached"), "#."),
        (("joined", "reached"), "."),
    ):
        first = 100 * len(cycle)
        assert shown(first, 3 * len(cycle), *given) == 3 * cycle, given


def test_a_start_flashes_once_for_a_minute_at_most_until_the_platform_is_reached():
    for given in ((), ("joined",)):
        assert shown(0, 60, *given) == 15 * "#..."
        assert "#." in shown(60, 60, *given) and shown(60, 60, *given) != 15 * "#..."
    assert shown(0, 60, "joined", "reached") == 60 * "."


def test_the_gravest_is_shown():
    def cycle(*given):
        return shown(240, 24, *given)

    assert cycle("asked", "safe", "fault") == cycle("asked")
    assert cycle("safe", "fault") == cycle("safe")
    assert cycle("fault") == cycle("fault", "joined", "reached") != cycle("joined")


def test_a_step_allocates_nothing():
    import gc

    lit(1, False, False, False, True, False)
    gc.collect()
    before = gc.mem_alloc()
    for second in range(50):
        lit(second, False, False, False, True, False)
    assert gc.mem_alloc() == before
