"""Third-party modules for lib/, from an index that is a folder: no network."""

import hashlib
import io
import tarfile
import zipfile

import pytest

from tools import vendor
from tools.vendor import Package, VendorError

NAME = "micropython-umqtt.simple-1.3.4"


@pytest.fixture
def lib(tmp_path):
    lib = tmp_path / "lib"
    lib.mkdir()
    return lib


@pytest.fixture
def index(tmp_path, monkeypatch):
    """Pip is set to find packages in this folder alone; an archive of our own is there."""
    index = tmp_path / "index"
    index.mkdir()
    with tarfile.open(index / f"{NAME}.tar.gz", "w:gz") as archive:
        for path in ("setup.cfg", "umqtt/simple.py"):
            data = f"# {path}\n".encode()
            member = tarfile.TarInfo(f"{NAME}/{path}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return index


def package(archive):
    name, version = archive.name.removesuffix(".tar.gz").rsplit("-", 1)
    return Package(name, version, hashlib.sha256(archive.read_bytes()).hexdigest())


@pytest.fixture
def ours(index):
    """The archive of our own."""
    return (package(index / f"{NAME}.tar.gz"),)


def test_the_module_comes_from_where_pip_is_set_to_look(lib, ours, capsys):
    vendor.vendor(ours, lib)
    assert (lib / "umqtt" / "simple.py").read_text() == "# umqtt/simple.py\n"
    assert not (lib / "setup.cfg").exists()
    assert "SHA-256 checked" in capsys.readouterr().out


def test_a_second_call_does_nothing_and_needs_nothing(lib, ours, monkeypatch, capsys):
    vendor.vendor(ours, lib)
    capsys.readouterr()
    monkeypatch.setattr(vendor, "fetch", None)
    vendor.vendor(ours, lib)
    assert capsys.readouterr().out == ""


def test_another_version_replaces_the_one_that_is_there(lib, ours):
    (lib / "umqtt").mkdir()
    (lib / "umqtt" / "simple.py").write_text("# of an older version\n")
    vendor.vendor(ours, lib)
    assert (lib / "umqtt" / "simple.py").read_text() == "# umqtt/simple.py\n"


def test_a_module_that_is_missing_comes_back(lib, ours):
    vendor.vendor(ours, lib)
    (lib / "umqtt" / "simple.py").unlink()
    vendor.vendor(ours, lib)
    assert (lib / "umqtt" / "simple.py").exists()


def test_of_a_wheel_all_modules_are_taken(tmp_path, lib):
    wheel = tmp_path / "some-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in ("some/__init__.py", "some/wire.py", "some-1.0.dist-info/RECORD", "setup.py"):
            archive.writestr(name, f"# {name}\n")
    written = vendor.unpack(wheel, lib)
    assert written == [lib / "some" / "__init__.py", lib / "some" / "wire.py"]
    assert written[1].read_text() == "# some/wire.py\n"


def test_a_wrong_hash_is_refused_and_nothing_installed(lib, index):
    with pytest.raises(VendorError, match=r"wrong SHA-256: expected b6a25202.*, got "):
        vendor.vendor(into=lib)
    assert list(lib.iterdir()) == []


def test_an_index_without_it_is_told(lib, index):
    (index / f"{NAME}.tar.gz").unlink()
    with pytest.raises(VendorError, match="not found in the package index; check the network"):
        vendor.vendor(into=lib)


def test_an_index_that_cannot_be_reached_is_told(lib, index, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(VendorError, match="check the network connection and pip's index-url"):
        vendor.vendor(into=lib)
