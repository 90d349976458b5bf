"""Makes the certificates in tls/, all for one key: run it again if they are ever to change.

    python tests/device/data/make_tls.py

DER, which every port's mbedTLS can read. They hold for a century, but for those that must not.
"""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

FOLDER = Path(__file__).parent / "tls"
DER = serialization.Encoding.DER
BEGIN, END = datetime.datetime(2020, 1, 1), datetime.datetime(2120, 1, 1)


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def certificate(subject, key, issuer, issuer_key, hosts=(), begin=BEGIN, end=END):
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=not hosts, path_length=None), critical=True)
    )
    if hosts:
        names = [
            x509.IPAddress(ipaddress.ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
            for host in hosts
        ]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(DER)


def main():
    FOLDER.mkdir(exist_ok=True)
    ca, stranger, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    here = ("localhost", "127.0.0.1")
    year = datetime.datetime
    files = {
        "ca": certificate("a laboratory's CA", ca, "a laboratory's CA", ca),
        "stranger-ca": certificate("a stranger's CA", stranger, "a stranger's CA", stranger),
        "good": certificate("server", key, "a laboratory's CA", ca, here),
        "stranger": certificate("server", key, "a stranger's CA", stranger, here),
        "other-name": certificate("server", key, "a laboratory's CA", ca, ("broker.example",)),
        "expired": certificate("server", key, "a laboratory's CA", ca, here, end=year(2021, 1, 1)),
        "future": certificate("server", key, "a laboratory's CA", ca, here, year(2110, 1, 1), END),
        "key": key.private_bytes(
            DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        ),
    }
    for file, data in files.items():
        (FOLDER / f"{file}.der").write_bytes(data)


main()
