"""A person at the prompt: a board that is partly made up, the lines that are printed, answers."""

import asyncio
import sys

from firmware.board import board, esp32
from firmware.setup import probes, prompt, wizard


class Board:
    """The unix port's, but for what a test gives: Board(networks=lambda: [("home", -50)])."""

    def __init__(self, **own):
        self._own = own

    def __getattr__(self, name):
        found = self._own.get(name)
        return getattr(board, name) if found is None else found


def quick_wifi(networks):
    """An ESP32's radio that does not wait for a network for long."""
    return esp32.Wifi(networks, 60, 1000, 2)


class Person:
    """`with Person(answers, board) as person:` whoever is asked gives the next of the answers, an
    exception by raising it; `lines` is what is printed, `asked` what the answers were for.
    """

    def __init__(self, answers=(), at=None):
        self._answers = list(answers)
        self._board = at or Board()
        self.lines = []
        self.asked = []

    def __enter__(self):
        sys.modules["firmware.base.log"].print = self._print
        for module in (probes, prompt, wizard):
            module.print = self._print
            module.board = self._board
        wizard.input = self._answer
        wizard.unseen = self._unseen
        self._real_unseen = wizard.unseen
        return self

    def __exit__(self, *_):
        del sys.modules["firmware.base.log"].print
        for module in (probes, prompt, wizard):
            del module.print
        probes.board = wizard.board = board
        del wizard.input
        asyncio.new_event_loop()

    def told(self, words):
        return any(words in line for line in self.lines)

    def results(self):
        """The lines of a check, without the log's."""
        return [line for line in self.lines if line.startswith(("ok  ", "wrong  ", "--  "))]

    @property
    def left(self):
        return self._answers

    def _print(self, *words, end="\n"):
        self.lines.append(" ".join([str(word) for word in words]))

    def _answer(self, text):
        self.asked.append(text)
        if not self._answers:
            raise AssertionError("one question too many: " + text)
        answer = self._answers.pop(0)
        if isinstance(answer, str):
            return answer
        raise answer

    def _unseen(self, text):
        return self._answer("unseen " + text)
