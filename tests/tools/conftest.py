"""Fixtures of the tests of the tools."""

import shutil

import pytest

from tools import ROOT
from tools.build import build


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """A source tree with the real firmware and a main.py that only starts, and its bytecode."""
    root = tmp_path_factory.mktemp("built")
    for folder in ("firmware", "lib"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "boot.py").write_text("print('boot')\n")
    (root / "main.py").write_text("from firmware import config\nprint('main')\n")
    build(root)
    return root


@pytest.fixture
def root(built, tmp_path):
    """A copy of it."""
    return shutil.copytree(built, tmp_path / "source")
