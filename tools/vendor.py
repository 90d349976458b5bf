"""Put third-party MicroPython modules where MicroPython finds them.

    python -m tools.vendor          umqtt.simple, which the firmware needs, into lib/
    python -m tools.vendor peers    what the bench measures the firmware against, into build/peers/

pip refuses to install umqtt's archives of PyPI, that have no setup.py or a wrong one. What is
here is found and fetched with unearth instead, a client of the index that does only that, and
unpacked. The index, further indexes, find-links and certificates are those that pip is
configured with, so that this works behind a mirror wherever `pip install` does.
"""

import ast
import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from tools import ROOT, ToolError

LIB = ROOT / "lib"
PEERS = ROOT / "build" / "peers"


@dataclasses.dataclass(frozen=True)
class Package:
    """An archive of the package index."""

    name: str
    version: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


UMQTT = Package(
    "micropython-umqtt.simple",
    "1.3.4",
    "b6a2520239e3992c63a7de9370ee9b3d9d27819a90359c521f1c0f7ccab8d12f",
)
# umqtt.robust is derived from umqtt.simple, which it expects beside it.
OF_THE_BENCH = (
    UMQTT,
    Package(
        "micropython-umqtt.robust",
        "1.0",
        "22a1b8c8e1128281efb13b3020927d07e33c5b747869da2cd77d37983a9ea002",
    ),
    Package(
        "chumicro-mqtt",
        "0.30.3",
        "9752586bb10e29389e5f5c443594ce0b5f2f1343ba9aefb3fc9909e33d234482",
    ),
    Package(
        "chumicro-sockets",
        "0.21.3",
        "ade59b6045db5bdb03b7992748a8b1111efdda482c165d09bd6e7eb25b34f3b6",
    ),
    Package(
        "chumicro-timing",
        "0.8.4",
        "f637c0331a30659a77d98828cf3fb9608402204059934e73c916b0f82b33703c",
    ),
)


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


def fetch(package: Package, into: Path) -> Path:
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
    print(f"Fetching {package} from the package index …", flush=True)
    with PyPIClient(verify=_certificates(config)) as session:
        session.auth = MultiDomainBasicAuth(index_urls=indexes)
        finder = PackageFinder(
            session,
            index_urls=indexes,
            find_links=config.get("find-links", "").split(),
            trusted_hosts=config.get("trusted-host", "").split(),
        )
        try:
            best = finder.find_best_match(f"{package.name}=={package.version}").best
            if best is None:
                raise VendorError(
                    f"{package} was not found in the package index; "
                    "check the network connection and pip's index-url (pip config list)"
                )
            archive = session.get(best.link.normalized, follow_redirects=True).raise_for_status()
        except (httpx2.HTTPError, OSError) as error:
            raise VendorError(
                f"{package} could not be fetched: {error}; "
                "check the network connection and pip's index-url (pip config list)"
            ) from error
    digest = hashlib.sha256(archive.content).hexdigest()
    if digest != package.sha256:
        raise VendorError(
            f"{best.link.filename} has the wrong SHA-256: expected {package.sha256}, "
            f"got {digest}; nothing was installed"
        )
    path = into / best.link.filename
    path.write_bytes(archive.content)
    return path


def unpack(archive: Path, into: Path) -> list[Path]:
    """Put the modules of the archive's packages into the folder `into`; each appears whole or not
    at all. No __init__.py is made: to MicroPython a folder is a package without one."""
    written = []
    for name, data in _modules(archive).items():
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".partial")
        partial.write_bytes(data)
        os.replace(partial, target)
        written.append(target)
    if not written:
        raise VendorError(f"{archive.name} has no modules in it")
    return written


def _modules(archive: Path) -> dict[str, bytes]:
    """By path, the content of each module that is in a folder of the archive."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return {name: wheel.read(name) for name in wheel.namelist() if _is_module(name)}
    with tarfile.open(archive) as tar:
        found = {member.name.partition("/")[2]: member for member in tar if member.isfile()}
        return {
            name: tar.extractfile(member).read()
            for name, member in found.items()
            if _is_module(name)
        }


def _is_module(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix == ".py" and len(path.parts) > 1 and ".." not in path.parts


def vendor(packages: tuple[Package, ...] = (UMQTT,), into: Path = LIB) -> None:
    """Make sure that the packages are in `into`; if these versions are there, do nothing."""
    mark = into / ".vendored.json"  # the modules of each archive, by its hash
    there = json.loads(mark.read_text()) if mark.is_file() else {}
    if there.keys() == {package.sha256 for package in packages} and all(
        (into / name).is_file() for names in there.values() for name in names
    ):
        return
    there = {}
    with tempfile.TemporaryDirectory() as folder:
        for package in packages:
            placed = unpack(fetch(package, Path(folder)), into)
            there[package.sha256] = [str(path.relative_to(into)) for path in placed]
            print(f"{into.name}: {package}, SHA-256 checked")
    mark.write_text(json.dumps(there))


def _is_true(value: str | None) -> bool:
    return value is not None and value.lower() in ("1", "true", "yes", "on")


def _certificates(config: dict[str, str]):
    """What httpx2 verifies servers with: pip's `cert` file, else the system's certificates."""
    import ssl

    cert = config.get("cert")
    return ssl.create_default_context(cafile=cert) if cert else True


if __name__ == "__main__":
    try:
        if sys.argv[1:] == ["peers"]:
            vendor(OF_THE_BENCH, PEERS)
        else:
            vendor()
    except VendorError as error:
        sys.exit(f"error: {error}")
