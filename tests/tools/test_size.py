"""`csipio size`: every module is measured, and what is linked takes less than what is not."""

import pytest

from tools import ROOT, ToolError, size


@pytest.fixture(scope="module")
def rooms():
    return {room.name: room for room in size.rooms()}


def test_every_module_is_in_a_room(rooms):
    modules = [p for p in (ROOT / "firmware").rglob("*.py") if p.name != "rare.py"]
    assert sum(room.modules for room in rooms.values()) == len(modules)
    folders = {path.name for path in (ROOT / "firmware").iterdir() if path.is_dir()}
    assert set(rooms) == (folders - {"__pycache__"}) | {"app"}


def test_a_room_costs_flash_and_heap(rooms):
    assert all(room.flash > 500 and room.heap > 200 for room in rooms.values())
    # machine and network are a board's.
    assert {room.name: room.unknown for room in rooms.values() if room.unknown} == {"board": 1}


def test_units_take_less_than_their_modules(rooms):
    flash, heap = size.linked()
    # What is rare is in units of its own, for the heap's sake.
    assert flash < 1.05 * sum(room.flash for room in rooms.values())
    assert heap < 0.35 * sum(room.heap for room in rooms.values())


@pytest.mark.parametrize("word", [4, 8])
def test_what_is_past_its_budget_is_named(word):
    flash, heap = size.FLASH_BUDGET, size.HEAP_BUDGETS[word]
    assert size.too_much(flash, heap, word) == []
    [problem] = size.too_much(flash + 1, heap, word)
    assert f"{flash + 1:,} bytes of flash" in problem and f"{flash:,}:" in problem
    [problem] = size.too_much(flash, heap + 1, word)
    assert f"{heap + 1:,} bytes of heap" in problem and f"{heap:,}:" in problem


def test_what_is_past_its_budget_fails_after_the_table(monkeypatch, capsys):
    size.main()
    monkeypatch.setattr(size, "FLASH_BUDGET", 1000)
    with pytest.raises(ToolError, match="budget is 1,000"):
        size.main()
    assert "a typical device, linked" in capsys.readouterr().out
