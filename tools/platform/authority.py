"""The stand-in's certificate authority and its server certificate.

Both are made at first start and kept in the platform's directory, so a device that was given
`ca.pem` once still trusts the stand-in after a restart. The keys are ECDSA P-256, which mbedtls
on an ESP32 handles several times faster than RSA. The validity begins in the year 2000: a board
without a clock yet believes that it is 2000-01-01.
"""

import os
import ssl
from pathlib import Path

import trustme

from tools import ToolError

_HOSTS = ("localhost", "127.0.0.1")


class AuthorityError(ToolError):
    """One of the files is not what was made."""


class Authority:
    """The files `ca.pem`, `ca.key` and `server.pem` (certificate and key) in `directory`."""

    def __init__(self, directory: Path):
        """Raises OSError, AuthorityError."""
        self.ca = directory / "ca.pem"
        self._server = directory / "server.pem"
        key = directory / "ca.key"
        if not (self.ca.exists() and key.exists()):
            made = trustme.CA(key_type=trustme.KeyType.ECDSA)
            _write(key, made.private_key_pem.bytes())
            _write(self.ca, made.cert_pem.bytes(), mode=0o644)
            self._server.unlink(missing_ok=True)
        if not self._server.exists():
            try:
                authority = trustme.CA.from_pem(self.ca.read_bytes(), key.read_bytes())
            except ValueError:
                raise AuthorityError(
                    f"{self.ca}, {key}: expected a certificate and its key in PEM; remove both, "
                    "and new ones are made, which devices have to be given"
                ) from None
            issued = authority.issue_cert(*_HOSTS, key_type=trustme.KeyType.ECDSA)
            _write(self._server, issued.private_key_and_cert_chain_pem.bytes())

    def server_context(self) -> ssl.SSLContext:
        """A TLS context for a listener; clients are not asked for certificates.

        Raises AuthorityError.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self._server)
        except ssl.SSLError:
            raise AuthorityError(
                f"{self._server}: expected a certificate and its key in PEM; remove it, and a new "
                "one is made"
            ) from None
        return context


def _write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write `path` whole or not at all; private keys are for their owner only."""
    part = path.with_name(path.name + ".part")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(data)
    part.replace(path)
