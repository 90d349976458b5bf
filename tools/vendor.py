"""Put the third-party MicroPython modules of the firmware into lib/.

There is one: umqtt.simple. Its archive on PyPI has no setup.py, so pip refuses to install it; it
is found and fetched with unearth instead, a client of the index that does only that, and
unpacked here. The index, further indexes, find-links and certificates are those that pip is
configured with, so that this works behind a mirror wherever `pip install` does.
"""

import ast
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tools import ROOT, ToolError

DISTRIBUTION = "micropython-umqtt.simple"
VERSION = "1.3.4"
SHA256 = "b6a2520239e3992c63a7de9370ee9b3d9d27819a90359c521f1c0f7ccab8d12f"
# Each file of the archive that the firmware needs, and its place under lib/. No __init__.py: to
# MicroPython a folder is a package without one.
FILES = {"umqtt/simple.py": "umqtt/simple.py"}


class VendorError(ToolError):
    """The modules could not be fetched or are not the expected ones; the text says what to do."""


def pip_config() -> dict[str, str]:
    """pip's own settings by bare name, such as "index-url"; the environment's win."""
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True
    ).stdout
    settings: dict[str, str] = {}
    by_rank: dict[str, int] = {}
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        rank = {"global": 0, "install": 1, ":env:": 2}.get(section)
        if rank is not None and rank >= by_rank.get(name, 0):
            settings[name], by_rank[name] = ast.literal_eval(value), rank
    return settings


def fetch(into: Path) -> Path:
    """Download the archive into the folder `into`, check its hash, return its path."""
    import httpx2
    from pip._internal.models.index import PyPI  # the index that pip uses unless told otherwise
    from unearth import PackageFinder
    from unearth.auth import MultiDomainBasicAuth
    from unearth.fetchers import PyPIClient

    config = pip_config()
    indexes = (
        [] if _is_true(config.get("no-index")) else [config.get("index-url", PyPI.simple_url)]
    )
    indexes += config.get("extra-index-url", "").split()
    print(f"Fetching {DISTRIBUTION} {VERSION} from the package index …", flush=True)
    with PyPIClient(verify=_certificates(config)) as session:
        session.auth = MultiDomainBasicAuth(index_urls=indexes)
        finder = PackageFinder(
            session,
            index_urls=indexes,
            find_links=config.get("find-links", "").split(),
            trusted_hosts=config.get("trusted-host", "").split(),
        )
        try:
            best = finder.find_best_match(f"{DISTRIBUTION}=={VERSION}").best
            if best is None:
                raise VendorError(
                    f"{DISTRIBUTION} {VERSION} was not found in the package index; "
                    "check the network connection and pip's index-url (pip config list)"
                )
            archive = session.get(best.link.normalized, follow_redirects=True).raise_for_status()
        except (httpx2.HTTPError, OSError) as error:
            raise VendorError(
                f"{DISTRIBUTION} {VERSION} could not be fetched: {error}; "
                "check the network connection and pip's index-url (pip config list)"
            ) from error
    digest = hashlib.sha256(archive.content).hexdigest()
    if digest != SHA256:
        raise VendorError(
            f"{best.link.filename} has the wrong SHA-256: expected {SHA256}, got {digest}; "
            "nothing was installed"
        )
    path = into / best.link.filename
    path.write_bytes(archive.content)
    return path


def unpack(archive: Path, lib: Path) -> list[Path]:
    """Put FILES of the archive into the folder `lib`; each appears whole or not at all."""
    written = []
    with tarfile.open(archive) as tar:
        top = tar.getnames()[0].split("/")[0]
        for inside, place in FILES.items():
            source = tar.extractfile(f"{top}/{inside}")
            if source is None:
                raise VendorError(f"{archive.name} has no file {inside}")
            target = lib / place
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_suffix(".partial")
            partial.write_bytes(source.read())
            os.replace(partial, target)
            written.append(target)
    return written


def vendor(lib: Path = ROOT / "lib") -> None:
    """Make sure that every module is in `lib`; if this version is there already, do nothing."""
    mark = lib / ".vendored"  # the archive's hash, so that another version replaces this one
    there = all((lib / place).is_file() for place in FILES.values())
    if there and mark.is_file() and mark.read_text() == SHA256:
        return
    with tempfile.TemporaryDirectory() as folder:
        for path in unpack(fetch(Path(folder)), lib):
            print(f"{path.relative_to(lib.parent)}: {DISTRIBUTION} {VERSION}, SHA-256 checked")
    mark.write_text(SHA256)


def _is_true(value: str | None) -> bool:
    return value is not None and value.lower() in ("1", "true", "yes", "on")


def _certificates(config: dict[str, str]):
    """What httpx2 verifies servers with: pip's `cert` file, else the system's certificates."""
    import ssl

    cert = config.get("cert")
    return ssl.create_default_context(cafile=cert) if cert else True


if __name__ == "__main__":
    try:
        vendor()
    except VendorError as error:
        sys.exit(f"error: {error}")
