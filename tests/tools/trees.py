"""A small firmware, to be built in a test."""

from pathlib import Path


def firmware(root: Path, texts: dict[str, str]) -> Path:
    """Write what every firmware has, and these texts by their paths; the folder."""
    always = {"boot.py": "", "main.py": "from firmware import app\n", "lib/umqtt/simple.py": ""}
    for path, text in (always | texts).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root
