"""A release as values: the signed text, keys and signatures, and what an image says of itself."""

import hashlib
import json
import struct
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.tools.images import app_image
from tools import build, releases
from tools.releases import Image, ReleaseError

IMAGE = b"an image" * 1000


@pytest.fixture(scope="module")
def key():
    return releases.new_key()


def release(image=IMAGE, **changes):
    made = releases.describe(image, Image("romfs", "ESP32"), "0.3.0", (1, 2), 2)
    return replace(made, **changes)


def test_the_signed_text_is_these_lines():
    assert release(size=123456).text().decode() == (
        "csipio-release 1\n"
        "kind romfs\n"
        "chip ESP32\n"
        "version 0.3.0\n"
        "size 123456\n"
        f"sha256 {hashlib.sha256(IMAGE).hexdigest()}\n"
        "reads 1 2\n"
        "writes 2\n"
        "older no\n"
    )
    assert release(older=True).text().endswith(b"\nolder yes\n")


def test_a_device_verifies_it_with_one_power(key):
    """As PKCS #1 v1.5 is checked where there is only pow()."""
    signed = releases.sign(release(), key)
    number, modulus = (
        int.from_bytes(releases._decoded(text, ""), "big")
        for text in (signed.signature, releases.public(key))
    )
    padded = pow(number, 65537, modulus).to_bytes(384, "big")
    digest = hashlib.sha256(signed.text()).digest()
    info = bytes.fromhex("3031300d060960864801650304020105000420")  # RFC 8017, section 9.2
    assert padded == b"\0\1" + b"\xff" * (384 - 3 - 51) + b"\0" + info + digest


CHANGES = {
    "version": "0.3.1",
    "kind": "files",
    "chip": "ESP32S3",
    "size": 1,
    "sha256": "0" * 64,
    "reads": (2,),
    "writes": 1,
    "older": True,
}


@pytest.mark.parametrize("name", CHANGES)
def test_nothing_that_is_signed_can_be_changed(key, name):
    signed = releases.sign(release(), key)
    releases.verify(signed, releases.public(key), IMAGE)
    with pytest.raises(ReleaseError, match="the signature is not of this key"):
        releases.verify(replace(signed, **{name: CHANGES[name]}), releases.public(key))


def test_every_field_is_signed_but_where_it_is_and_the_signature():
    assert set(CHANGES) | {"url", "signature"} == set(releases.Release.__dataclass_fields__)


def test_another_key_and_another_image_are_refused(key):
    signed = releases.sign(release(), key)
    with pytest.raises(ReleaseError, match="not of this key"):
        releases.verify(signed, releases.public(releases.new_key()))
    with pytest.raises(ReleaseError, match="has 7999 bytes, and the manifest says 8000"):
        releases.verify(signed, releases.public(key), IMAGE[:-1])
    with pytest.raises(ReleaseError, match="is not the one of the manifest"):
        releases.verify(signed, releases.public(key), IMAGE[:-1] + b"?")


def test_the_manifest_is_read_as_it_was_written(key):
    signed = releases.sign(release(url="r.bin"), key)
    text = json.dumps(signed.manifest())
    assert releases.parse(text) == signed
    assert len(text) < 1200


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"version": "0.3.0-rc1"}, "version '0.3.0-rc1'"),
        ({"version": "01"}, "version '01'"),
        ({"version": 3}, "version: expected a string"),
        ({"kind": "elf"}, "kind: expected one of app, romfs, files"),
        ({"chip": "ESP32-S3"}, "chip"),
        ({"kind": "app", "chip": "any"}, "chip"),
        ({"size": 0}, "size"),
        ({"size": True}, "size"),
        ({"size": 1 << 30}, "size"),
        ({"sha256": "A" * 64}, "sha256"),
        ({"reads": []}, "reads"),
        ({"reads": [1.5]}, "reads"),
        ({"reads": 1}, "reads"),
        ({"reads": [1]}, "reads: expected also what it writes"),
        ({"writes": "2"}, "writes"),
        ({"older": 1}, "older"),
        ({"signature": "AAAA"}, "signature: expected 384 bytes"),
        ({"signature": "ä" + "A" * 511}, "signature: expected 384 bytes"),
        ({"url": None}, "url"),
        ({"extra": 1}, "extra: expected no such key"),
        ({"url": "x" * 2048}, "more than 2048 bytes"),
    ],
)
def test_a_bad_manifest_is_refused_by_the_name_of_the_key(key, changes, said):
    tree = releases.sign(release(), key).manifest() | changes
    with pytest.raises(ReleaseError, match=said):
        releases.parse(json.dumps(tree))


@pytest.mark.parametrize("text, said", [("[]", "an object"), ("{", "no JSON"), ("{}", "chip")])
def test_what_is_no_manifest(text, said):
    with pytest.raises(ReleaseError, match=said):
        releases.parse(text)


def test_versions_compare_as_numbers():
    ordered = ["0.2", "0.9.9", "0.10", "1", "1.0.1", "10.0"]
    assert sorted(ordered, key=releases.numbers) == ordered
    assert releases.numbers("1.0.0") == releases.numbers("1")


def test_a_key_is_read_as_it_was_written(key):
    for passphrase in (None, "wörter"):
        pem = releases.key_text(key, passphrase)
        assert releases.is_encrypted(pem) == bool(passphrase)
        assert releases.public(releases.read_key(pem, passphrase)) == releases.public(key)
    assert releases.check_public(releases.public(key))


def test_bad_keys(key):
    secret = releases.key_text(key, "right")
    with pytest.raises(ReleaseError, match="expected its passphrase"):
        releases.read_key(secret)
    with pytest.raises(ReleaseError, match="is the passphrase right"):
        releases.read_key(secret, "wrong")
    with pytest.raises(ReleaseError, match="expected a file of `csipio keys new`"):
        releases.read_key(b"nothing")
    for other in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())):
        pem = other.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        with pytest.raises(ReleaseError, match="expected RSA with 3072 bits"):
            releases.read_key(pem)
    for text in ("", "AAAA", "A" * 512):
        with pytest.raises(ReleaseError, match="the public key"):
            releases.check_public(text)


# -- images


@pytest.mark.parametrize("chip_id, chip", [(0, "ESP32"), (9, "ESP32S3"), (5, "ESP32C3")])
def test_an_app_says_its_chip(chip_id, chip):
    assert releases.inspect(app_image(chip_id)) == Image("app", chip, "v1.28.0")


def test_an_app_that_is_cut_damaged_or_for_an_unknown_chip():
    whole = app_image(0)
    for length in (1, 40, 200, 300, len(whole) - 1):
        with pytest.raises(ReleaseError, match="cut off"):
            releases.inspect(whole[:length])
    with pytest.raises(ReleaseError, match="damaged"):
        releases.inspect(whole[:300] + b"?" + whole[301:])
    with pytest.raises(ReleaseError, match="the chip 0x63"):
        releases.inspect(app_image(99))


def test_an_image_with_a_bootloader_is_not_for_an_update():
    image = bytearray(app_image(0))
    struct.pack_into("<I", image, 32, 80)  # what ESP-IDF's bootloader has there
    with pytest.raises(ReleaseError, match="is for `csipio flash`"):
        releases.inspect(bytes(image))


def test_a_romfs_image_is_one_and_cut_it_is_none(tmp_path):
    (tmp_path / "main.mpy").write_bytes(bytes(1000))
    image = build.romfs(tmp_path)
    assert releases.inspect(image) == Image("romfs", "any")
    with pytest.raises(ReleaseError, match="cut off"):
        releases.inspect(image[:-1])


def test_a_set_of_files():
    files = {"lib/umqtt/simple.mpy": b"two\nlines", "firmware/app.mpy": b"", "z": b"end 0\n"}
    image = releases.files_image(files)
    assert image == (b"firmware/app.mpy 0\nlib/umqtt/simple.mpy 9\ntwo\nlinesz 6\nend 0\nend 0\n")
    assert releases.read_files(image) == files
    assert releases.inspect(image) == Image("files", "any")


@pytest.mark.parametrize("path", ["", "/a", "../a", "a/../b", "a//b", "a b", "ä", "end", "a\n"])
def test_a_path_that_does_not_go_into_a_set_of_files(path):
    with pytest.raises(ReleaseError, match="expected a path"):
        releases.files_image({path: b""})


@pytest.mark.parametrize(
    "image",
    [
        b"a 3\nabc",
        b"a 3\nab",
        b"a 3\nabcend 0\nx",
        b"end 1\nx",
        b"../a 1\nxend 0\n",
        b"a 0\na 0\nend 0\n",
    ],
)
def test_a_set_of_files_that_is_cut_or_leaves_its_folder(image):
    with pytest.raises(ReleaseError, match="set of files"):
        releases.inspect(image)


@pytest.mark.parametrize("image", [b"", b"\x7fELF", b"M\x06\0"])
def test_what_is_no_image(image):
    with pytest.raises(ReleaseError, match="is no image"):
        releases.inspect(image)
