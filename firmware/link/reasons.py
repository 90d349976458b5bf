"""Why something failed, in words for a person: what a socket, TLS, a broker or a name server says.

Each kind of reason is one text, a reason a line, that is searched when something has failed: a
dict of them would stay in RAM.
"""

import errno

from micropython import const

from firmware.base.rare import rare

NO_ROOM = const("not enough memory for TLS")

# By the names of `errno`, whose numbers differ from port to port; 23 and 24 are ENFILE and EMFILE,
# for which MicroPython has no names.
_SOCKET = const(
    """
ECONNREFUSED the connection was refused; is the service running, the port right?
ECONNRESET the connection was reset
ENOTCONN the connection was reset
ECONNABORTED the connection was aborted
EHOSTUNREACH the host cannot be reached
ETIMEDOUT the host does not answer
23 no socket is free
24 no socket is free
"""
)

# What mbedTLS says, by words that all its versions have in it: {0} is the host, {1} the CA file.
# The last two are the numbers of its errors, -0x7200 (INVALID_RECORD) and -0x7780
# (FATAL_ALERT_MESSAGE): not every build has their names.
_TLS = const(
    """
not correctly signed|the certificate of {0} is not signed by {1}; is tls.ca right?
does not match|the certificate of {0} is for another name; is the URL right?
has expired|the certificate of {0} has expired; is the clock right?
in the future|the certificate of {0} is not valid yet; is the clock right?
X509|the certificate of {0} was refused by {1}; are tls.ca and the clock right?
-29184|{0} speaks no TLS there; are the URL's scheme and port right?
-30592|{0} refused it
"""
)

# By the return code of a CONNACK: MQTT 3.1.1, table 3.1.
_CONNACK = const(
    """
1 the broker does not speak MQTT 3.1.1
2 the broker does not accept device.id as client id
3 the broker is not available
4 the broker refused device.key_id and device.key_secret
5 the broker refused this device; is it disabled, or is the key not that of device.id?
"""
)


def words(error, host: str = "the server", ca=None) -> str:
    """What a person can do something with, for an error of a socket or of TLS; `ca`: the file that
    the host's certificate was checked by. Raises MemoryError where memory was short: the link
    alone can do nothing about that.
    """
    text = str(error).strip()
    if isinstance(error, OSError):
        number = error.errno
        if _is_lack(number) or "alloc" in text.lower():
            raise MemoryError(NO_ROOM if ca else text)
        for line in _SOCKET.strip().split("\n"):
            name, _, meaning = line.partition(" ")
            if str(getattr(errno, name, name)) == str(number):
                return meaning
    for line in _TLS.strip().split("\n"):
        said, _, meaning = line.partition("|")
        if said in text:
            return meaning.format(host, ca)
    if isinstance(error, ValueError):
        return "the certificate of %s was refused: %s" % (host, text)
    return "error " + text if text.isdigit() else text  # this port has no name for it


def _is_lack(number) -> bool:
    """Whether an error of a socket or of TLS is a lack of memory."""
    if number in (errno.ENOMEM, errno.ENOBUFS):
        return True
    if type(number) is not int:
        return False
    # mbedTLS's, of which one below 0x80 may come alone, and then looks like a socket's:
    # ALLOC_FAILED of MPI and ASN1; the source of CTR_DRBG and of ENTROPY failed, which has no
    # other cause here.
    number = abs(number)
    if number & 0x7F in (0x10, 0x6A, 0x34, 0x3C):
        return True
    # ALLOC_FAILED of PEM, X509, DHM, PK, ECP, MD, PKCS7, CIPHER and SSL.
    high = number & 0x7F80
    return high in (0x1180, 0x2880, 0x3400, 0x3F80, 0x4D80, 0x5180, 0x5580, 0x6180, 0x7F00)


@rare
def connack(code: int) -> str:
    return entry(_CONNACK, code) or "the broker refused the connection (code %d)" % code


def entry(text: str, key) -> str:
    """What follows the key at the start of a line of the text; "" where no line has it."""
    start = text.find("\n%s " % key)
    if start < 0:
        return ""
    start = text.find(" ", start) + 1
    return text[start : text.find("\n", start)]
