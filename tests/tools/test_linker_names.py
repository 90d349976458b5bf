"""Names in the linked firmware: shared, kept, and proved to be nobody else's."""

import re
import subprocess

from tests.tools.test_linker import linked, run
from tools import ROOT, micropython
from tools.build import sources
from tools.linker import names, units
from tools.linker.module import Module


def test_attributes_share_names_unless_they_meet_in_a_class(tmp_path):
    units = linked(
        app="""
            from firmware.a import Base
            class Box(Base):
                def __init__(self, inner):
                    super().__init__()
                    self.contents = inner
                    self.colour = "red"
                def describe(self): return self.contents, self.colour, self.weight, self.heavy()
            class Crate:
                def __init__(self): self.corners = 8
                def emptied(self): self.corners = 0
            def run():
                box, crate = Box(1), Crate()
                box.colour += "dish"
                crate.emptied()
                return box.describe(), crate.corners
            """,
        a="""
            class Base:
                def __init__(self): self.weight = 7
                def heavy(self): return self.weight > 5
            """,
    )
    (source,) = units.values()
    own = ["contents", "colour", "describe", "weight", "heavy", "corners", "emptied"]
    assert not re.search("|".join(own), source)
    assert len(set(re.findall(r"self\.(\w+)", source))) < len(own)
    code = "from firmware import app; print(app.run())"
    assert run(units, code, tmp_path) == "((1, 'reddish', 7, True), 0)\n"


def test_attributes_of_others_and_those_found_by_a_text_keep_their_names(tmp_path):
    units = linked(
        app="""
            ROWS = "weight 1"
            class Box:
                def __init__(self):
                    self.weight, self.height, self.verify_mode, self.my_ = 1, 2, 3, 4
                def read(self): return self.height
                @property
                def total(self): return 5
                alias = total
            def run(context):
                context.verify_mode = 9
                context.unheard_of = 8
                box = Box()
                return [getattr(box, row.split()[0]) for row in [ROWS]], getattr(box, "height")
            """,
    )
    (source,) = units.values()
    for name in ("weight", "height", "verify_mode", "read", "total", "unheard_of"):
        assert re.search(rf"\.{name}\b|def {name}\b", source), name
    assert "my_" not in source


def test_what_a_class_sets_in_its_body_shares_names_too(tmp_path):
    units = linked(
        app="""
            class Base:
                colour = "red"
                weight: "int | None" = None
                height = 3
                half = height / 2
            class Box(Base):
                colour = "blue"
                depth, width = 1, 2
            def run():
                box = Box()
                box.weight = 7
                return box.colour, box.weight, Base.weight, Base.colour, box.height, box.half, \\
                    box.width
            """,
    )
    (source,) = units.values()
    assert not re.search("colour|weight|half", source)
    # What its body reads, or sets together with others, keeps its name.
    assert "height" in source and "width" in source
    code = "from firmware import app; print(app.run())"
    assert run(units, code, tmp_path) == "('blue', 7, None, 'red', 3, 1.5, 2)\n"


def test_arguments_get_the_same_name_in_every_call(tmp_path):
    units = linked(
        app="""
            from firmware.a import put
            def run():
                return put(1, colour="red"), put(1, weight=3, colour="blue"), dict(zorro=1)
            """,
        a="def put(what, colour, *, weight=2): return what, colour, weight",
    )
    (source,) = units.values()
    assert "colour" not in source and "weight" not in source
    code = "from firmware import app; print(app.run())"
    assert run(units, code, tmp_path) == "((1, 'red', 2), (1, 'blue', 3), {'zorro': 1})\n"


def test_a_class_has_nothing_that_nobody_asks_for(tmp_path):
    units = linked(app='class Box:\n    "A box."\n    def f(self): pass\nprint(dir(Box))')
    shown = run(units, "from firmware import app", tmp_path)
    assert "__qualname__" not in shown and "__module__" not in shown


def test_texts_of_a_unit_that_is_forgotten_leave_no_names(tmp_path):
    units = linked(
        app="""
            from firmware.base.passing import passing
            def _used(key):
                from firmware.config.load import load
                return load(key)
            def run():
                from sys import modules
                return passing(_used, "one"), "firmware.load" in modules
            """,
        base_passing=(ROOT / "firmware/base/passing.py").read_text(),
        config_load="def load(key): return {'one': 'first', 'two': ('x', 'other')}[key] + 'st'",
    )
    assert not re.search("'(one|two|first|other|st)'", units["firmware.load"])
    code = "from firmware import app; print(app.run(), app.run())"
    (tmp_path / "firmware").mkdir()
    (tmp_path / "firmware/__init__.py").touch()
    assert run(units, code, tmp_path) == "('firstst', False) ('firstst', False)\n"


def test_no_attribute_that_got_another_name_is_one_of_micropythons_own():
    """What is in its ROM may be an attribute of its objects; so may what foreign.txt has."""
    given = {p: t for p, t in sources(ROOT).items() if p.startswith("firmware/")}
    modules = {module.name: module for module in (Module(p, t) for p, t in given.items())}
    for module in modules.values():
        module.resolve(modules)
    cut = units.cut(modules)
    home = {name: unit for unit, members in cut.items() for name in members}
    own = {name for private, name in names.choose(modules, cut, home).attributes if not private}
    assert len(own) > 100 and not own & names.FOREIGN
    code = f"""
import micropython
micropython.qstr_info()
exec({"; ".join(f"{word} = 0" for word in sorted(own))!r})
micropython.qstr_info()
"""
    done = subprocess.run(
        micropython.command("-c", code), capture_output=True, text=True, check=True
    )
    before, after = re.findall(r"n_qstr=(\d+)", done.stdout)
    assert int(after) - int(before) == len(own)


def test_the_words_that_stand_for_names_are_in_the_roms_of_micropython(tmp_path):
    words = [*names.ARGUMENTS, *names.VALUES, *names.ATTRIBUTES, names.MESSAGES]
    assert len(set(words)) == len(words)
    code = f"""
import micropython
micropython.qstr_info()
exec({"; ".join(f"{word} = 0" for word in words)!r})
micropython.qstr_info()
"""
    done = subprocess.run(
        micropython.command("-c", code), capture_output=True, text=True, check=True
    )
    before, after = re.findall(r"n_qstr=(\d+)", done.stdout)
    assert before == after
