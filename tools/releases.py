"""A release: what its manifest says, the text that is signed, and what an image is.

Pure functions: bytes and values in, bytes and values out; files are the command's (release.py).

The manifest is one JSON object, and is the value of the command `update`. `url` and `signature`
are not signed; of all else, each is a line of the signed text, so that no signature fits to
another image, version, chip or kind. The signature is RSA-3072, PKCS #1 v1.5, SHA-256 (RFC 8017,
section 8.2), with 65537 as the exponent; a device knows the modulus alone.
"""

import base64
import binascii
import hashlib
import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tools import ToolError
from tools.flash import CHIPS

KINDS = ("app", "romfs", "files")
ANY = "any"
MANIFEST_BYTES = 2048

_KEY_BITS = 3072
_KEY_BYTES = _KEY_BITS // 8
_EXPONENT = 65537
_FIRST_LINE = "csipio-release 1"
_VERSION = re.compile(r"(0|[1-9]\d{0,4})(\.(0|[1-9]\d{0,4})){0,3}")
_CHIP = re.compile(r"[A-Za-z0-9]{1,16}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LAYOUTS = 16  # how many layouts a version may read
_FILE_LINE = re.compile(rb"([!-~]{1,128}) (0|[1-9]\d{0,7})\n")

# MicroPython's extmod/vfs_rom.c.
_ROMFS_MAGIC = b"\xd2\xcd\x31"
# ESP-IDF's esp_app_format.h and esp_app_desc.h: the image's header, the first segment's, and in
# that the description of an application.
_APP_MAGIC = 0xE9
_CHIP_ID_AT = 12
_HASHED_AT = 23
_HEADER_BYTES = 24
_SEGMENT = struct.Struct("<II")
_DESCRIPTION = struct.Struct("<III4x4x32s32s")
_DESCRIPTION_AT = _HEADER_BYTES + _SEGMENT.size
_DESCRIPTION_MAGIC = 0xABCD5432
_SHA_BYTES = 32


class ReleaseError(ToolError):
    """A release, a key or an image is not what it must be; the text says what, and the remedy."""


@dataclass(frozen=True)
class Release:
    """What a manifest says of an image."""

    version: str
    kind: str
    chip: str
    size: int
    sha256: str
    reads: tuple[int, ...]
    """The layouts of what is kept on flash that this version reads."""
    writes: int
    """The layout that it writes."""
    older: bool = False
    """Whether it may replace a newer version."""
    url: str = ""
    signature: str = ""

    def text(self) -> bytes:
        """What is signed."""
        lines = (
            _FIRST_LINE,
            f"kind {self.kind}",
            f"chip {self.chip}",
            f"version {self.version}",
            f"size {self.size}",
            f"sha256 {self.sha256}",
            f"reads {' '.join(map(str, self.reads))}",
            f"writes {self.writes}",
            f"older {'yes' if self.older else 'no'}",
        )
        return "".join(f"{line}\n" for line in lines).encode()

    def manifest(self) -> dict:
        """The JSON object."""
        names = ("url", "version", "kind", "chip", "size", "sha256", "reads", "writes", "older")
        tree = {name: getattr(self, name) for name in (*names, "signature")}
        return tree | {"reads": list(self.reads)}


@dataclass(frozen=True)
class Image:
    """What an image says of itself."""

    kind: str
    chip: str
    built_with: str = ""
    """For an app the version in its description: MicroPython's, not that of the firmware."""


def numbers(version: str) -> tuple[int, ...]:
    """A version for comparing: 0.10 is later than 0.9, and 1.0 is 1. Raises ReleaseError."""
    if not _VERSION.fullmatch(version):
        raise ReleaseError(
            f"version {version!r}: expected one to four numbers with dots between, such as 0.3.0"
        )
    found = [int(number) for number in version.split(".")]
    while found and not found[-1]:
        found.pop()
    return tuple(found)


def describe(
    image: bytes,
    what: Image,
    version: str,
    reads: tuple[int, ...],
    writes: int,
    older: bool = False,
) -> Release:
    """The release of an image, not yet signed. Raises ReleaseError."""
    digest = hashlib.sha256(image).hexdigest()
    release = Release(version, what.kind, what.chip, len(image), digest, reads, writes, older)
    _check(replace(release, signature=base64.b64encode(bytes(_KEY_BYTES)).decode()))
    return release


def parse(text: bytes | str) -> Release:
    """The release that a manifest describes; its signature is not checked. Raises ReleaseError."""
    if len(text) > MANIFEST_BYTES:
        raise ReleaseError(f"the manifest has more than {MANIFEST_BYTES} bytes")
    try:
        tree = json.loads(text)
    except ValueError as error:
        raise ReleaseError(f"the manifest is no JSON: {error}") from None
    if not isinstance(tree, dict):
        raise ReleaseError("the manifest: expected an object")
    tree = {"url": "", "older": False} | tree
    wanted = set(Release.__dataclass_fields__)
    for name in sorted(wanted ^ set(tree)):
        expected = "to be there" if name in wanted else "no such key"
        raise ReleaseError(f"the manifest: {name}: expected {expected}")
    reads = tree["reads"]
    if not isinstance(reads, list):
        raise ReleaseError("the manifest: reads: expected a list of whole numbers")
    release = Release(**{**tree, "reads": tuple(reads)})
    _check(release)
    return release


def _check(release: Release) -> None:
    def expect(condition, name, expected):
        if not condition:
            raise ReleaseError(f"the manifest: {name}: expected {expected}")

    for name in ("version", "kind", "chip", "sha256", "url", "signature"):
        expect(isinstance(getattr(release, name), str), name, "a string")
    numbers(release.version)
    expect(release.kind in KINDS, "kind", f"one of {', '.join(KINDS)}")
    expect(_CHIP.fullmatch(release.chip), "chip", "letters and digits, such as ESP32S3")
    expect(
        release.kind != "app" or release.chip != ANY, "chip", "one chip, since an app is for it"
    )
    expect(_is_number(release.size) and release.size > 0, "size", "a whole number above 0")
    expect(_SHA256.fullmatch(release.sha256), "sha256", "64 hexadecimal digits in lower case")
    expect(
        0 < len(release.reads) <= _LAYOUTS and all(map(_is_number, release.reads)),
        "reads",
        f"1 to {_LAYOUTS} whole numbers",
    )
    expect(_is_number(release.writes), "writes", "a whole number")
    expect(release.writes in release.reads, "reads", "also what it writes itself")
    expect(type(release.older) is bool, "older", "true or false")
    _decoded(release.signature, "the manifest: signature")


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 30  # a small int on every board


def _decoded(text: str, where: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if len(data) != _KEY_BYTES:
        raise ReleaseError(f"{where}: expected {_KEY_BYTES} bytes in base64")
    return data


# -- keys and signatures


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(_EXPONENT, _KEY_BITS)


def key_text(key: rsa.RSAPrivateKey, passphrase: str | None = None) -> bytes:
    """The private key as PEM (PKCS #8), encrypted if there is a passphrase."""
    how: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        how = serialization.BestAvailableEncryption(passphrase.encode())
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, how)


def is_encrypted(pem: bytes) -> bool:
    return b"ENCRYPTED" in pem


def read_key(pem: bytes, passphrase: str | None = None) -> rsa.RSAPrivateKey:
    """The private key of a PEM text. Raises ReleaseError."""
    secret = passphrase.encode() if passphrase and is_encrypted(pem) else None
    try:
        key = serialization.load_pem_private_key(pem, secret)
    except TypeError:
        raise ReleaseError("the key is encrypted: expected its passphrase") from None
    except ValueError:
        remedy = "is the passphrase right?" if secret else "expected a file of `csipio keys new`"
        raise ReleaseError(f"the key cannot be read: {remedy}") from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size != _KEY_BITS:
        raise ReleaseError(f"the key: expected RSA with {_KEY_BITS} bits, from `csipio keys new`")
    if key.public_key().public_numbers().e != _EXPONENT:
        raise ReleaseError(f"the key: expected the exponent {_EXPONENT}")
    return key


def public(key: rsa.RSAPrivateKey) -> str:
    """The public key as a device has it: the modulus, 384 bytes big endian, in base64."""
    modulus = key.public_key().public_numbers().n
    return base64.b64encode(modulus.to_bytes(_KEY_BYTES, "big")).decode()


def check_public(text: str) -> str:
    """The public key, if it can be one. Raises ReleaseError."""
    modulus = _decoded(text, "the public key")
    if not (modulus[0] & 0x80 and modulus[-1] & 1):
        raise ReleaseError("the public key: expected what `csipio keys show` prints")
    return text


def sign(release: Release, key: rsa.RSAPrivateKey) -> Release:
    """The release with its signature."""
    signature = key.sign(release.text(), padding.PKCS1v15(), hashes.SHA256())
    return replace(release, signature=base64.b64encode(signature).decode())


def verify(release: Release, public_key: str, image: bytes | None = None) -> None:
    """Raise ReleaseError unless signature, and image if given, are the release's."""
    modulus = int.from_bytes(_decoded(check_public(public_key), "the public key"), "big")
    key = rsa.RSAPublicNumbers(_EXPONENT, modulus).public_key()
    signature = _decoded(release.signature, "the manifest: signature")
    try:
        key.verify(signature, release.text(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        raise ReleaseError(
            "the signature is not of this key, or the manifest was changed after it: "
            "make the release again with `csipio release`"
        ) from None
    if image is not None:
        check_image(release, image)


def check_image(release: Release, image: bytes) -> None:
    """Raise ReleaseError unless the image is the one that the release describes."""
    again = "make the release again with `csipio release`"
    if len(image) != release.size:
        raise ReleaseError(
            f"the image has {len(image)} bytes, and the manifest says {release.size}: {again}"
        )
    if hashlib.sha256(image).hexdigest() != release.sha256:
        raise ReleaseError(f"the image is not the one of the manifest: {again}")


# -- images


def inspect(image: bytes) -> Image:
    """What an image is. Raises ReleaseError for what no device could take."""
    if image[:1] == bytes([_APP_MAGIC]):
        return _app(image)
    if image.startswith(_ROMFS_MAGIC):
        _check_romfs(image)
        return Image("romfs", ANY)
    if _FILE_LINE.match(image):
        read_files(image)
        return Image("files", ANY)
    raise ReleaseError(
        "is no image: expected an application of ESP-IDF, a ROMFS image or a set of files"
    )


def _app(image: bytes) -> Image:
    if len(image) < _DESCRIPTION_AT + _DESCRIPTION.size:
        raise ReleaseError("the image is cut off")
    magic, _, _, version, _ = _DESCRIPTION.unpack_from(image, _DESCRIPTION_AT)
    if magic != _DESCRIPTION_MAGIC:
        raise ReleaseError(
            "is no application: an image with a bootloader is for `csipio flash`; take the one "
            "for an update, of `make image` the file …-update.bin"
        )
    (chip_id,) = struct.unpack_from("<H", image, _CHIP_ID_AT)
    if chip_id not in CHIPS:
        raise ReleaseError(f"is for the chip {chip_id:#x}, which this tool does not know")
    end = _HEADER_BYTES
    for _ in range(image[1]):  # segments
        if end + _SEGMENT.size > len(image):
            raise ReleaseError("the image is cut off")
        _, size = _SEGMENT.unpack_from(image, end)
        end += _SEGMENT.size + size
    end += 16 - end % 16  # a checksum is the last of 16 bytes
    hashed = bool(image[_HASHED_AT])
    if end + hashed * _SHA_BYTES > len(image):
        raise ReleaseError("the image is cut off")
    if hashed and hashlib.sha256(image[:end]).digest() != image[end : end + _SHA_BYTES]:
        raise ReleaseError("the image is damaged: its own hash is not that of its bytes")
    name, _ = CHIPS[chip_id]
    return Image("app", name.replace("-", ""), version.split(b"\0")[0].decode("ascii", "replace"))


def _check_romfs(image: bytes) -> None:
    size, at = 0, len(_ROMFS_MAGIC)
    while at < len(image):  # seven bits a byte, the highest first
        size = size << 7 | image[at] & 0x7F
        at += 1
        if not image[at - 1] & 0x80:
            break
    if at + size > len(image):
        raise ReleaseError("the image is cut off")


def files_image(files: Mapping[str, bytes]) -> bytes:
    """A set of files as an image: `path size` in a line, then the bytes; at the end `end 0`."""
    parts = []
    for path in sorted(files):
        line = f"{path} {len(files[path])}\n".encode()
        if not _FILE_LINE.fullmatch(line) or not _is_below(path):
            raise ReleaseError(
                f"{path!r}: expected a path of at most 128 ASCII characters without a space, "
                "below the folder of the set"
            )
        parts += [line, files[path]]
    return b"".join([*parts, b"end 0\n"])


def read_files(image: bytes) -> dict[str, bytes]:
    """The files of such an image. Raises ReleaseError."""
    files: dict[str, bytes] = {}
    at = 0
    while line := _FILE_LINE.match(image, at):
        path, size = line[1].decode(), int(line[2])
        at = line.end() + size
        if path == "end":
            if size or at != len(image):
                raise ReleaseError("the set of files does not end at its end")
            return files
        if not _is_below(path) or path in files:
            raise ReleaseError(f"the set of files has {path!r} twice, or outside of its folder")
        files[path] = image[line.end() : at]
    raise ReleaseError("the set of files is cut off, or is none")


def _is_below(path: str) -> bool:
    parts = path.split("/")
    normal = PurePosixPath(path).as_posix() == path
    return normal and path != "end" and not {"", ".", ".."} & set(parts)
