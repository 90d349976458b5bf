"""What the status lamp shows: a number of flashes, each a second long, and three seconds of dark.

A second is long enough to be counted across a room. Where all is well the lamp is dark, so that it
lights no bedroom.

    1 flash    the device starts
    2 flashes  no Wi-Fi
    3 flashes  no platform
    4 flashes  a fault of the heating
    5 flashes  safe mode
    blinking   the device was asked to show itself
"""

from micropython import const

_STARTS_S = const(60)


def lit(second: int, asked: bool, safe: bool, fault: bool, joined: bool, reached: bool) -> bool:
    """Whether the lamp is on in that second of this run. `asked`: to show itself; `joined`: the
    network is; `reached`: the platform is.
    """
    if asked:
        return not second & 1
    if safe:
        flashes = 5
    elif fault:
        flashes = 4
    elif reached:
        return False
    elif second < _STARTS_S:
        flashes = 1
    else:
        flashes = 3 if joined else 2
    at = second % (2 * flashes + 2)
    return at < 2 * flashes and not at & 1
