"""The characters of a text, one by one."""


def characters(text: str):
    """Each of them, as a text.

    `for c in text` would give the same. But of each character that is new to it MicroPython makes
    a name there, which takes memory until the next restart.
    """
    for i in range(len(text)):
        yield text[i : i + 1]
