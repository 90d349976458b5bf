"""What the firmware logs, kept in place of being printed."""

import sys


class Logged:
    """`with Logged() as lines:` the log's lines from `start` on; 13: without the uptime."""

    def __init__(self, start=0):
        self._start = start
        self._module = sys.modules["firmware.base.log"]
        self.lines = []

    def __enter__(self):
        self._module.print = lambda line: self.lines.append(line[self._start :])
        return self.lines

    def __exit__(self, *_):
        del self._module.print


def logged(call, start=0):
    """The lines that a call logs."""
    with Logged(start) as lines:
        call()
    return lines
