"""What others named shows as text: a table of what each place would take for more, and properties."""

from __future__ import annotations

import ast
import csv
import html
import io
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import RecordError, StudyError, in_one_line
from sweep.plain_text import as_csv_cell, as_label, as_markdown, visible, web_address
from tests.parsed import trees

ANY = st.text(st.characters(), max_size=40)
COMMANDS_TO_A_TERMINAL = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\x08\x7f\u202edeus\u2066\u200b"


def is_plain(text: str) -> bool:
    """No control character but tab and line break, no mark of direction, no lone surrogate."""
    bad = {"Cc", "Cs", "Zl", "Zp"}
    return not any(
        (unicodedata.category(each) in bad and each not in "\t\n") or unicodedata.bidirectional(each) in BIDI
        for each in text
    )


BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@given(ANY)
def test_all_that_is_shown_is_plain(text: str) -> None:
    assert is_plain(visible(text))
    assert visible(visible(text)) == visible(text)
    assert is_plain(str(StudyError(text, file="f", key=text, value=text, allowed=text)))
    assert is_plain(in_one_line(RecordError(text)))
    visible(text).encode()


def test_an_escape_is_written_out() -> None:
    assert visible("a\x1b[2Jb\tc\n") == "a\\x1b[2Jb\tc\n"
    assert visible("\u202etxt.exe") == "\\u202etxt.exe"
    assert visible("caf\xe9 \u7f51\u7edc \U0001f600") == "caf\xe9 \u7f51\u7edc \U0001f600"
    assert visible("n\udcff.onnx") == "n\\udcff.onnx"


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\tx", "\r=1", '=HYPERLINK("http://x")', "\uff1d1+1"],
)
def test_no_cell_of_a_csv_is_a_formula(text: str) -> None:
    stream = io.StringIO()
    csv.writer(stream).writerow([as_csv_cell(text)])
    (row,) = csv.reader(io.StringIO(stream.getvalue()))
    assert row[0][0] not in "=+-@\t\r\uff1d"
    assert row[0].endswith(visible(text))


@pytest.mark.parametrize("value", [-1.5, 3, None, True, "-1.5", "+3", "-", "xgb", "a=b"])
def test_other_cells_stay(value: object) -> None:
    assert as_csv_cell(value) == ("'-" if value == "-" else value)


@given(ANY)
def test_markdown_has_no_markup_left(text: str) -> None:
    line = as_markdown(text)
    assert "\n" not in line
    bare = re.sub(r"\\[!-/:-@\[-`{-~]", "", line)  # what is escaped means nothing
    assert not re.search(r"[`*_\[\]<>|~&#$\\]", bare)
    assert not re.match(r"[-+](\s|$)|[-=]+\s*$|\d{1,9}[.)](\s|$)", line)


def test_markdown_shows_what_was_said() -> None:
    assert as_markdown("a|b <script>[x](javascript:1) `c` &lt; **d**") == (
        "a\\|b \\<script\\>\\[x\\](javascript:1) \\`c\\` \\&lt; \\*\\*d\\*\\*"
    )
    assert as_markdown("12. item") == "12\\. item"
    assert [as_markdown(text) for text in ("3.36", "-1.5", "-3 %")] == ["3.36", "-1.5", "-3 %"]
    assert [as_markdown(text) for text in ("-", "---", "===", "12.")] == ["\\-", "\\---", "\\===", "12\\."]
    assert as_markdown("-", is_cell=True) == "-"
    assert as_markdown("- item") == "\\- item"
    assert as_markdown("\n# no heading") == "\\# no heading"


@given(ANY)
def test_a_label_is_no_html(text: str) -> None:
    label = as_label(text)
    assert "<" not in label
    assert html.unescape(label) == html.unescape(html.escape(visible(text), quote=False))


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("http://lab:5000", True),
        ("HTTPS://lab/mlflow", True),
        ("javascript:alert(1)", False),
        (" javascript:alert(1)//http://x", False),
        ("data:text/html,<script>", False),
        ("http://x/' onclick='alert(1)", False),
        ("http://x\n", False),
        ("http://\u202emoc.elpmaxe", False),
        ("//lab", False),
        ("", False),
    ],
)
def test_links_are_http_alone(text: str, is_one: bool) -> None:
    assert web_address(text) == (text if is_one else "")


def test_commands_print_by_one_function_and_on_one_kind_of_console() -> None:
    """What goes round them can be a command to a terminal, or markup."""
    found = [
        f"{module}: {ast.unparse(node.func)}"
        for module, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("typer.echo", "click.echo", "Console")
    ]
    assert found == ["cli/speaking.py: typer.echo"]
