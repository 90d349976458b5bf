"""The time from the `Date` of an HTTP answer, where no time server can be reached.

Some networks let nothing through but HTTPS. Without the time nobody can tell whether a certificate
is valid. So this request, and no other, believes everybody. It carries no credentials, and an
impostor gains no more than he would from SNTP.

Every status is believed alike: an impostor would answer with 200, and a platform may redirect.
What helps against a wrong answer is to ask again, which `timekeeper` does.
"""

from micropython import const

from firmware.base.log import Log
from firmware.base.passing import passing
from firmware.link import LinkError, deadlines
from firmware.link.stream import Network
from firmware.times.calendar import EARLIEST_MS, number, utc_ms

_NUMBERS = ((5, 7), (12, 16), (17, 19), (20, 22), (23, 25))  # of a date, but for its month
_ERROR_MS = const(5000)  # more than a second: the answer may have been on its way for long


async def ask(url: str, names, clock) -> "tuple | None":
    """(ms since 1970, at which uptime), right to about a second. Raises LinkError.

    `names`: a dns.Resolver. None where the clock is known, and either agrees as far as this can
    tell or there is no memory for a connection. RFC 9110, 6.6.1: each answer has a Date.
    """
    http = passing(_http)(Network(names, "", False))
    try:
        answer = await http.head(url, deadlines.EXCHANGE_MS / 1000)
        at_ms = clock.uptime_ms()
    except MemoryError:
        if not clock.known:
            raise
        return None
    finally:
        http.close()
    try:
        utc = from_http(answer.headers.get("date", ""))
    except ValueError:
        raise LinkError("no time servers, and no Date in what %s answers" % url)
    if utc < EARLIEST_MS:
        raise LinkError("no time servers, and the clock of %s is wrong" % url)
    utc += 500  # the second that it names is half over, on average
    if clock.known and abs(utc - at_ms - clock.now() + clock.uptime_ms()) <= _ERROR_MS:
        return None
    Log("http_date").warning("taken from the Date of %s, for which nobody vouches", url)
    return utc, at_ms


def from_http(text: str) -> int:
    """Of a `Date` header, `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7).

    Raises ValueError, also for the two obsolete forms.
    """
    if len(text) != 29 or text[3:5] != ", " or text[25:] != " GMT":
        raise ValueError("no date as HTTP has them")
    month = "JanFebMarAprMayJunJulAugSepOctNovDec".find(text[8:11])
    if month % 3:
        raise ValueError("no month")
    day, year, h, mi, s = [number(text[i:end]) for i, end in _NUMBERS]
    return utc_ms(year, month // 3 + 1, day, h, mi, s)


def _http():
    from firmware.link.http import Http

    return Http
