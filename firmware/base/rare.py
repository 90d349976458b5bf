"""Methods that are seldom called. Linked, they are in memory only while they run."""


def rare(method):
    """Marks a method that the linker takes out of its class (tools/linker/rare.py).

    Its call may raise MemoryError before anything was done, and costs some ms: not for what
    switches a relay, takes a reading or is called where memory is short. Unlinked it is a method
    as any other.
    """
    return method
