"""Whether the platform has been told of what is gone: of readings that no longer exist."""


class Report:
    """A report is the count of what is gone, put into the buffer as readings are. It has been told
    when it has left RAM, unless it went itself.
    """

    def __init__(self, told: int):
        """`told`: how many need no report, as the log has told of them."""
        self._told = told
        self._gone = -1  # in a report that has not left RAM
        self._end = -1  # the sequence number of the ring behind it

    def begin(self, gone: int) -> None:
        """A report of so many is about to be put into the buffer."""
        if self._gone < 0:
            self._gone = gone

    def settle(self, gone: int, ring) -> None:
        """To be called now and then: has a report left RAM? If more has gone meanwhile, that may
        have been the report.
        """
        if self._gone < 0:
            return
        if self._end < 0:
            self._end = ring.tail.seq
        if ring.head.seq >= self._end:
            if gone == self._gone:
                self._told = gone
            self._gone = self._end = -1

    def untold(self, gone: int) -> int:
        return max(0, gone - self._told)
