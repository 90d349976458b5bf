"""Addresses, taken apart."""

from firmware.base.url import parse_host, parse_url


def flaw(parse, *arguments):
    try:
        parse(*arguments)
    except ValueError as error:
        return str(error)
    raise AssertionError("accepted: %r" % (arguments,))


def test_all_parts_of_a_url():
    assert parse_url("mqtts://mqtt.csip.io:8884") == ("mqtts", "mqtt.csip.io", 8884, "")
    assert parse_url("https://localhost:4/v3/x") == ("https", "localhost", 4, "/v3/x")


def test_each_scheme_has_its_port():
    ports = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443, "http": 80, "https": 443}
    for scheme, port in ports.items():
        assert parse_url(scheme + "://h")[2] == port


def test_addresses_as_the_platforms_page_writes_them():
    """`tcp` is MQTT, with TLS on its port; a WebSocket of the platform has a port of its own."""
    assert parse_url("tcp://mqtt.csip.io:1883") == ("mqtt", "mqtt.csip.io", 1883, "")
    assert parse_url("tcp://mqtt.csip.io:8883") == ("mqtts", "mqtt.csip.io", 8883, "")
    assert parse_url("TCP://h") == ("mqtt", "h", 1883, "")
    assert parse_url("tcp://h:8884") == ("mqtt", "h", 8884, "")
    assert flaw(parse_url, "tcp://h/x") == "it takes no path"
    for host in ("mqtt.csip.io", "MQTT.csip.io."):
        assert parse_url("ws://" + host)[2] == 8000
        assert parse_url("ws://%s/mqtt" % host)[2:] == (8000, "/mqtt")
        assert parse_url("wss://" + host)[2] == 443
        assert parse_url("ws://%s:80" % host)[2] == 80
    for host in ("csip.io.example", "mqttxcsip.io", "h"):
        assert parse_url("ws://" + host)[2] == 80


def test_the_dot_that_ends_a_name_is_no_part_of_the_host():
    assert parse_url("mqtts://localhost.:8883") == ("mqtts", "localhost", 8883, "")
    assert parse_url("https://api.csip.io./v3")[1] == "api.csip.io"
    assert parse_host("pool.ntp.org.:123", 9) == ("pool.ntp.org", 123)
    assert flaw(parse_host, ".", 123) == flaw(parse_host, ".:1", 123) == "it has no host"


def test_slashes_at_the_end_are_no_path():
    assert parse_url("https://h/")[3] == ""
    assert parse_url("https://h/v3/")[3] == "/v3"
    assert parse_url("mqtt://h/")[3] == ""
    assert parse_url("ws://h:8000/")[3] == ""


def test_a_websocket_has_a_path_and_a_bare_connection_none():
    assert parse_url("ws://mqtt.csip.io:8000/mqtt") == ("ws", "mqtt.csip.io", 8000, "/mqtt")
    assert parse_url("wss://h/a/b") == ("wss", "h", 443, "/a/b")
    assert flaw(parse_url, "mqtts://h/mqtt") == "it takes no path"
    assert flaw(parse_url, "ws://h/\r\nHost: x").startswith("its path")


def test_schemes_compare_in_lower_case():
    assert parse_url("MQTT://h")[0] == "mqtt"


def test_a_flaw_is_told_without_the_password():
    assert "hunter" not in flaw(parse_url, "https://user:hunter2@h/v3")
    assert flaw(parse_url, "h:1883") == "it has no scheme"
    assert flaw(parse_url, "amqp://h") == "its scheme is unknown"
    assert flaw(parse_url, "http://h/a b") == "its path has a character that it must not have"
    assert flaw(parse_url, "http://h/\r\nHost: x").startswith("its path")
    assert flaw(parse_url, "http://h\r\n/").startswith("its host")


def test_hosts_with_and_without_port():
    assert parse_host("pool.ntp.org", 123) == ("pool.ntp.org", 123)
    assert parse_host("127.0.0.1:12345", 123) == ("127.0.0.1", 12345)
    for address in ("", ":1", "a:", "a:-1", "a:65536", "a:1:2", "a:٣"):
        assert flaw(parse_host, address, 123), address
