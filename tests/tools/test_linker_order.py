"""What a board's own module asks of the unit that loads it, which the computer's does not ask."""

import pytest

from tests.tools.test_linker import linked, run
from tools import ROOT
from tools.build import sources
from tools.linker import link


def test_what_is_loaded_in_the_middle_of_a_unit_finds_there_what_it_needs(tmp_path):
    units = linked(
        app="""
            from firmware.board import board
            from firmware.times import clock
            def run(): print(board.name(), clock.FIRST)
            """,
        board="""
            import sys
            if sys.platform != "esp32":
                from firmware.boards import esp32 as board
            else:
                from firmware.boards import unix as board
            """,
        boards_esp32="""
            from firmware.boards import wifi
            from firmware.times.clock import FIRST
            def name(): return wifi.name(FIRST)
            """,
        boards_unix="def name(): return 'unix'",
        boards_wifi="""
            from firmware.times import zone
            def name(of): return 'esp32 %d %s' % (of, zone.UTC)
            """,
        times_clock="import time\nFIRST = time.gmtime(0)[0]",
        times_zone="UTC = [0]",
    )
    said = run(units, "from firmware import app; app.run()", tmp_path)
    assert said == "esp32 1970 [0] 1970\n"


@pytest.mark.parametrize("divide", [False, True])
def test_the_firmware_is_loaded_on_an_esp32(tmp_path, divide):
    """All that a board loads at its start, and the pins and the radio of it, in its units."""
    given = {p: t for p, t in sources(ROOT).items() if p.startswith("firmware/")}
    board = "firmware/board/__init__.py"
    given[board] = given[board].replace('sys.platform == "esp32"', "True")
    assert given[board] != sources(ROOT)[board]
    made = link(given, divide)
    units = {unit.path.removesuffix(".py").replace("/", "."): unit.source for unit in made}
    esp32 = next(unit.name for unit in made if unit.root == "firmware.board.esp32")
    stand_in = ROOT / "tests/device/helpers/fake_esp32.py"
    (tmp_path / stand_in.name).write_text(stand_in.read_text())
    said = run(
        units,
        "import fake_esp32; fake_esp32.install()\n"
        f"from firmware import app\nimport sys, {esp32}\nesp32 = sys.modules['{esp32}']\n"
        "esp32.set_time(1764408600000)\n"
        "print(esp32.reset_cause(), fake_esp32.RTC.set[:3], bool(app.run))",
        tmp_path,
    )
    assert said == "power-on (2025, 11, 29) True\n"
