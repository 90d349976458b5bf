"""Which ways to the platform a configuration on trial has to reach before it is kept."""

from tried import TWO, Device


def missing(part, worked, reached):
    """What a part still needs, if it was sent where some ways had worked, and some do now."""
    device = Device()
    device.propose(part, worked)
    device.boot()
    if device.trial.decide(reached, True):
        return ""
    before, _, rest = device.trial.note().partition("the platform was not reached over ")
    ways, _, after = rest.partition(" with it in time")
    assert not before and not after
    return ways


def test_a_new_address_has_to_be_reached():
    both = ("mqtt", "https")
    for part in (TWO, {"mqtt": None}):
        for worked in (("https",), both):
            assert missing(part, worked, ()) == "mqtt", part
            assert missing(part, worked, ("https",)) == "mqtt", part
            assert missing(part, worked, ("mqtt",)) == "", part
    url = {"url": "https://other.example/v3"}
    for worked in (("mqtt",), both):
        assert missing({"https": url}, worked, ("mqtt",)) == "https"
        assert missing({"https": url}, worked, ("https",)) == ""
        assert missing({"https": url, "mqtt": TWO["mqtt"]}, worked, ()) == "mqtt and https"
        assert missing({"https": url, "mqtt": TWO["mqtt"]}, worked, both) == ""


def test_what_a_way_depends_on_may_not_cost_it():
    for part in (
        {"device": {"key_secret": "neu"}},
        {"wifi": []},
        {"tls": {"ca": "other.pem"}},
        {"time": {"ntp": []}},
    ):
        for worked in (("mqtt",), ("https",), ("mqtt", "https")):
            assert missing(part, worked, worked) == "", part
            assert missing(part, worked, ()) == " and ".join(worked), part
        assert missing(part, ("mqtt", "https"), ("mqtt",)) == "https"
        assert missing(part, (), ()) == "mqtt or https"
        assert missing(part, (), ("mqtt",)) == ""
    for part, way, other in (
        ({"mqtt": {"keepalive_s": 20}}, "mqtt", "https"),
        ({"https": {"poll_s": 20}}, "https", "mqtt"),
    ):
        assert missing(part, (way,), (other,)) == way
        assert missing(part, (other,), (other,)) == "", "it did not work before"


def test_what_no_way_depends_on_has_to_reach_the_platform_over_either():
    for worked in ((), ("mqtt",), ("mqtt", "https")):
        assert missing({"health": {"every_s": 60}}, worked, ()) == "mqtt or https"
        for reached in (("mqtt",), ("https",)):
            assert missing({"health": {"every_s": 60}}, worked, reached) == ""
