"""Whether a text is JSON (RFC 8259), and how deep its brackets nest, before it is parsed.

MicroPython's `json` takes much that is no JSON: `,21.5`, `[1 2]` and, up to 1.25, `{"a": 1`, half
of a text whose other half is then missing without a word. And deep nesting would end what walks
through the value: a board's stack has room for fifty calls.
"""

from micropython import const

from firmware.base.rare import rare

_MOST = const(32)  # brackets within brackets

_SPACE = b" \t\r\n"
_QUOTE = const(0x22)
_COMMA = const(0x2C)
_OTHER = const(0x30)  # stands for all signs of numbers and of true, false and null
_OPEN = const(0x5B)
_BACKSLASH = const(0x5C)
_U = const(0x75)
_SIGNS = b'"[]{},:'
_VALUE = b'"[{0'  # what a value begins with


@rare
def depth(file) -> int:
    """How deep the brackets of a file nest; 33 stands for everything deeper than 32.

    -1: it is no JSON; -2: an object has a key twice, of which a parser would keep one without a
    word. The file stands after what is wrong then. It is read from its beginning.
    """
    if file.read(3) != b"\xef\xbb\xbf":  # the byte order mark that some editors write
        file.seek(0)
    most = 0
    after = [b""]  # what may come after a value, for each bracket that is open
    allowed = _VALUE  # what may come next
    keys = [bytearray(1)]  # those of each bracket that is open, a zero before and after each
    key = None  # that is being read
    word = bytearray()  # a number, or true, false or null, so far
    quoted = False
    escape = 0  # 5 after a backslash; hexadecimal digits to come
    while True:
        block = file.read(128)
        left = len(block)
        for byte in block or b" ":  # a word may be the last
            left -= 1
            good = True
            flaw = -1
            if quoted and key is not None:
                key.append(byte)
            if escape:
                good = byte in (b'"\\/bfnrtu' if escape == 5 else b"0123456789abcdefABCDEF")
                escape = escape - 1 if escape < 5 or byte == _U else 0
            elif quoted:
                if byte == _BACKSLASH:
                    escape = 5
                elif byte == _QUOTE:
                    quoted = False
                    if key is not None:
                        key[-1] = 0
                        if keys[-1].find(key) >= 0:
                            good = False
                            flaw = -2
                        keys[-1].extend(key[1:])
                else:
                    good = byte >= 0x20
            elif byte not in _SIGNS and byte not in _SPACE:
                good = bool(word) or _OTHER in allowed
                word.append(byte)
                allowed = after[-1]
            else:
                if word:
                    good = _is_word(bytes(word))
                    word = bytearray()
                if byte in _SPACE:
                    pass
                elif byte not in allowed:
                    good = False
                elif byte == _QUOTE:
                    quoted = True
                    key = None if _OPEN in allowed else bytearray(1)
                    allowed = b":" if key else after[-1]
                elif byte in b"[{":
                    if len(after) > _MOST:
                        return len(after)
                    after.append(b",]" if byte == _OPEN else b",}")
                    keys.append(bytearray(1))
                    allowed = _VALUE + b"]" if byte == _OPEN else b'"}'
                    most = max(most, len(after) - 1)
                elif byte == _COMMA:
                    allowed = b'"' if after[-1] == b",}" else _VALUE
                elif allowed == b":":
                    allowed = _VALUE
                else:
                    after.pop()
                    keys.pop()
                    allowed = after[-1]
            if not good:
                file.seek(-max(0, left), 1)
                return flaw
        if not block:
            return -1 if allowed or quoted else most


@rare
def _is_word(word: bytes) -> bool:
    """Whether it is a number (RFC 8259, section 6), true, false or null."""
    if word in (b"true", b"false", b"null"):
        return True
    if word.startswith(b"-"):
        word = word[1:]
    mantissa, e, exponent = word.replace(b"E", b"e").partition(b"e")
    if exponent[:1] in (b"+", b"-"):
        exponent = exponent[1:]
    whole, point, fraction = mantissa.partition(b".")
    return (
        whole.isdigit()
        and (whole == b"0" or not whole.startswith(b"0"))
        and (not point or fraction.isdigit())
        and (not e or exponent.isdigit())
    )
