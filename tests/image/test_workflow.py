"""The workflow that releases the image."""

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

from tools import ROOT

WORKFLOW = ROOT / ".github/workflows/image.yml"
TEXT = WORKFLOW.read_text()
CONTENT = yaml.safe_load(TEXT)
(JOB,) = CONTENT["jobs"].values()


def test_the_linter_finds_nothing():
    zizmor = Path(sys.executable).with_name("zizmor")
    done = subprocess.run(
        [zizmor, "--offline", "--strict-collection", "--persona=pedantic", WORKFLOW],
        env={name: value for name, value in os.environ.items() if name != "GH_TOKEN"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_runs_on_the_tag_of_a_version_alone():
    # YAML 1.1 reads `on` as true.
    assert CONTENT[True] == {"push": {"tags": ["v*"]}}


def test_it_may_write_a_release_and_nothing_else():
    assert CONTENT["permissions"] == {}
    assert JOB["permissions"] == {"contents": "write"}


def test_actions_are_pinned_by_their_commit():
    used = re.findall(r"uses: (\S+)", TEXT)
    assert used and all(re.fullmatch(r"actions/\w+@[0-9a-f]{40}", action) for action in used)


def test_it_makes_the_image_of_that_tag_and_publishes_all_of_the_release():
    scripts = [step["run"] for step in JOB["steps"] if "run" in step]
    assert scripts[0] == 'make image IMAGE="--tag $GITHUB_REF_NAME"'
    assert "gh release create" in scripts[1] and "build/image/release/*" in scripts[1]
