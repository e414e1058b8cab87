"""A CSV file as people write it: a fault is at the line where it stands, and a name is a name."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.errors import StudyError
from sweep.predict.plain_table import read_table, require_numbers


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name,ms\na,1\nb,x\n", 3),
        ("name,ms\n\na,1\n\n\nb,x\n", 6),
        ("name,ms\na,1\n,\nb,x\n", 4),
        ("name,ms\na,1\n   \nb,x\n", 4),
    ],
)
def test_a_fault_is_told_at_its_line_also_after_blank_ones(tmp_path: Path, text: str, line: int) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    table = read_table(path, ("name", "ms"))
    with pytest.raises(StudyError) as refused:
        require_numbers(path, table, ("ms",), 0)
    assert str(refused.value) == f"{path}:{line}: ms: 'x'; allowed: a number of at least 0"


def test_a_name_that_means_nothing_elsewhere_is_a_name(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("name,ms\nNA,1\nnull,2\nnan,3\nNone,4\n")
    table = read_table(path, ("name", "ms"))
    require_numbers(path, table, ("ms",), 0)
    assert table["name"].tolist() == ["NA", "null", "nan", "None"]
    assert table["ms"].tolist() == [1, 2, 3, 4]


def test_blank_lines_alone_are_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("name,ms\n\n,\n")
    with pytest.raises(StudyError, match="has no rows"):
        read_table(path, ("name", "ms"))
