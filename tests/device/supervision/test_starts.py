"""How many starts in a row ended early, and what ends the row."""

from firmware.board import board as real
from firmware.supervision import starts


class Board:
    """The simulated board, started by what a test says."""

    cause = "power-on"

    def __getattr__(self, name):
        return getattr(real, name)

    def reset_cause(self):
        return self.cause


def begin(cause, counts=True):
    starts.board = at = Board()
    at.cause = cause
    try:
        return starts.begin(counts)
    finally:
        starts.board = real


def test_starts_that_ended_by_themselves_are_counted():
    begin("power-on")
    causes = ("failure", "memory", "watchdog", "hard", "failure")
    assert [begin(cause) for cause in causes] == [1, 2, 3, 4, 5]


def test_a_person_a_command_or_a_power_cut_ends_the_row():
    for cause in ("power-on", "command", "config", "soft", "deep-sleep", "unknown", "safe-mode"):
        begin("power-on")
        begin("failure")
        assert begin("failure") == 2
        assert begin(cause) == 0, cause
        assert begin("failure") == 1, "the row begins anew with that start"


def test_one_that_lasted_ends_the_row():
    begin("power-on")
    begin("watchdog")
    starts.lasted()
    assert begin("watchdog") == 0
    assert begin("watchdog") == 1


def test_one_with_a_configuration_on_trial_does_not_count():
    begin("power-on")
    assert [begin("failure", False) for _ in range(3)] == [1, 0, 0]
    assert begin("failure") == 0


def test_the_number_of_readings_beside_it_stays():
    real.Retained().set(1234567)
    begin("power-on")
    begin("failure")
    assert real.Retained().get() == 1234567
    real.Retained().set(7)
    assert begin("failure") == 2


def test_a_count_that_cannot_be_kept_keeps_no_start_from_heating():
    class Full(Board):
        def Retained(self, place):  # noqa: N802 the board's name
            raise OSError(28)

    starts.board = Full()
    try:
        starts.board.cause = "failure"
        assert starts.begin() == 0
        starts.lasted()
    finally:
        starts.board = real
