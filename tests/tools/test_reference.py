"""The README's tables, made from the firmware's."""

from pathlib import Path

import pytest

from tools import ROOT, ToolError, reference

PLACES = """# A page

<!-- configuration:begin -->
out of date
<!-- configuration:end -->

<!-- commands:begin -->
<!-- commands:end -->

<!-- properties:begin -->
<!-- properties:end -->
the end
"""


@pytest.fixture(scope="module")
def page() -> str:
    return reference.renewed(PLACES)


def test_every_key_has_its_row(page: str) -> None:
    for row in (
        "| `mqtt.keepalive_s` | a whole number 5 to 60 seconds | `25` |",
        "| `device.id` | 1 to 64 characters, without / + # and spaces | required |",
        '| `thermostat.relay.active` | `"high"` or `"low"` | `"high"` |',
        "| `thermostat.frost` | 0 to 15 °C or null | `5.0` |",
        "| **`thermostat`** | an object | none |",
        "| **`sensors`** | a list of at most 24 objects | `[]` |",
        '| `time.ntp` | a list of at most 4 host or host:port | `["pool.ntp.org"]` |',
    ):
        assert row in page


def test_every_driver_has_a_table_of_its_keys(page: str) -> None:
    assert "Driver `counter` (count):" in page
    assert "Driver `sht4x` (temperature, °C; humidity, %):" in page
    assert "Driver `rssi` (signal, dBm) has no keys of its own." in page
    assert "| `sensors[].pin` | a whole number 0 to 48 | required |" in page
    assert page.index("Driver `ds18x20`") < page.index("`sensors[].nth`")


def test_every_command_has_its_row(page: str) -> None:
    commands = page.partition("<!-- commands:begin -->")[2]
    assert "| `setpoint` | 5 to 35 °C |" in commands
    assert '| `mode` | `"off"` or `"heat"` or `"cool"` or `"auto"` |' in commands


def test_every_property_has_its_row(page: str) -> None:
    properties = page.partition("<!-- properties:begin -->")[2]
    for row in (
        "| of a sensor | number | protected | never | each `sensors[].prop` |",
        "| `relay2` | boolean | protected | never | `thermostat.stage2` |",
        "| `setpoint` | number, 5 to 35 | public | always | `thermostat` |",
        "| `restart` | boolean | public | always | always |",
        "| `mode` | enum: `off`, `heat`, `cool`, `auto` | public | always | `thermostat` |",
        "| `freeheap` | number | protected | never | `health.properties` |",
    ):
        assert row in properties


def test_what_stands_around_the_tables_stays(page: str) -> None:
    assert page.startswith("# A page\n\n<!-- configuration:begin -->\n")
    assert page.endswith("<!-- properties:end -->\nthe end\n")
    assert "out of date" not in page


def test_a_second_writing_changes_nothing(page: str) -> None:
    assert reference.renewed(page) == page


def test_a_page_without_a_place_is_refused() -> None:
    with pytest.raises(ToolError, match="commands:begin"):
        reference.renewed(PLACES.replace("<!-- commands:begin -->", ""))


def test_check_and_write(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "README.md"
    path.write_text(PLACES)
    assert reference.main(["--check", str(path)]) == 1
    assert "python -m tools.reference --write" in capsys.readouterr().err
    assert path.read_text() == PLACES
    assert reference.main(["--write", str(path)]) == 0
    assert reference.main(["--check", str(path)]) == 0
    assert reference.main(["--check", str(tmp_path / "none.md")]) == 1


def test_the_readme_is_up_to_date() -> None:
    assert reference.main(["--check", str(ROOT / "README.md")]) == 0
