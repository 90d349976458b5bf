"""Times as others write them."""

from firmware.link.http_date import from_http
from firmware.times.calendar import from_iso, iso, utc_ms


def refused(function, text):
    try:
        found = function(text)
    except ValueError:
        return
    raise AssertionError("%r was taken for %r" % (text, found))


def test_every_day_of_130_years_is_one_after_the_day_before():
    months = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    expected = 0
    for y in range(1970, 2101):
        for mo in range(1, 13):
            leap = mo == 2 and y % 4 == 0 and y != 2100
            for d in range(1, months[mo - 1] + leap + 1):
                assert utc_ms(y, mo, d, 0, 0, 0) == expected, (y, mo, d)
                expected += 86400000


def test_what_the_clock_writes_is_read_back():
    for t in (0, 1, 999, 951782399999, 951782400000, 1493647257467, 1795344000000, 4102444800123):
        assert from_iso(iso(t)) == t
    assert from_iso("9999-12-31T23:59:59.999Z") == 253402300799999


def test_iso_in_its_forms():
    t = 1493647257000  # 2017-05-01T14:00:57Z
    for text, ms in (
        ("2017-05-01T14:00:57Z", 0),
        ("2017-05-01T14:00:57.4Z", 400),
        ("2017-05-01T14:00:57.46Z", 460),
        ("2017-05-01T14:00:57.467Z", 467),
        ("2017-05-01T14:00:57.467999999Z", 467),
        ("2017-05-01T16:00:57.467+02:00", 467),
        ("2017-05-01T08:30:57.467-05:30", 467),
        ("2017-05-01T14:00:57+00:00", 0),
    ):
        assert from_iso(text) == t + ms, text


def test_what_is_no_iso():
    for text in (
        "",
        "2017-05-01",
        "2017-05-01T14:00:57",
        "2017-05-01T14:00:57.467",
        "2017-05-01 14:00:57Z",
        "2017-13-01T14:00:57Z",
        "2017-00-01T14:00:57Z",
        "2017-02-29T14:00:57Z",
        "2017-05-00T14:00:57Z",
        "2017-05-01T24:00:57Z",
        "2017-05-01T14:60:57Z",
        "2017-05-01T14:00:61Z",
        "2017-05-01T14:00:57.467z!",
        "2017-05-01T14:00:57.+67Z",
        "2017-05-01T14:00:57+2:00 ",
        "+017-05-01T14:00:57Z",
        "2017-05-01T14:00:5_Z",
        "1969-05-01T14:00:57Z",
        "1970-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-23:59",
        "9999-12-31T23:59:60Z",
        "2017-05-01T14:00:57+24:00",
        "2017-05-01T14:00:57-02:60",
        "yesterday, at about noon",
    ):
        refused(from_iso, text)


def test_the_date_of_an_answer():
    assert from_http("Sun, 06 Nov 1994 08:49:37 GMT") == 784111777000
    assert from_http("Mon, 23 Nov 2026 02:32:24 GMT") == 1795401144000


def test_what_is_no_date_of_an_answer():
    for text in (
        "",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 anF 1994 08:49:37 GMT",
        "Sun, 36 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:3_ GMT",
    ):
        refused(from_http, text)
