"""Modules made smaller for the bytecode: they must do the same, and are refused if they do not."""

import subprocess
import textwrap

import pytest

from tools import ROOT, micropython
from tools.build import build
from tools.shorten import ShortenError, shorten


def shortened(source):
    return shorten(textwrap.dedent(source))


def test_private_names_are_short_and_lines_stay():
    source = """\
    _LIMIT = 5  # its _LIMIT

    class Ring:
        def __init__(self, size, _hint=None):
            self._size = size
            self.name = "a _LIMIT"

        def _free(self):
            return _LIMIT - self._size


    def public(ring):
        return [_ for _ in range(ring._free())]
    """
    assert shortened(source) == textwrap.dedent("""\
    _a = 5  # its _LIMIT

    class Ring:
        def __init__(self, size, _b=None):
            self._c = size
            self.name = "a _LIMIT"

        def _d(self):
            return _a - self._c


    def public(ring):
        return [_ for _ in range(ring._d())]
    """)


def test_it_never_runs_out_of_names():
    source = "".join(f"_name{n} = {n}\n" for n in range(500))
    lines = shorten(source).splitlines()
    assert len({line.split()[0] for line in lines}) == 500


def test_a_class_with_a_base_from_elsewhere_has_other_names_than_that():
    assert (
        shortened("""\
    from firmware.link.stream import Stream
    class WebSocket(Stream):
        def __init__(self):
            self._stream = 1
    """)
        .splitlines()[-1]
        .strip()
        == "self._A = 1"
    )


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("from firmware.base.log import _write", "line 1: _write is private to its module"),
        ("import feed\nfeed._put()", "line 2: _put is private to another module"),
        (
            'class A:\n def _put_x(self): 0\n def b(self): getattr(self, "_put_")',
            'line 3: "_put_"',
        ),
    ],
)
def test_what_would_not_be_found_again_is_refused(source, said):
    with pytest.raises(ShortenError, match=said):
        shorten(source)


def test_what_micropython_itself_has_stays():
    source = "from asyncio import core\ncore._io_queue = None\nimport _thread\n"
    assert shorten(source) == source


def test_the_meanings_of_a_tables_rows_are_left_out_and_nothing_else():
    source = """\
    ROWS = (
        ("a", "number", (0, 5), "°C", 1, "what °C it is; "
            "over two lines"), ("b", "text", (0, 5), "", ..., "short"),
    )
    AFTER = ("a", "b", "c", "d", "e", "f")
    """
    space = {}
    exec(shortened(source), space)
    assert space["ROWS"] == (
        ("a", "number", (0, 5), "°C", 1, ""),
        ("b", "text", (0, 5), "", ..., ""),
    )
    assert space["AFTER"] == ("a", "b", "c", "d", "e", "f")
    assert shortened(source).count("\n") == textwrap.dedent(source).count("\n")


def test_of_a_table_that_is_a_text_the_bare_cells_are_left():
    source = """\
    \'\'\'A table:

        key | kind | limits and unit | default | meaning
    \'\'\'
    _KEYS = \'\'\'\\
    pin    | whole number | 0 to 48 °C | required | what °C it is
    active | choice       | ["a", "b"] | "a b"    | \\
        which; over \\
        three lines

    pi     | section      |            | {}       | a | b
      kp   | number       | 0 to 1     | 0.5      | share
    \'\'\'
    AFTER = "a | b"
    """
    space = {}
    exec(shortened(source), space)
    assert space["_a"].splitlines() == [
        "pin|whole number|0 to 48 °C|required|",
        'active|choice|["a", "b"]|"a b"|',
        "",
        "pi|section||{}|",
        "  kp|number|0 to 1|0.5|",
    ]
    assert space["AFTER"] == "a | b"
    assert shortened(source).count("\n") == textwrap.dedent(source).count("\n")
    with pytest.raises(ShortenError, match="line 7: a row has its cells"):
        shortened(source.replace("choice       |", "choice"))


def test_the_names_of_the_whole_firmware_fit_in_a_pool_that_is_not_doubled(tmp_path):
    """1,260 names fill MicroPython's first six pools; the seventh takes 15 KB."""
    out = build(ROOT, tmp_path / "device")
    modules = sorted(
        path.relative_to(out).with_suffix("").as_posix().replace("/", ".")
        for path in (out / "firmware").rglob("*.mpy")
        if path.stem not in ("__init__", "esp32", "ds18x20")
    )
    code = f"import micropython\nfor m in {modules}: __import__(m)\nmicropython.qstr_info()"
    done = subprocess.run(
        micropython.command("-c", code, heap="4M"),
        env=micropython.environment([out, out / "lib"]),
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert "n_pool=6," in done.stdout, done.stdout
