"""A feed's head and its first piece are one write; two where there is no memory for that."""

from firmware import link

HEAP = "512K"


class Feed:
    def __init__(self, *pieces):
        self._pieces = pieces

    def __len__(self):
        return sum([len(piece) for piece in self._pieces])

    def __iter__(self):
        return iter(self._pieces)


class Stream:
    def __init__(self):
        self.written = []

    async def write(self, data):
        self.written.append(bytes(data))


def no_memory(_):
    raise MemoryError


async def test_a_head_and_the_first_piece_are_one_write():
    stream = Stream()
    await link.send(stream, Feed(b"first", b"second"), b"head")
    assert stream.written == [b"headfirst", b"second"]


async def test_they_are_two_where_memory_is_short():
    stream = Stream()
    link.bytes = no_memory  # in the place of Python's own
    try:
        await link.send(stream, Feed(b"first", b"second"), b"head")
    finally:
        del link.bytes
    assert stream.written == [b"head", b"first", b"second"]


async def test_so_they_are_where_they_would_be_too_long():
    stream = Stream()
    await link.send(stream, Feed(b"x" * 4000), b"head")
    assert stream.written == [b"head", b"x" * 4000]
