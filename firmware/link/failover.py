"""Decides which way the feeds go: MQTT, or HTTPS while MQTT is down. No input and output here.

`Uplink` tells it what happened and when, and asks it what is to be done now.

    wifi ──► time ──► asking ──► mqtt ──its session ends──► waiting ◄──► https
     ▲                   ▲                                     │           │
     │                   └─────── the back-off is over ◄───────┤◄──────────┤
     └─── the Wi-Fi is gone, or nothing was heard for long ◄───┴───────────┘

    wifi      the network is joined
    time      nothing can be dated, and no certificate be checked, before the time is known
    asking    the platform's state: limits, and the commands that were missed;
              or, as `provisioning`, for who this device is
    mqtt      connecting to the broker, then feeds and commands
    waiting   until MQTT is to be tried again
    https     the same, and the feeds go this way meanwhile

HTTPS takes over when it takes a feed after MQTT was down for mqtt.grace_s. MQTT gets the feeds
back when its session has held for a time, so that the two do not alternate.
"""

from micropython import const

from firmware.base.rare import rare
from firmware.link.pacing import Backoff, draw

_REFUSED_MS = const(60000)  # between two attempts with credentials that were refused
_SHORTEST_PROBATION_MS = const(3000)
_STABLE_MS = const(30000)  # a session this long forgets the failures before it
# The platform's state holds the commands that were missed, and cannot be read during a session. So
# a session that began without it is left after the first of these times to ask for it. Any other
# is left after the second, for commands that came between the question and the subscription.
# Where these two were further apart than _GAP_MS, it is left after the third, but only once.
_UNASKED_MS = const(900000)
_ASK_AGAIN_MS = const(21600000)
_GAP_MS = const(2000)
_ASK_SOON_MS = const(60000)
# HTTPS that works again makes MQTT's back-off begin anew, but not more often than this: an API
# that fails now and then says nothing about the broker.
_HOPE_MS = const(300000)
# A network whose access point died may look joined for long. It is joined anew when nothing was
# heard for this time, and up to five minutes more, so that not all devices do it at once.
_UNHEARD_MS = const(600000)
_UNHEARD_SPREAD_MS = const(300000)


class Outcome:
    """How a session over MQTT goes, and how it went."""

    connected_ms: "int | None" = None  # uptime when the broker accepted it, if it did
    listening_ms: "int | None" = None  # when it acknowledged the subscription
    carried = False  # feeds went this way
    replaced = "none"  # the carrier of the feeds until then
    acknowledged = False  # the broker acknowledged a feed or a value
    unanswered_ms: "int | None" = None  # when the feed was sent whose PUBACK was late
    smaller = False  # it ended at a feed that was too large, and the next ones are smaller
    floor_ms: "int | None" = None  # the least time to the next attempt; None: as the error says
    error: "Exception | None" = None  # the LinkError that ended it; None: left on purpose


class Failover:
    """The state of the link, the carrier of the feeds, and when each way is to be tried."""

    @rare
    def __init__(self, now: int, grace_ms: int, poll_ms: int):
        """`now` is the uptime in ms, here and below. `grace_ms`: MQTT may be down so long before
        HTTPS takes over. `poll_ms`: HTTPS asks for commands this often.
        """
        self.state = ""
        self.carrier = "none"  # or "mqtt" or "https"
        self.mqtt = Backoff()
        self.https = Backoff()
        self.reconnections = 0  # sessions after the first, unless the one before was left
        self._grace_ms = grace_ms
        self._probation_ms = max(grace_ms, _SHORTEST_PROBATION_MS)
        self._poll_ms = poll_ms
        self._down_ms = now  # since when MQTT carries no feeds, if it does not
        self._asked_ms = 0  # when the platform's state was asked for
        self._told = False  # and was told to its end, since MQTT's last session
        self._lost = False  # the last session was not left on purpose
        self._hurried = False  # a session was left for a wide gap, since MQTT last failed
        self._answers = True  # the API told the state when it was last asked
        self._hope_ms = 0  # when HTTPS may restart MQTT's back-off again
        self._heard(now)

    def next(self, now: int, joined: bool, dated: bool, identified=True, errand=None) -> str:
        """The state to be in now. `joined`: the network is; `dated`: the time is known;
        `identified`: the device has an identity; `errand`: something else is to be done over
        HTTPS, which carries the feeds meanwhile.

        "wifi" while the network is joined means that it has to be joined anew.
        """
        before = self.state
        if joined and before == "wifi":
            self.mqtt.restart(now)
            self.https.restart(now)
        if not joined:
            self.state = "wifi"
        elif not dated:
            self.state = "time"
        elif before == "asking":
            self.state = "mqtt"
        elif now >= self.mqtt.at_ms and not errand:
            # The state is asked for even while HTTPS is left alone for having failed: if both ways
            # come back together, a session without it would miss the commands of the time before.
            self.state = "asking"
            if not identified:
                self.state = "provisioning"
            elif self.https.refused and now < self.https.at_ms:
                self._told = False
                self.state = "mqtt"
        elif now >= self._rejoin_ms:
            self._heard(now)
            self.state = "wifi"
        else:
            self.state = "https" if errand or self.carrier == "https" else "waiting"
        return self.state

    @rare
    def stopped(self):
        """The link has ended; another `next` begins anew."""
        self.state = ""
        self.carrier = "none"

    # Over MQTT

    def watch(self, session: Outcome, now: int) -> bool:
        """A session is open: is it to be left when nothing is in flight? Called again and again.
        Sets `connected_ms` and `carried` of it.
        """
        if session.connected_ms is None:
            session.connected_ms = now
            self.reconnections += self._lost
            self._lost = True
        lasted_ms = now - session.connected_ms
        if not session.carried:
            session.carried = True
            session.replaced = self.carrier
        # Where HTTPS has taken over, that is so until the session has proven itself.
        if self.carrier != "https" or lasted_ms >= self._probation_ms:
            self.carrier = "mqtt"
        if self._wide_gap(session):
            return now - session.listening_ms >= _ASK_SOON_MS
        return lasted_ms >= (_ASK_AGAIN_MS if self._told else _UNASKED_MS)

    @rare
    def ended(self, session: Outcome, now: int):
        """MQTT's session, or the attempt at one, has ended."""
        lasted_ms = -1
        if session.connected_ms is not None:
            self._heard(now)
            self.mqtt.at_ms = now  # the session was no part of the try
            if session.unanswered_ms is None:
                lasted_ms = now - session.connected_ms
        if session.error is None:
            self._lost = False
            self._hurried = self._hurried or self._wide_gap(session)
        else:
            self._hurried = False
            if lasted_ms >= _STABLE_MS:
                self.mqtt.succeeded()
            self._failed(self.mqtt, session.error, now, session.floor_ms)
            if session.smaller:
                self.mqtt.restart(now)
        if session.carried:
            self.carrier = session.replaced
            # A session that ended before a feed was acknowledged does not count, unless it held.
            # Where HTTPS had taken over, it has to hold in any case: or each session of a broker
            # that soon ends it would keep the feeds for mqtt.grace_s.
            if session.replaced == "https":
                held = lasted_ms >= self._probation_ms
            else:
                held = session.acknowledged or lasted_ms >= self._grace_ms
            if held:
                self.carrier = "none"
                # A feed that was not acknowledged has waited for mqtt.grace_s already.
                self._down_ms = now if session.unanswered_ms is None else session.unanswered_ms

    def _wide_gap(self, session) -> bool:
        """Could commands have come between the question for the state and the subscription?"""
        if not self._told or self._hurried or session.listening_ms is None:
            return False
        return session.listening_ms - self._asked_ms > _GAP_MS

    # Over HTTPS

    def may_deliver(self, now: int) -> bool:
        """Has MQTT been down for long enough, and is HTTPS not to be left alone?"""
        return now - self._down_ms >= self._grace_ms and now >= self.https.at_ms

    def may_poll(self, now: int) -> bool:
        """Is the state to be asked for again, to find commands?"""
        return now - self._asked_ms >= self._poll_ms

    def asked(self, began_ms: int, told: bool):
        """The state was asked for at that uptime; `told`: and was told to its end."""
        self._asked_ms = began_ms
        self._told = told
        if not told:
            self._answers = False

    def exchanged(self, now: int, taken: "bool | None"):
        """The API has answered. `taken`: whether it took a feed or a value; None: it had none."""
        if taken is False:
            # A refused value says little about the way: a feed will tell.
            self.carrier = "none"
            return
        self._heard(now)
        if taken:
            self.carrier = "https"
        elif self._answers:
            return  # that it tells its state is no news, and no cure for a feed that failed
        self._answers = True
        if self.https.succeeded() and now >= self._hope_ms:
            # What made HTTPS fail may have made MQTT fail.
            self._hope_ms = now + _HOPE_MS
            self.mqtt.restart(now)

    @rare
    def failed(self, error, now: int):
        """An exchange over HTTPS ended with this LinkError; see `asked`, if it was for a state."""
        self.carrier = "none"
        self._failed(self.https, error, now)

    @rare
    def _failed(self, backoff, error, now: int, floor_ms=None):
        if error.refused:
            self._heard(now)
        if floor_ms is None:
            floor_ms = _REFUSED_MS if error.refused else 0
        backoff.failed(now, floor_ms)

    def _heard(self, now: int):
        """Somebody of the platform has answered."""
        self._rejoin_ms = now + _UNHEARD_MS + draw(_UNHEARD_SPREAD_MS)
