"""Local time by POSIX rules, against what CPython's zoneinfo says of the real zones."""

from firmware.times.zone import Zone
from model import span

DAY = 86400

# The rule, the offset at 2025-01-01T00:00:00Z, and until 2029 each (change, offset after it):
# found by bisection of zoneinfo's utcoffset() in the zone that the comment names.
ZONES = (
    (  # Europe/Berlin
        "CET-1CEST,M3.5.0,M10.5.0/3",
        3600,
        (
            (1743296400, 7200),
            (1761440400, 3600),
            (1774746000, 7200),
            (1792890000, 3600),
            (1806195600, 7200),
            (1824944400, 3600),
            (1837645200, 7200),
            (1856394000, 3600),
        ),
    ),
    (  # America/New_York
        "EST5EDT,M3.2.0,M11.1.0",
        -18000,
        (
            (1741503600, -14400),
            (1762063200, -18000),
            (1772953200, -14400),
            (1793512800, -18000),
            (1805007600, -14400),
            (1825567200, -18000),
            (1836457200, -14400),
            (1857016800, -18000),
        ),
    ),
    (  # Australia/Sydney
        "AEST-10AEDT,M10.1.0,M4.1.0/3",
        39600,
        (
            (1743868800, 36000),
            (1759593600, 39600),
            (1775318400, 36000),
            (1791043200, 39600),
            (1806768000, 36000),
            (1822492800, 39600),
            (1838217600, 36000),
            (1853942400, 39600),
        ),
    ),
    (  # Asia/Kolkata
        "IST-5:30",
        19800,
        (),
    ),
    (  # America/St_Johns
        "NST3:30NDT,M3.2.0,M11.1.0",
        -12600,
        (
            (1741498200, -9000),
            (1762057800, -12600),
            (1772947800, -9000),
            (1793507400, -12600),
            (1805002200, -9000),
            (1825561800, -12600),
            (1836451800, -9000),
            (1857011400, -12600),
        ),
    ),
    (  # Africa/Cairo
        "EET-2EEST,M4.5.5/0,M10.5.4/24",
        7200,
        (
            (1745532000, 10800),
            (1761858000, 7200),
            (1776981600, 10800),
            (1793307600, 7200),
            (1809036000, 10800),
            (1824757200, 7200),
            (1840485600, 10800),
            (1856206800, 7200),
        ),
    ),
    (  # Europe/Dublin
        "IST-1GMT0,M10.5.0,M3.5.0/1",
        0,
        (
            (1743296400, 3600),
            (1761440400, 0),
            (1774746000, 3600),
            (1792890000, 0),
            (1806195600, 3600),
            (1824944400, 0),
            (1837645200, 3600),
            (1856394000, 0),
        ),
    ),
    (  # Australia/Lord_Howe
        "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
        39600,
        (
            (1743865200, 37800),
            (1759591800, 39600),
            (1775314800, 37800),
            (1791041400, 39600),
            (1806764400, 37800),
            (1822491000, 39600),
            (1838214000, 37800),
            (1853940600, 39600),
        ),
    ),
    (  # America/Nuuk
        "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
        -7200,
        (
            (1743296400, -3600),
            (1761440400, -7200),
            (1774746000, -3600),
            (1792890000, -7200),
            (1806195600, -3600),
            (1824944400, -7200),
            (1837645200, -3600),
            (1856394000, -7200),
        ),
    ),
    (  # Asia/Riyadh
        "<+03>-3",
        10800,
        (),
    ),
    (  # Asia/Jerusalem
        "IST-2IDT,M3.4.4/26,M10.5.0",
        7200,
        (
            (1743120000, 10800),
            (1761433200, 7200),
            (1774569600, 10800),
            (1792882800, 7200),
            (1806019200, 10800),
            (1824937200, 7200),
            (1837468800, 10800),
            (1856386800, 7200),
        ),
    ),
    (  # America/Santiago
        "<-04>4<-03>,M9.1.6/24,M4.1.6/24",
        -10800,
        (
            (1743908400, -14400),
            (1757217600, -10800),
            (1775358000, -14400),
            (1788667200, -10800),
            (1806807600, -14400),
            (1820116800, -10800),
            (1838257200, -14400),
            (1851566400, -10800),
        ),
    ),
    (  # Pacific/Chatham
        "<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45",
        49500,
        (
            (1743861600, 45900),
            (1758981600, 49500),
            (1775311200, 45900),
            (1790431200, 49500),
            (1806760800, 45900),
            (1821880800, 49500),
            (1838210400, 45900),
            (1853330400, 49500),
        ),
    ),
)


def test_every_change_of_the_real_zones_is_found_to_the_second():
    for rule, before, changes in ZONES:
        zone = Zone(rule)
        assert zone.offset(1735689600) == before, rule
        for at, after in changes:
            for utc_s, expected in (
                (at - 40 * DAY, before),
                (at - 1, before),
                (at, after),
                (at + 1, after),
                (at + 7200, after),
                (at + 40 * DAY, after),
            ):
                assert zone.offset(utc_s) == expected, (rule, utc_s)
                # Also where nothing was asked before.
                assert Zone(rule).offset(utc_s) == expected, (rule, utc_s)
            before = after


def test_it_is_the_same_in_any_order():
    for rule, before, changes in ZONES:
        zone = Zone(rule)
        for at, after in reversed(changes):
            assert zone.offset(at) == after, rule
            assert zone.begin_s == at, rule
            assert zone.offset(at - 1) == before or len(changes) > 1, rule
            assert zone.until_s == at, rule


def test_julian_days_with_and_without_the_29th_of_february():
    # J60 is the first of March in every year, 59 the 29th of February where there is one.
    for rule, change in (
        ("AAA0BBB,J60/0,J300/0", 1709251200),  # 2024-03-01
        ("AAA0BBB,59/0,300/0", 1709164800),  # 2024-02-29
        ("AAA0BBB,J60/0,J300/0", 1740787200),  # 2025-03-01
        ("AAA0BBB,59/0,300/0", 1740787200),
        ("AAA0BBB,J1/0,J300/0", 1735689600),  # 2025-01-01
        ("AAA0BBB,0/0,300/0", 1735689600),
        ("AAA0BBB,J59/0,J300/0", 1709078400),  # 2024-02-28
    ):
        zone = Zone(rule)
        assert zone.offset(change - 1) == 0, (rule, change)
        assert zone.offset(change) == 3600, (rule, change)


def test_a_year_that_is_all_summer():
    # RFC 8536, 3.3.1: the permanent summer time of the east of America.
    zone = Zone("EST5EDT,0/0,J365/25")
    for utc_s in span(1735689600 - 3 * DAY, 1735689600 + 400 * DAY, 7200):
        assert zone.offset(utc_s) == -4 * 3600, utc_s


def test_days_are_right_for_a_century():
    zone = Zone("AAA0BBB,M2.5.0/0,M12.5.6/0")
    utc_s = 0
    summers = 0
    while utc_s < 4102444800:  # 2100
        was = zone.offset(utc_s)
        utc_s = zone.until_s
        wall_s = utc_s - 1 + was
        weekday, second = (wall_s // DAY + 3) % 7, wall_s % DAY
        # Summer begins on a last Sunday, from which on it is one hour later, and ends on a last
        # Saturday by its own clock.
        assert zone.offset(utc_s) == 3600 - was
        assert (weekday, second) == ((5, DAY - 1) if was == 0 else (4, DAY - 1)), utc_s
        summers += was == 0
    assert summers == 131, summers


def test_the_clock_on_the_wall_never_goes_back():
    zone = Zone("CET-1CEST,M3.5.0,M10.5.0/3")
    for change, skipped in ((1774746000, True), (1792890000, False)):  # March and October 2026
        before = zone.wall(change - 5400)
        for utc_s in span(change - 5400 + 60, change + 7200, 60):
            wall = zone.wall(utc_s)
            if skipped:
                assert wall - before == (3660 if utc_s == change else 60), utc_s
            else:
                # It stands at a second to three until it is three.
                steps = {change: 59, change + 3600: 1}
                stands = change < utc_s < change + 3600
                assert wall - before == steps.get(utc_s, 0 if stands else 60), utc_s
            before = wall


def test_when_the_clock_on_the_wall_showed_a_time():
    zone = Zone("CET-1CEST,M3.5.0,M10.5.0/3")
    for change in (1774746000, 1792890000):
        for utc_s in span(change - 7200, change + 7200, 600):
            wall = zone.wall(utc_s)
            when = zone.utc(wall, change + 7200)
            assert zone.wall(when) == wall, utc_s
            assert when <= utc_s and zone.wall(when - 1) < wall, (utc_s, when)
    # The hour that was skipped: when it was.
    skipped = 1774746000 + 3600 + 1800
    assert zone.utc(skipped, 1774746000 + 5000) == 1774746000


def test_what_is_no_rule_is_refused_with_words():
    for rule, words in (
        ("", "expected a name of three letters or more"),
        ("Europe/Berlin", "expected an offset to UTC in hours"),
        ("CET", "expected an offset to UTC in hours"),
        ("CE-1", "expected a name of three letters or more"),
        ("CET-1CEST", "expected the two days on which the clocks change"),
        ("CET-1CEST,M3.5.0", "expected the two days on which the clocks change"),
        ("CET-1CEST,M3.5,M10.5.0", "expected month.week.weekday after M"),
        ("CET-1CEST,M13.5.0,M10.5.0", "expected a number 1 to 12 at character 12, got 13.5.0,M"),
        ("CET-1CEST,M3.6.0,M10.5.0", "expected a number 1 to 5 at character 14, got 6.0,M10."),
        ("CET-1CEST,M3.5.7,M10.5.0", "expected a number 0 to 6 at character 16, got 7,M10.5."),
        ("CET-1CEST,M3.5.0,M10.5.", "expected a number 0 to 6 at character 24, got its end"),
        ("CET-1CEST,J0,J365", "expected a number 1 to 365 at character 12, got 0,J365"),
        ("CET-1CEST,366,J365", "expected a number 0 to 365 at character 11, got 366,J365"),
        ("CET-1CEST,M3.5.0,M10.5.0/3x", "it goes on after its end"),
        ("CET-25", "expected a number 0 to 24 at character 5, got 25"),
        ("CET-1:60", "expected a number 0 to 59 at character 7, got 60"),
        ("<+03-3", "expected a > at the end of the name"),
        ("CET-1CEST,M3.5.0/168,M10.5.0", "expected a number 0 to 167 at character 18"),
        (None, "expected a rule"),
        (1, "expected a rule"),
    ):
        try:
            Zone(rule)
        except ValueError as error:
            where, text = error.args
            assert where == "" and text.startswith(words), (rule, text)
        else:
            raise AssertionError(rule)
