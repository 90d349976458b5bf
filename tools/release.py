"""`csipio keys` and `csipio release`: keys, and an image with its signed manifest, as files."""

import hashlib
import json
import os
import re
import tempfile
from pathlib import Path

from rich.console import Console

from tools import ROOT, releases
from tools.build import build
from tools.releases import ANY, Image, Release, ReleaseError

PASSPHRASE = "CSIPIO_PASSPHRASE"
"""The environment variable with the passphrase of a private key."""
BUILT = ("romfs", "files")
"""What may be named in place of an image: it is built from this source tree."""

_OUT = Path("build/releases")
_HEAD = "firmware/__init__.py"


def new_key(path: Path, passphrase: str | None) -> str:
    """Make a pair; the private key goes to a new file. Returns the public key.

    Raises ReleaseError.
    """
    check_new(path)
    key = releases.new_key()
    text = releases.key_text(key, passphrase)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise _taken(path) from None
    except OSError as error:
        raise ReleaseError(f"{path}: cannot be written: {error.strerror}") from error
    with open(descriptor, "wb") as file:
        file.write(text)
    return releases.public(key)


def check_new(path: Path) -> None:
    """Raise ReleaseError where a key would replace a file."""
    if path.exists():
        raise _taken(path)


def _taken(path: Path) -> ReleaseError:
    return ReleaseError(
        f"{path}: is there already, and no key is ever replaced; name another file"
    )


def private_key(path: Path, ask=None):
    """The key of a file. ask: gives the passphrase where one is needed and the environment has
    none. Raises ReleaseError."""
    pem = _read(path)
    passphrase = None
    if releases.is_encrypted(pem):
        passphrase = os.environ.get(PASSPHRASE) or (ask() if ask else None)
    try:
        return releases.read_key(pem, passphrase)
    except ReleaseError as error:
        raise ReleaseError(f"{path}: {error}") from None


def public_key(path: Path, ask=None) -> str:
    """The public key of a private key's file, or of one that holds it as text."""
    data = _read(path)
    if data.startswith(b"-----"):
        return releases.public(private_key(path, ask))
    try:
        return releases.check_public(data.decode("ascii", "replace").strip())
    except ReleaseError as error:
        raise ReleaseError(f"{path}: {error}") from None


def read(path: Path) -> tuple[Release, Path]:
    """The release of an image or of its manifest, and the image's path; the image is checked.

    Raises ReleaseError.
    """
    image = path.with_suffix("") if path.suffix == ".json" else path
    manifest = _manifest_path(image)
    if not manifest.is_file():
        raise ReleaseError(f"{manifest}: no such file; `csipio release` makes it beside the image")
    try:
        release = releases.parse(_read(manifest))
        releases.check_image(release, _read(image))
    except ReleaseError as error:
        raise ReleaseError(f"{image}: {error}") from None
    return release, image


def make(
    what: str,
    key_path: Path,
    *,
    version: str | None = None,
    chip: str | None = None,
    older: bool = False,
    reads: list[int] | None = None,
    writes: int | None = None,
    out: Path | None = None,
    ask=None,
    root: Path = ROOT,
    console: Console | None = None,
) -> Path:
    """Make the release of an image, or of `romfs` or `files` from the sources of `root`.

    An image that is there gets its manifest beside it. One that is built has the public key in
    it, and goes into the folder `out`, build/releases unless given. `reads` and `writes` are
    those of the sources unless given. Returns the image's path. Raises ToolError.
    """
    console = Console(highlight=False, soft_wrap=True) if console is None else console
    key = private_key(key_path, ask)
    public = releases.public(key)
    ours = _head(root)
    if what in BUILT:
        if version is not None and version != ours["VERSION"]:
            raise ReleaseError(
                f"--version {version}: the sources are {ours['VERSION']}; "
                f"change VERSION in {root / _HEAD}"
            )
        version = ours["VERSION"]
        made = build(root, public)
        data = made.image.read_bytes() if what == "romfs" else _files(made.files)
        name = f"csipio-thermostat-{version}-{(chip or ANY).lower()}.{what}"
        path = (root / _OUT if out is None else out) / name
    else:
        path = Path(what)
        data = _read(path)
    try:
        found = releases.inspect(data)
        if chip and found.chip not in (ANY, chip):
            raise ReleaseError(f"is for {found.chip}, and --chip says {chip}")
        found = Image(found.kind, chip or found.chip, found.built_with)
        release = releases.describe(
            data,
            found,
            version or _version(path, data),
            tuple(reads or ours["READS"]),
            ours["WRITES"] if writes is None else writes,
            older,
        )
    except ReleaseError as error:
        raise ReleaseError(f"{path}: {error}") from None
    release = releases.sign(_at(release, path.name), key)
    if what in BUILT:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ReleaseError(f"{path.parent}: cannot be made: {error.strerror}") from error
        write_whole(path, data)
    text = json.dumps(release.manifest(), indent=1) + "\n"
    write_whole(_manifest_path(path), text.encode())
    written, image = read(path)
    releases.verify(written, public, _read(image))
    console.print(f"{path}\n{_manifest_path(path)}")
    console.print(
        f"Version {release.version}, {release.kind} for {release.chip}, {release.size} bytes; "
        "read back and verified."
    )
    console.print(f"Next: csipio update DEVICE {path}")
    return path


def _at(release: Release, url: str) -> Release:
    return Release(**{**vars(release), "url": url})


def _files(folder: Path) -> bytes:
    """The firmware as a set of files; boot.py chooses between sets, so it is in none."""
    return releases.files_image(
        {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*/*.mpy")
        }
    )


def _version(path: Path, data: bytes) -> str:
    """The firmware's version in an image of `make image`, by the manifest.json beside it."""
    beside = path.with_name("manifest.json")
    try:
        tree = json.loads(beside.read_text())
        if tree["update"]["sha256"] == hashlib.sha256(data).hexdigest():
            return tree["version"]
    except (OSError, ValueError, LookupError, TypeError):
        pass
    raise ReleaseError(
        "does not say which version of the firmware it is, nor does a manifest.json of "
        "`make image` beside it: give --version"
    )


def _head(root: Path) -> dict:
    """VERSION, and the layouts READS and WRITES, of the sources."""
    path = root / _HEAD
    text = _read(path).decode()
    version = re.search(r'^VERSION = "(.+)"$', text, re.MULTILINE)
    reads = re.search(r"^READS = \(([\d, ]+)\)$", text, re.MULTILINE)
    writes = re.search(r"^WRITES = (\d+)$", text, re.MULTILINE)
    for name, there in (("VERSION", version), ("READS", reads), ("WRITES", writes)):
        if there is None:
            raise ReleaseError(f"{path}: expected a line {name} = …")
    layouts = [int(number) for number in reads[1].split(",") if number.strip()]
    return {"VERSION": version[1], "READS": layouts, "WRITES": int(writes[1])}


def _manifest_path(image: Path) -> Path:
    return image.with_name(image.name + ".json")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ReleaseError(f"{path}: cannot be read: {error.strerror}") from error


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all, also after a power cut.

    Raises ReleaseError.
    """
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".part-", delete=False) as part:
            try:
                part.write(data)
                part.flush()
                os.fsync(part.fileno())
                os.chmod(part.name, 0o644)
                os.replace(part.name, path)
            except BaseException:
                os.unlink(part.name)
                raise
    except OSError as error:
        raise ReleaseError(f"{path}: cannot be written: {error.strerror}") from error
