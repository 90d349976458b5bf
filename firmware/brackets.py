"""Brackets within brackets, counted before JSON is read.

A board's stack has room for fifty calls, and `json` up to MicroPython 1.25 takes `{"a": 1` for
whole: what the missing half would have said is then left out without a word.
"""


def depth(file) -> int:
    """How deep the brackets of a file's JSON are within each other; -1 where one is missing."""
    most = deep = 0
    quoted = escaped = False
    while True:
        block = file.read(128)
        if not block:
            return -1 if deep or quoted else most
        for byte in block:
            if quoted:
                if escaped:
                    escaped = False
                elif byte == 0x5C:
                    escaped = True
                elif byte == 0x22:
                    quoted = False
            elif byte == 0x22:
                quoted = True
            elif byte in b"[{":
                deep += 1
                most = max(most, deep)
            elif byte in b"]}":
                deep -= 1
