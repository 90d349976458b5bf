"""Which way the feeds go, decided without a network: time is handed in."""

from firmware.link import LinkError
from firmware.link.failover import Failover, Outcome

GRACE_MS = 10000
POLL_MS = 60000
MINUTE = 60000
LOST = LinkError("the connection was reset")
REFUSED = LinkError("the broker refused it", refused=True)


class Link:
    """A Failover and its time; what happens takes as long as it says."""

    def __init__(self, now=1000000):
        self.now = now
        self.failover = Failover(now, GRACE_MS, POLL_MS)

    def next(self, joined=True, dated=True, after_ms=0):
        self.now += after_ms
        return self.failover.next(self.now, joined, dated)

    def ask(self, told=True):
        """The state is asked for, and the next state taken."""
        assert self.failover.state == "asking"
        self.failover.asked(self.now, told)
        if told:
            self.failover.exchanged(self.now, None)
        else:
            self.failover.failed(LOST, self.now)
        return self.next()

    def to_mqtt(self, told=True):
        """Past the back-off, until MQTT is to be tried."""
        while self.next() != "asking":
            self.now = self.failover.mqtt.at_ms
        assert self.ask(told) == "mqtt"

    def session(self, lasts_ms, error=LOST, acknowledged=True, listening_ms=100):
        """A session that goes well until it ends."""
        outcome = Outcome()
        self.watch(outcome)
        if listening_ms is not None:
            outcome.listening_ms = self.now + listening_ms
        self.now += lasts_ms
        self.watch(outcome)
        outcome.acknowledged = acknowledged
        self.end(outcome, error)
        return outcome

    def watch(self, outcome, after_ms=0):
        self.now += after_ms
        return self.failover.watch(outcome, self.now)

    def end(self, outcome, error=LOST):
        outcome.error = error
        self.failover.ended(outcome, self.now)

    def over_https(self):
        """MQTT is down for long enough, and HTTPS takes a feed."""
        self.to_mqtt()
        self.end(Outcome())
        self.now += GRACE_MS
        assert self.failover.may_deliver(self.now)
        self.failover.exchanged(self.now, True)
        assert self.failover.carrier == "https"


def test_the_states_follow_one_another_to_a_session():
    link = Link()
    assert link.next(joined=False) == "wifi"
    assert link.next(dated=False) == "time"
    assert link.next() == "asking"
    assert link.ask() == "mqtt"
    link.session(60000)
    link.failover.mqtt.at_ms = link.now + 1
    assert link.next() == "waiting"
    assert link.next(after_ms=1) == "asking"


def test_a_network_that_is_gone_is_joined_whatever_the_state():
    for told in (False, True):
        link = Link()
        link.to_mqtt(told)
        assert link.next(joined=False) == "wifi"
        assert link.next() == "asking"
        assert link.next(joined=False) == "wifi"


def test_a_state_that_is_not_told_does_not_keep_mqtt_from_being_tried():
    link = Link()
    assert link.next() == "asking"
    assert link.ask(told=False) == "mqtt"


def test_credentials_that_https_refuses_are_not_sent_before_each_try_of_mqtt():
    link = Link()
    link.next()
    link.failover.asked(link.now, False)
    link.failover.failed(REFUSED, link.now)
    assert link.next() == "mqtt"
    link.end(Outcome())
    assert link.next(after_ms=2000) == "mqtt"
    link.end(Outcome())
    link.now = link.failover.https.at_ms
    link.failover.mqtt.at_ms = link.now
    assert link.next() == "asking"


def test_mqtt_carries_the_feeds_at_once_where_https_has_not_taken_over():
    link = Link()
    link.to_mqtt()
    outcome = Outcome()
    assert not outcome.carried and link.failover.carrier == "none"
    link.watch(outcome)
    assert outcome.carried and link.failover.carrier == "mqtt"


def test_mqtt_has_to_hold_before_https_waits_for_it_again():
    """It has the feeds at once; HTTPS goes on with them at once where it ends too soon."""
    link = Link()
    link.over_https()
    for _ in range(3):
        link.to_mqtt()
        outcome = Outcome()
        link.watch(outcome)
        link.watch(outcome, GRACE_MS - 1)
        assert outcome.carried and link.failover.carrier == "https"
        outcome.acknowledged = True
        link.end(outcome)
        assert link.failover.carrier == "https" and link.failover.may_deliver(link.now)
    link.to_mqtt()
    outcome = Outcome()
    link.watch(outcome)
    link.watch(outcome, GRACE_MS)
    assert link.failover.carrier == "mqtt"
    outcome.acknowledged = True
    link.end(outcome)
    assert link.failover.carrier == "none"
    assert not link.failover.may_deliver(link.now + GRACE_MS - 1)
    assert link.failover.may_deliver(link.now + GRACE_MS)


def test_a_session_that_ends_before_it_carries_feeds_changes_nothing_for_https():
    link = Link()
    link.over_https()
    link.to_mqtt()
    link.session(GRACE_MS - 1)
    assert link.failover.carrier == "https" and link.failover.may_deliver(link.now)
    link.failover.mqtt.at_ms = link.now + 1000
    assert link.next() == "https"


def test_a_session_in_which_no_feed_was_acknowledged_does_not_count():
    link = Link()
    for _ in range(4):
        link.to_mqtt()
        assert link.session(GRACE_MS // 4, acknowledged=False).carried
        assert link.failover.carrier == "none"
    assert link.failover.may_deliver(max(link.now, link.failover.https.at_ms))
    # Unless it has held for as long as MQTT may be down.
    link.to_mqtt()
    began = link.now
    link.session(GRACE_MS, acknowledged=False)
    assert not link.failover.may_deliver(began + 2 * GRACE_MS - 1)


def test_a_feed_without_an_answer_has_waited_for_the_grace_already():
    link = Link()
    link.to_mqtt()
    outcome = Outcome()
    link.watch(outcome)
    outcome.acknowledged = True
    link.now += 5 * MINUTE
    outcome.unanswered_ms = link.now
    link.watch(outcome, GRACE_MS)
    link.end(outcome)
    assert link.failover.may_deliver(link.now)
    assert link.failover.mqtt.at_ms > 0, "five minutes are no success where a feed was lost"


def test_how_long_a_session_lasted_does_not_lengthen_the_wait_after_it():
    for _ in range(20):
        link = Link()
        link.to_mqtt()
        link.session(4000, acknowledged=False)
        link.to_mqtt()
        link.session(20000, acknowledged=False)
        assert link.failover.mqtt.at_ms - link.now <= 2750


def test_a_long_session_forgets_the_failures_before_it():
    for lasts_ms, forgets in ((29999, False), (30000, True)):
        link = Link()
        for _ in range(12):
            link.to_mqtt()
            link.end(Outcome())
        link.to_mqtt()
        link.session(lasts_ms)
        delays = []
        for _ in range(40):
            # What the next failure would be delayed by: at most 2 s after the first one.
            delays.append(link.failover.mqtt.at_ms - link.now)
            link.to_mqtt()
            link.session(lasts_ms)
        assert (max(delays) <= 1000) is forgets, delays


def test_a_session_that_knows_the_state_is_left_after_six_hours_and_any_other_after_a_quarter():
    for told, minutes in ((True, 360), (False, 15)):
        link = Link()
        link.to_mqtt(told)
        outcome = Outcome()
        assert not link.watch(outcome)
        outcome.listening_ms = link.now
        assert not link.watch(outcome, minutes * MINUTE - 1)
        assert link.watch(outcome, 1)


def test_a_wide_gap_before_the_subscription_is_closed_once_until_mqtt_fails():
    def leaves_soon(link, gap_ms):
        outcome = Outcome()
        link.watch(outcome)
        outcome.listening_ms = link.now + gap_ms
        soon = link.watch(outcome, gap_ms + MINUTE)
        assert not link.failover.watch(outcome, link.now - 1)
        return outcome, soon

    link = Link()
    link.to_mqtt()
    outcome, soon = leaves_soon(link, 2000)
    assert not soon
    link.end(outcome)
    link.to_mqtt()
    outcome, soon = leaves_soon(link, 2001)
    assert soon
    link.end(outcome, None)
    link.to_mqtt()
    outcome, soon = leaves_soon(link, 2001)
    assert not soon, "there would be no end to it"
    link.end(outcome)
    link.to_mqtt()
    assert leaves_soon(link, 2001)[1]


def test_reconnections_are_sessions_after_one_that_was_not_left():
    link = Link()
    for error, count in ((LOST, 0), (LOST, 1), (None, 2), (None, 2), (LOST, 2), (LOST, 3)):
        link.to_mqtt()
        link.session(MINUTE, error)
        assert link.failover.reconnections == count
    # An attempt that does not come to a session is none.
    link.to_mqtt()
    link.end(Outcome())
    assert link.failover.reconnections == 3


def test_https_that_fails_does_not_carry_the_feeds_and_its_refusal_waits_a_minute():
    link = Link()
    link.over_https()
    link.failover.failed(REFUSED, link.now)
    assert link.failover.carrier == "none"
    assert not link.failover.may_deliver(link.now + MINUTE - 1)
    assert link.failover.may_deliver(link.now + MINUTE + 5000)


def test_a_value_that_https_does_not_take_leaves_the_word_to_a_feed():
    link = Link()
    link.over_https()
    link.failover.exchanged(link.now, False)
    assert link.failover.carrier == "none" and link.failover.may_deliver(link.now)
    link.failover.exchanged(link.now, True)
    assert link.failover.carrier == "https"


def test_commands_are_polled_for_however_the_last_poll_ended():
    link = Link()
    link.over_https()
    asked = link.now
    link.failover.asked(asked, False)
    assert not link.failover.may_poll(asked + POLL_MS - 1)
    assert link.failover.may_poll(asked + POLL_MS)


def test_silence_for_ten_minutes_to_a_quarter_of_an_hour_means_a_dead_network():
    waits = []
    for _ in range(40):
        link = Link()
        link.to_mqtt()
        link.session(1)
        link.failover.mqtt.at_ms = link.now + 10**7
        began = link.now
        while link.next() == "waiting":
            link.now += 5000
        assert link.failover.state == "wifi"
        waits.append(link.now - began)
        # The attempts begin anew, and the silence as well.
        assert link.next() in ("waiting", "asking")
        assert link.failover.mqtt.at_ms <= link.now + 1000
    assert min(waits) >= 600000 and max(waits) <= 905000
    assert max(waits) - min(waits) > 60000, "not all devices at once"


def test_an_end_of_the_link_leaves_no_carrier():
    link = Link()
    link.over_https()
    link.failover.stopped()
    assert link.failover.state == "" and link.failover.carrier == "none"
