"""Faults of TLS: servers that are not who they should be, and handshakes that stop half-way."""

import datetime
import ssl

import pytest
import trustme

from tests.faults.rig import Rig, together
from tools.faults.faults import Cut, Impostor, Rewrite, Withhold
from tools.faults.units import DOWN, UP

FAMILY = "TLS"
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
DATA = 23  # a record's type, RFC 5246, section 6.2.1


def context(authority, name="localhost", **dates):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # What a board speaks.
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    authority.issue_cert(name, **dates).configure_cert(made)
    return made


def impostors(rig):
    """Their names, and their servers; the device trusts the authority of all but the first."""
    known = trustme.CA()
    bundle = rig.device.folder / "certs/ca.pem"
    bundle.write_text(bundle.read_text() + known.cert_pem.bytes().decode())
    certificates = {
        "a certificate of another authority": context(trustme.CA()),
        "a certificate for another name": context(known, "example.org"),
        "a certificate that has expired": context(
            known, not_before=NOW - 30 * DAY, not_after=NOW - DAY
        ),
        "a certificate that is not valid yet": context(
            known, not_before=NOW + DAY, not_after=NOW + 30 * DAY
        ),
    }
    return {name: rig.somebody(context) for name, context in certificates.items()}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("who", ["broker", "api"])
def test_impostors_are_told_nothing(tmp_path, who):
    """The broker, or the API while MQTT is down, is somebody else; and then itself again."""
    order = {"broker": 0, "api": 10}[who]
    with Rig(tmp_path / "rig", f"{FAMILY}, the {who} is an impostor", order, secure=True) as rig:
        servers = impostors(rig)
        if who == "api":
            rig.mqtt_is_away()
        rig.start("mqtt" if who == "broker" else "https")
        for name, server in servers.items():
            rig.measure(Impostor(name, server.port), getattr(rig, who))
            assert not server.heard, f"{name}: it was told {server.heard!r}"
        rig.finish()
    rig.check()


# Every message of a TLS 1.2 handshake with ECDHE, RFC 5246, section 7.3.
SERVERS = ("ServerHello", "Certificate", "ServerKeyExchange", "ServerHelloDone")
CLIENTS = ("ClientHello", "ClientKeyExchange", "ChangeCipherSpec", "Finished")
LAST = ("ChangeCipherSpec", "Finished")


@pytest.mark.timeout(300)
def test_handshakes_that_stop_at_each_message(tmp_path):
    def life(number, who, faults):
        with Rig(tmp_path / str(number), FAMILY + f" to the {who}", 10 * number, True) as rig:
            if who == "api":
                rig.mqtt_is_away()
            rig.start("mqtt" if who == "broker" else "https")
            for fault in faults:
                rig.measure(fault, getattr(rig, who))
            rig.finish()
        return rig

    lives = [
        ("broker", [Withhold(DOWN, message) for message in SERVERS]),
        ("broker", [Withhold(UP, message) for message in CLIENTS]),
        ("broker", [*(Withhold(DOWN, message) for message in LAST), *records()]),
        ("api", [Withhold(DOWN, "ServerHello"), Withhold(DOWN, "Finished"), *records()]),
    ]
    together(*(lambda n=n, one=one: life(n, *one) for n, one in enumerate(lives)))


def records():
    """Records that were altered on their way."""

    def altered(record):
        return [record[:-1] + bytes([record[-1] ^ 1])] if record[0] == DATA else None

    return [
        Rewrite("a record altered on its way", DOWN, None, altered),
        Rewrite("garbage instead of the handshake", DOWN, None, lambda _: [bytes(50)], anew=True),
        Rewrite(
            "a fatal alert", DOWN, None, lambda _: [b"\x15\x03\x03\x00\x02\x02\x28"], anew=True
        ),
        Cut("the handshake, at every 100th byte of a record", DOWN, None, 0, 100),
    ]
