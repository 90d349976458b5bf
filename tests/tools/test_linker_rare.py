"""What is rare is in units of its own, which are in memory only while it runs."""

import re
import textwrap

import pytest

from tests.tools.test_linker import run
from tools import ROOT
from tools.build import sources
from tools.linker import LinkError, link, translated
from tools.linker.names import UNITS

PASSING = (ROOT / "firmware/base/passing.py").read_text()
MARK = (ROOT / "firmware/base/rare.py").read_text()
IMPORT = "from firmware.base.rare import rare\n"


def texts(**modules):
    given = {
        f"firmware/{name.replace('_', '/')}.py": '"""Says."""\n' + textwrap.dedent(text)
        for name, text in modules.items()
    }
    return given | {"firmware/base/passing.py": PASSING, "firmware/base/rare.py": MARK}


def linked(divide=True, **modules):
    return {unit.name: unit.source for unit in link(texts(**modules), divide)}


RING = """
from firmware.base.rare import rare
from micropython import const
_SLOTS = const(3)
_left = [1]

class Ring:
    @rare
    def __init__(self, size, *, more=0):
        self.size = self._twice(size) + more
        self.room = _SLOTS

    def add(self, n):
        return self._resize(n)

    @rare
    def _resize(self, n, by=1):
        return self.size + n * by + len(_left)

    @rare
    def _twice(self, n):
        return 2 * n

    @rare
    async def fill(self):
        return self.room

@rare
def made(size):
    return Ring(size, more=_extra())

def _extra():
    return 5
"""
APP = """
import asyncio, sys
from firmware.ring import made
def run():
    ring = made(4)
    print(ring.size, ring.add(2), ring._resize(2, by=3), asyncio.run(ring.fill()))
    print(hasattr(ring, "none"), hasattr(ring, "size"))
    try:
        ring.none
    except AttributeError as e:
        print(e)
    print(sorted(n for n in sys.modules if n.startswith("firmware.") or n < "["))
"""


@pytest.mark.parametrize("divide", [False, True])
def test_what_is_rare_does_what_it_did(tmp_path, divide):
    units = linked(
        divide, app=APP.replace("ring._resize", "ring.add").replace(", by=3", ""), ring=RING
    )
    said = run(units, "from firmware import app; app.run()", tmp_path).splitlines()
    assert said[:2] == ["13 16 16 3", "False True"]
    assert "none" in said[2]
    assert said[3:] == ["['firmware.app']"]
    assert len(units) == 2  # one has what is rare or, whole, the loader, which nothing imports


def test_it_is_given_arguments_by_name(tmp_path):
    app = """
        from firmware.ring import Ring
        def run(): print(Ring(size=1, more=2).more(by=3))
        """
    ring = """
        from firmware.base.rare import rare
        class Ring:
            @rare
            def __init__(self, size, more):
                self.size = size + more
            @rare
            def more(self, by=1):
                return self.size * by
        """
    assert (
        run(linked(app=app, ring=ring), "from firmware import app; app.run()", tmp_path) == "9\n"
    )


def test_it_is_out_of_memory_when_it_has_run(tmp_path):
    methods = "".join(
        f"\n    @rare\n    def part{n}(self):\n        return {n}, self, 'some text {n}'\n"
        for n in range(40)
    )
    calls = "".join(f"    assert ring.part{n}()[0] == {n}\n" for n in range(40))
    app = f"import gc\nfrom firmware.ring import Ring\nring = Ring()\ndef use():\n{calls}"
    # The collector takes what is left on the C stack for pointers.
    app += "def scrub(n):\n    return n and scrub(n - 1)\n"
    app += "def run():\n    use()\n    scrub(30)\n    gc.collect()\n    print(gc.mem_alloc())\n"
    ring = f"{IMPORT}class Ring:\n    x = 1\n{methods}"
    alive = [
        int(run(linked(divide, app=app, ring=ring), "from firmware import app; app.run()", folder))
        for divide, folder in ((False, tmp_path / "whole"), (True, tmp_path / "divided"))
        if not folder.mkdir()
    ]
    assert alive[0] - alive[1] > 1000, alive


def test_one_that_calls_another_loads_it_once(tmp_path):
    app = """
        import sys
        from firmware.a import A
        from firmware.b import B
        def run():
            ours = [n for n in sys.modules if n.startswith("firmware.") or n < "["]
            print(A(B()).first(), len(ours))
        """
    a = """
        import sys
        from firmware.base.rare import rare
        class A:
            def __init__(self, b): self.b = b
            @rare
            def first(self):
                self.b.second()
                before = len(sys.modules)
                return self.b.second(), self.b.third(), len(sys.modules) - before
        """
    b = """
        from firmware.base.rare import rare
        class B:
            @rare
            def second(self): return 2
            @rare
            def third(self): return 3
        """
    said = run(linked(app=app, a=a, b=b), "from firmware import app; app.run()", tmp_path)
    assert said == "(2, 3, 0) 1\n"


def test_no_more_than_three_are_kept_while_another_runs(tmp_path):
    """Each is 500 bytes, and the start calls dozens of them."""
    classes = {
        f"m{n}": f"{IMPORT}class C{n}:\n    @rare\n    def f(self):\n        return {n}\n"
        for n in range(6)
    }
    names = ", ".join(f"C{n}()" for n in range(6))
    app = "import sys\n" + "".join(f"from firmware.m{n} import C{n}\n" for n in range(6))
    app += f"""
{IMPORT}class App:
    @rare
    def all(self):
        counts = []
        for one in ({names}):
            one.f()
            counts.append(len([n for n in sys.modules if n < "["]))
        return counts
def run():
    print(App().all(), [n for n in sys.modules if n < "["])
"""
    said = run(linked(app=app, **classes), "from firmware import app; app.run()", tmp_path)
    assert said == "[1, 2, 3, 3, 3, 3] []\n"


def test_a_unit_that_is_not_found_by_its_name_has_a_word_of_the_rom(tmp_path):
    """Outside of the package: a dotted name is put together in RAM, and kept for good."""
    app = """
        import sys
        from firmware.base.passing import passing
        from firmware.a import A
        def run(): print(A().first(), passing(use), [n for n in sys.modules if n < "["])
        def use():
            from firmware.lazy import two
            return two()
        """
    a = f"{IMPORT}class A:\n    @rare\n    def first(self):\n        return 1\n"
    lazy = "def two(): return 2\n"
    units = linked(app=app, a=a, lazy=lazy, sensors_bme="RANGE = None")
    words = set(units) - {"firmware.app", "firmware.sensors.bme"}
    assert len(words) == 2 and words < set(UNITS)
    assert run(units, "from firmware import app; app.run()", tmp_path) == "1 2 []\n"
    whole = linked(False, app=app, a=a, lazy=lazy, sensors_bme="RANGE = None")
    assert set(whole) == {"firmware.app", "firmware.lazy", "firmware.sensors.bme"}


def test_the_words_are_enough_for_all_units_and_no_two_are_one_file():
    """Where capitals are not told from small letters, too."""
    given = {p: t for p, t in sources(ROOT).items() if p.startswith("firmware/")}
    names = [unit.name for unit in link(given, divide=True) if "." not in unit.name]
    assert len({name.lower() for name in names}) == len(names)
    assert {name for name in names if name != "firmware"} < set(UNITS)


def test_what_only_something_rare_imports_goes_with_it_unless_it_has_classes(tmp_path):
    app = """
        import sys
        from firmware.a import A
        def run():
            found = A().first()
            ours = sorted(n for n in sys.modules if n.startswith("firmware.") or n < "[")
            print(found, ours)
        """
    a = """
        from firmware import tell, kept
        from firmware.base.rare import rare
        class A:
            @rare
            def first(self): return tell.two(), kept.Two().n
        """
    units = linked(app=app, a=a, tell="def two(): return 2\n", kept="class Two:\n    n = 2\n")
    said = run(units, "from firmware import app; app.run()", tmp_path)
    assert said == "(2, 2) ['firmware.app']\n"
    assert "Two" not in units["firmware.app"]  # it has a word of the ROM
    assert units["firmware.app"].count("class ") == 2


def test_a_traceback_leads_to_its_source(tmp_path):
    given = texts(
        app="from firmware.a import A\ndef run(): A().first()\n",
        a="from firmware.base.rare import rare\n\n\nclass A:\n    def no(self): pass\n\n"
        "    @rare\n    def first(self):\n        return 1 // 0\n",
    )
    units = link(given, divide=True)
    code = "from firmware import app\ntry:\n    app.run()\nexcept Exception as e:\n"
    code += "    import sys; sys.print_exception(e)\n"
    said = run({unit.name: unit.source for unit in units}, code, tmp_path)
    places = {unit.name.replace(".", "/") + ".py": unit.starts for unit in units}
    found = translated(re.sub(r'File "[^"]*?(firmware/)', r'File "\1', said), places)
    assert 'File "firmware/a.py", line 10, in' in found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("class A(B):\n    @rare\n    def f(self): pass", "line 4: a class that is derived"),
        ("class A:\n    @rare\n    @property\n    def f(self): pass", "has no other decorator"),
        (
            "class A:\n    @rare\n    def f(self): pass\n\n\n"
            "class B:\n    @rare\n    def f(self): pass",
            "one class of a module has rare methods",
        ),
        ("class A:\n    @rare\n    def __len__(self): pass", "__len__ is found by MicroPython"),
        ("class A:\n    @rare\n    def f(self): super().f()", "neither `global` nor `super`"),
        ("@rare\ndef f():\n    global a\n    a = 1", "neither `global` nor `super`"),
        (
            "@rare\ndef f(): pass\ndef g(): from firmware.a import f as h",
            "import it at the outermost",
        ),
    ],
)
def test_what_cannot_be_rare_is_refused(text, words):
    with pytest.raises(LinkError, match=words):
        linked(app="from firmware import a\nb = a.B\n", a=f"class B: pass\n{IMPORT}{text}\n")


def test_a_module_that_passes_has_nothing_rare():
    app = """
        from firmware.base.passing import passing
        def run(): passing(_step)
        def _step():
            from firmware import a
            a.f()
        """
    with pytest.raises(LinkError, match="it passes itself"):
        linked(app=app, a=f"{IMPORT}@rare\ndef g(): return _h()\ndef f(): g()\ndef _h(): pass\n")


def test_what_is_called_in_every_second_is_not_rare():
    """Each step of the regulation, reading and tick finds all that it calls in memory."""
    given = {p: t for p, t in sources(ROOT).items() if p.startswith("firmware/")}
    every_second = {
        "control/heating.py": ("step", "off"),
        "control/relay.py": ("request", "off", "may_end"),
        "control/thermostat.py": ("decide", "reading"),
        "control/plausibility.py": ("reading", "look"),
        "points/queue.py": ("put", "tick", "flush", "release"),
        "supervision/supervisor.py": ("run", "failed", "_out_of_memory", "_look"),
        "base/log.py": ("info", "warning", "error"),
    }
    for path, names in every_second.items():
        for name in names:
            text = given[f"firmware/{path}"]
            assert re.search(rf"def {name}\(", text), (path, name)
            assert not re.search(rf"@rare\n *(async )?def {name}\(", text), (path, name)
