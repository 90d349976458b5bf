"""For device tests: `raise Skip("why")` where a test, or a whole file, cannot run."""


class Skip(Exception):
    pass
