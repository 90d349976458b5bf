"""The tables of docs/, made from the firmware's."""

from pathlib import Path

import pytest

from tools import reference

PLACES = """# A page

<!-- configuration:begin -->
out of date
<!-- configuration:end -->

<!-- drivers:begin -->
<!-- drivers:end -->

<!-- commands:begin -->
<!-- commands:end -->

<!-- properties:begin -->
<!-- properties:end -->
the end
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("docs")
    (folder / "page.md").write_text(PLACES)
    assert reference.main(["--write"], folder) == 0
    return (folder / "page.md").read_text()


def test_every_key_has_its_row(page: str) -> None:
    for row in (
        "| `mqtt.keepalive_s` | a whole number 5 to 60 seconds | `25` |",
        "| `device.id` | 1 to 64 characters, without / + # and spaces | "
        "required unless provision |",
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


def test_a_table_without_a_place_is_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "page.md").write_text(PLACES.replace("<!-- commands:begin -->", ""))
    assert reference.main(["--write"], tmp_path) == 1
    assert "no page has <!-- commands:begin -->" in capsys.readouterr().err


def test_check_and_write(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    one, other = PLACES.split("<!-- commands", 1)
    (tmp_path / "one.md").write_text(one)
    (tmp_path / "other.md").write_text("<!-- commands" + other)
    assert reference.main(["--check"], tmp_path) == 1
    told = capsys.readouterr().err
    assert "one.md" in told and "other.md" in told and "tools.reference --write" in told
    assert (tmp_path / "one.md").read_text() == one
    assert reference.main(["--write"], tmp_path) == 0
    assert reference.main(["--check"], tmp_path) == 0


def test_the_pages_are_up_to_date() -> None:
    assert reference.main(["--check"]) == 0
