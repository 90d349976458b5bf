"""A cable that is pulled: from some moment on, nothing comes to the board or back any more."""

import contextlib
import inspect

from tools.board import Board, BoardError


class Cable:
    """Counts the moments at which it can be pulled, and is, at one of them.

    They are: before whatever the board is asked for, in the middle of a file, and at each line and
    each answer of what runs there.
    """

    def __init__(self, at):
        self._left = at

    @property
    def held(self):
        return self._left >= 0

    def moment(self):
        self._left -= 1
        if not self.held:
            raise BoardError("the cable was pulled")

    def on(self, monkeypatch):
        """Put it between the tools and every board."""
        for name, method in inspect.getmembers(Board, inspect.isfunction):
            if not name.startswith("_") and name != "close":
                monkeypatch.setattr(Board, name, self._around(method))
        monkeypatch.setattr(Board, "write", self._writing(Board.write))
        monkeypatch.setattr(Board, "run", self._hearing(Board.run))

    def _around(self, method):
        def asked(board, *arguments, **more):
            self.moment()
            return method(board, *arguments, **more)

        return asked

    def _writing(self, write):
        def half(board, path, data, progress):
            try:
                self.moment()
            except BoardError:
                self._left = 1  # so much still comes through
                write(board, path, data[: len(data) // 2], progress)
                self._left = -1
                raise
            write(board, path, data, progress)

        return half

    def _hearing(self, run):
        def heard(board, code, hear):
            def line(text):
                self.moment()
                answer = hear(text)
                if answer is not None:
                    self.moment()
                return answer

            run(board, code, line)

        return heard


def pulled_everywhere(monkeypatch, attempt):
    """Call `attempt` with the cable pulled at its first moment, at its second, and so on.

    Yields after each one that was cut off; ends after the first that was not.
    """
    for at in range(500):
        cable = Cable(at)
        with monkeypatch.context() as patch:
            cable.on(patch)
            with contextlib.suppress(BoardError):
                attempt()
        if cable.held:
            return
        yield at
    raise AssertionError("it never comes to an end")
