"""What is seldom called. Linked, it is in memory only while it runs."""


def rare(function):
    """Marks a function, a method or an `__init__` that the linker takes out of its module; see
    tools/linker/rare.py.

    Its call may raise MemoryError before anything was done, and costs some ms: not for what
    switches a relay, takes a reading or is called where memory is short. Nor may it leave a lambda
    or a rare method behind: that keeps all of its code. Unlinked it is a function as any other.
    """
    return function
