"""The linked firmware: it does what its modules do, under fewer and shorter names."""

import re
import subprocess
import textwrap

import pytest

from tools import ROOT, micropython
from tools.build import build, sources
from tools.linker import LinkError, link, names, translated


def linked(**modules):
    """{unit: its source} of modules below firmware/, whose names have _ for /."""
    given = {
        f"firmware/{name.replace('_', '/')}.py": textwrap.dedent(text)
        for name, text in modules.items()
    }
    return {unit.name: unit.source for unit in link(given)}


def run(units, code, tmp_path):
    """What a program prints that has these units."""
    for name, source in units.items():
        path = tmp_path / (name.replace(".", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    done = subprocess.run(
        micropython.command("-c", code),
        env=micropython.environment([tmp_path]),
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    return done.stdout + done.stderr


def test_what_is_imported_at_the_start_is_one_unit_and_what_may_be_is_another():
    units = linked(
        app="from firmware.base import log\ndef run(): from firmware.link import ws; ws.open()",
        base_log="text = [1]",
        link_ws="from firmware.base import log\nfrom firmware.link import frame\n"
        "def open(): frame.cut(log.text)",
        link_frame="def cut(a): pass",
        sensors_bme="RANGE = None",
    )
    assert sorted(units) == ["firmware.app", "firmware.sensors.bme", "firmware.ws"]
    assert "from firmware.app import " in units["firmware.ws"]
    assert "from firmware import ws" in units["firmware.app"]


def test_what_two_need_that_may_be_imported_is_a_unit_of_its_own():
    units = linked(
        app="def run():\n from firmware.x import a\n from firmware.x import b\n",
        x_a="from firmware.x.c import f\ndef g(): f()",
        x_b="from firmware.x.c import f\ndef g(): f()",
        x_c="def f(): pass",
    )
    assert sorted(units) == ["firmware.a", "firmware.app", "firmware.b", "firmware.c"]


def test_what_is_loaded_already_is_not_there_twice():
    units = linked(
        app="def run():\n from firmware.x import a\n",
        x_a="from firmware.x.c import f\ndef g():\n f()\n from firmware.x import b\n",
        x_b="from firmware.x.c import f\ndef g(): f()",
        x_c="def f(): pass",
    )
    assert sorted(units) == ["firmware.a", "firmware.app", "firmware.b"]
    assert "from firmware.a import " in units["firmware.b"]


def test_what_may_be_loaded_without_it_is_in_none_of_those_that_need_it():
    units = linked(
        app="def run():\n from firmware.x import a\ndef later():\n from firmware.x import b\n",
        x_a="from firmware.x.c import f\nf()",
        x_b="from firmware.x.d import g\ng()",
        x_c="def f():\n from firmware.x import e",
        x_d="def g():\n from firmware.x import e",
        x_e="from firmware.x import c\nc.f()",
    )
    # e may be loaded by b, and then without a.
    assert sorted(units) == [f"firmware.{name}" for name in ("a", "app", "b", "c", "e")]


def test_what_is_loaded_with_another_has_its_modules():
    units = linked(
        app="def run():\n from firmware.x import a\ndef later():\n from firmware.x import b\n",
        x_a="from firmware.x.c import f\nf()",
        x_b="from firmware.x import a, c\nc.f()",
        x_c="def f(): pass",
    )
    assert sorted(units) == ["firmware.a", "firmware.app", "firmware.b"]


def test_roots_of_one_name_keep_their_packages():
    units = linked(
        app="def run():\n from firmware.x import a\n from firmware.y import a as b\n",
        x_a="X = 1",
        y_a="Y = 1",
    )
    assert sorted(units) == ["firmware.app", "firmware.x.a", "firmware.y.a"]


def test_names_that_meet_are_told_apart(tmp_path):
    units = linked(
        app="""
            from firmware.a import f
            from firmware import a, b
            from firmware.b import f as g
            _x = "app"
            def both(f_b):
                return f(), g(), a.f() + b.f(), f_b, _x
            """,
        a="""
            _x = 1
            def f(): return _x
            """,
        b="""
            _x = 2
            def f():
                global _x
                _x += 1
                return _x
            """,
    )
    assert list(units) == ["firmware.app"]
    code = "from firmware import app; print(app.both(0))"
    assert run(units, code, tmp_path) == "(1, 3, 5, 0, 'app')\n"


def test_names_of_a_scope_are_its_own(tmp_path):
    units = linked(
        app="""
            from firmware.a import size, word
            def run(first, second=word):
                size_of = [size for size in range(3)]
                inner = lambda third, more=first: (third, more, second, size(first))
                try:
                    raise ValueError(first)
                except ValueError as word_error:
                    return inner(size_of), str(word_error), [lambda fourth: fourth + first][0](1)
            class Box:
                size = 7
                def __init__(self, *given, **named):
                    self._given = given, named, size([1])
                def look(self):
                    return self._given, self.size
            def look(): return Box(1, b=2).look()
            """,
        a="word = 'w'\ndef size(what): return what if isinstance(what, int) else len(what)",
    )
    code = "from firmware import app; print(app.run(5)); print(app.look())"
    expected = "(([0, 1, 2], 5, 'w', 5), '5', 6)\n(((1,), {'b': 2}, 1), 7)\n"
    assert run(units, code, tmp_path) == expected


def test_arguments_that_are_named_by_a_call_keep_their_names():
    (source,) = linked(
        app="""
            def put(prop, value, t_ms=None): return prop, value, t_ms
            def other(prop): return put(prop, value=2)
            """
    ).values()
    signature = re.search(r"def put\((\w+), (\w+), (\w+)=None\)", source)
    assert signature[2] == "value"
    assert "prop" not in signature.groups() and "t_ms" not in signature.groups()


@pytest.mark.parametrize(
    "inner",
    [
        "[now - {} for {} in [1]][0]",
        "(lambda {}: now - {})(1)",
        "[[now - {} for {} in [1]] for other in [2]][0][0]",
    ],
)
def test_arguments_are_not_hidden_by_the_names_of_what_is_in_their_function(inner):
    for word in names.ARGUMENTS[:20]:
        (source,) = linked(
            app=f"""
                def late(now, limit):
                    return {inner.format(word, word)}
                """
        ).values()
        assert "now" not in source
        space: dict = {}
        exec(source, space)
        assert space["late"](5, 0) == 4, source


def test_private_names_are_short_and_lines_stay():
    units = link(
        {
            "firmware/app.py": "from firmware.ring import Ring\n\n\nring = Ring(5)\n",
            "firmware/ring.py": textwrap.dedent("""\
                from micropython import const

                _LIMIT = const(5)  # its _LIMIT
                _count = 0


                class Ring:
                    def __init__(self, size):
                        self._size = size
                        self.name = "a _LIMIT"

                    def _free(self):
                        return _LIMIT - self._size - _count - self._free()
                """),
        }
    )
    (unit,) = units
    assert "a _LIMIT" in unit.source and "# its _LIMIT" in unit.source
    code = re.sub(r"#.*|'.*'", "", unit.source)
    assert not re.search(r"_size|_free|_count|\b_LIMIT", code)
    lines = unit.source.splitlines()
    line = next(n for n, text in enumerate(lines, 1) if text.startswith("class "))
    text = f'  File "firmware.app", line {line}, in f\n  File "boot.py", line 2\n'
    expected = '  File "firmware/ring.py", line 7, in f\n  File "boot.py", line 2\n'
    assert translated(text, {unit.name: unit.starts}) == expected


def test_it_never_runs_out_of_names():
    source = "".join(f"_name{n} = {n}\ndef _f{n}(): return _name{n}\n" for n in range(500))
    (linked_source,) = linked(app=source).values()
    assert len(set(re.findall(r"^def (\w+)", linked_source, re.M))) == 500


def test_a_class_with_a_base_from_elsewhere_has_other_names_than_that(tmp_path):
    units = linked(
        app="""
            from firmware.stream import Stream
            class WebSocket(Stream):
                def __init__(self):
                    super().__init__()
                    self._other = 1
                def _close(self): return "mine"
                def both(self): return self.its(), self._other, self._close()
            def both(): return WebSocket().both()
            """,
        stream="""
            class Stream:
                def __init__(self): self._stream = 2
                def _shut(self): return "its"
                def its(self): return self._stream, self._shut()
            """,
    )
    code = "from firmware import app; print(app.both())"
    assert run(units, code, tmp_path) == "((2, 'its'), 1, 'mine')\n"


def test_another_unit_has_the_numbers_of_constants_for_itself(tmp_path):
    units = linked(
        app="""
            from micropython import const
            KIND = const(0xC0)
            TWICE = const(2 * KIND)
            TEXT = const("abc")
            def run():
                from firmware.link import ws
                return ws.f(), KIND
            """,
        link_ws="from firmware.app import KIND, TEXT, TWICE\ndef f(): return KIND, TWICE, TEXT",
    )
    assert re.search("import [A-Za-z_0-9]+;", units["firmware.ws"])
    code = "from firmware import app; print(app.run(), hasattr(app, 'TWICE'))"
    assert run(units, code, tmp_path) == "((192, 384, 'abc'), 192) True\n"


def test_a_value_that_is_given_once_is_written_into_the_code(tmp_path):
    units = linked(
        app="""
            from firmware.base import log
            first = 1
            def run(): return log.count(), log.PATH, log.SIZE, log.HEAD, first, log.RATE
            """,
        base_log="""
            PATH = "a 'file'.json"
            SIZE = 1 << 3
            HEAD = b"\\x00\\xff"
            RATE = 86400
            LEVEL = 1
            LEVEL = 2
            _count = 0
            def count():
                global _count
                _count += LEVEL
                return _count
            """,
    )
    code = "from firmware import app; print(app.run(), app.run()[0], len(app.__dict__))"
    before = "(2, \"a 'file'.json\", 8, b'\\x00\\xff', 1, 86400) 4 "
    # Its name, its file; first and run, which others may ask for; SIZE, LEVEL, count and _count.
    assert run(units, code, tmp_path) == before + "8\n"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("from firmware.log import _write", "line 1: _write is private to its module"),
        ("import feed\nfeed._put()", "line 2: _put is private to another module"),
        (
            'class A:\n def _put_x(self): 0\n def b(self): getattr(self, "_put_")',
            'line 3: "_put_"',
        ),
        ("class A:\n _x = 1", "line 2: make it a constant of the module"),
        ("from firmware import log\nprint(log)", "line 2: the module log is used as a value"),
        ("from firmware import log\nlog.no()", "line 2: firmware.log has no no"),
        ("from firmware.log import no", "line 1: firmware.log has no no"),
        ("from firmware.none import no", "line 1: there is no firmware.none"),
        ("import firmware.log", "line 1: write `from firmware"),
        ("def f(a): f(**a)", r"line 1: write the arguments by name instead of \*\*"),
        (
            "from firmware import log\ndef f(): from firmware import log as b",
            "line 2: firmware.log is loaded at the start: import it there",
        ),
    ],
)
def test_what_could_not_be_found_again_is_refused(source, said):
    with pytest.raises(LinkError, match=said):
        linked(app=source, log="_write = write = 1")


def test_modules_that_import_each_other_are_refused():
    with pytest.raises(LinkError, match=r"firmware\.app, firmware\.a"):
        linked(app="from firmware import a", a="from firmware import app")


def test_what_micropython_itself_has_stays():
    source = "from asyncio import core\ncore._io_queue = None\nimport _thread\n_thread.exit()\n"
    (found,) = linked(app=source).values()
    assert "core._io_queue = None" in found and "_thread.exit()" in found


def test_messages_are_cut_out_of_one_text_when_they_are_needed(tmp_path):
    units = linked(
        app="""
            from firmware.log import told
            HEAD = "not in a function"
            def run(what="a default value"):
                "A docstring is no message."
                print(told("one of %d" % 3), "the same message", what, HEAD)
                print("the same " "message", "°C of a message", "short", b"bytes of one")
            """,
        log='def told(text): return "told: the same message: " + text',
    )
    (source,) = units.values()
    text = re.search(rf"^{names.MESSAGES} = '(.*)'$", source, re.M)
    assert "a default value" not in text[0] and "docstring" not in text[0]
    assert source.count("the same message") == 1
    assert run(units, "from firmware import app; app.run()", tmp_path) == (
        "told: the same message: one of 3 the same message a default value not in a function\n"
        "the same message °C of a message short b'bytes of one'\n"
    )


def test_of_a_table_that_is_a_text_the_bare_cells_are_left():
    source = """\
    \'\'\'A table:

        key | kind | limits and unit | default | meaning
    \'\'\'
    KEYS = \'\'\'\\
    pin    | whole number | 0 to 48 °C | required | what °C it is
    active | choice       | ["a", "b"] | "a b"    | \\
        which; over \\
        three lines

    pi     | section      |            | {}       | a | b
      kp   | number       | 0 to 1     | 0.5      | share
    \'\'\'
    AFTER = "a | b"
    """
    (made,) = linked(app=source).values()
    space = {"const": lambda value: value}
    exec(made, space)
    assert space["KEYS"].splitlines() == [
        "pin|whole number|0 to 48 °C|required|",
        'active|choice|["a", "b"]|"a b"|',
        "",
        "pi|section||{}|",
        "  kp|number|0 to 1|0.5|",
    ]
    assert space["AFTER"] == "a | b"
    with pytest.raises(LinkError, match="line 7: a row has its cells"):
        linked(app=source.replace("choice       |", "choice"))


def test_the_units_of_the_firmware_do_not_need_each_others_private_names():
    given = {p: t for p, t in sources(ROOT).items() if p.startswith("firmware/")}
    for unit in link(given):
        imports = unit.source.splitlines()[1].partition(names.MESSAGES + " = ")[0]
        assert not re.search(r"\b_[a-z]", imports), unit.name


def test_the_names_of_the_whole_firmware_fit_in_a_pool_that_is_not_doubled(tmp_path):
    """620 names fill MicroPython's first five pools; the sixth takes 7 KB."""
    files = build(ROOT).files
    modules = sorted(
        path.relative_to(files).with_suffix("").as_posix().replace("/", ".")
        for path in (files / "firmware").rglob("*.mpy")
        if path.stem not in ("__init__", "esp32", "ds18x20")
    )
    code = f"import micropython\nfor m in {modules}: __import__(m)\nmicropython.qstr_info()"
    done = subprocess.run(
        micropython.command("-c", code, heap="4M"),
        env=micropython.environment([files, files / "lib"]),
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert "n_pool=5," in done.stdout, done.stdout


def test_what_is_imported_under_a_condition_keeps_its_name(tmp_path):
    units = linked(
        app="""
            from firmware.board import board as this, Any
            def run(board): print(this.name, Any, board)
            """,
        board="""
            import sys
            if sys.platform == "esp32":
                from firmware.boards import esp32 as board
            else:
                from firmware.boards import unix as board
            try:
                from typing_of_nobody import Any
            except ImportError:
                Any = None
            """,
        boards_esp32="name = 'esp32'",
        boards_unix="name = 'unix'",
    )
    assert sorted(units) == ["firmware.app", "firmware.esp32", "firmware.unix"]
    assert run(units, "from firmware import app; app.run(1)", tmp_path) == "unix None 1\n"
