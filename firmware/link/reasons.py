"""Why a connection failed, in words for a person.

Imported when one has failed, and forgotten after it.
"""

import errno

_WORDS = {
    errno.ECONNREFUSED: "the connection was refused; is the service running, the port right?",
    errno.ECONNRESET: "the connection was reset",
    errno.ECONNABORTED: "the connection was aborted",
    errno.ENOTCONN: "the connection was reset",
    errno.EHOSTUNREACH: "the host cannot be reached",
    errno.ETIMEDOUT: "the host does not answer",
    # ENFILE and EMFILE, for which MicroPython has no names.
    23: "no socket is free",
    24: "no socket is free",
}

# What mbedTLS says of a certificate, by words that all its versions have in it; and how to say it
# to somebody who can do something about it. The last two by the numbers of its errors, -0x7200
# (INVALID_RECORD) and -0x7780 (FATAL_ALERT_MESSAGE): not every build has their names.
_TLS_WORDS = (
    ("not correctly signed", "the certificate of {0} is not signed by {1}; is tls.ca right?"),
    ("does not match", "the certificate of {0} is for another name; is the URL right?"),
    ("has expired", "the certificate of {0} has expired; is the clock right?"),
    ("in the future", "the certificate of {0} is not valid yet; is the clock right?"),
    ("X509", "the certificate of {0} was refused by {1}; are tls.ca and the clock right?"),
    ("-29184", "{0} speaks no TLS there; are the URL's scheme and port right?"),
    ("-30592", "{0} refused it"),
)

# MQTT 3.1.1, table 3.1
_CONNACK_WORDS = {
    1: "the broker does not speak MQTT 3.1.1",
    2: "the broker does not accept device.id as client id",
    3: "the broker is not available",
    4: "the broker refused device.key_id and device.key_secret",
    5: "the broker refused device.key_id and device.key_secret for this device.id",
}


def words(error, host: str, ca) -> str:
    """For an error of a socket or of TLS; see firmware.link.stream.words."""
    text = str(error).strip()
    if isinstance(error, OSError) and error.errno in _WORDS:
        return _WORDS[error.errno]
    for said, meant in _TLS_WORDS:
        if said in text:
            return meant.format(host, ca)
    if isinstance(error, ValueError):
        return "the certificate of %s was refused: %s" % (host, text)
    return "error " + text if text.isdigit() else text  # one that this port has no name for


def connack(code: int) -> str:
    """For the return code of a CONNACK."""
    return _CONNACK_WORDS.get(code) or "the broker refused the connection (code %d)" % code
