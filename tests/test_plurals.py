"""No message says `1 cells`: what is counted is put into words by `plural`, or stands behind another number."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

SWEEP = Path(__file__).parents[1] / "sweep"
NOUNS = (
    "cells layers models networks stages records files lines trials tasks repeats blocks devices boards places pools "
    "tuners attempts threads cores digits outputs inputs dimensions reasons retries hours minutes configurations "
    "schedules candidates targets workloads points columns rows nodes sweeps times passes failures choices"
).split()
_BEGINS = re.compile(rf" +(?:\w+ed +)?({'|'.join(NOUNS)})\b(?!/)")
_SEVERAL = re.compile(r"(of |of the |/|all |more than |up to |at least |from \S+ to |most )$")
"""What stands before a number that is a total, a limit or more than one."""
_CHECKED = {
    "sweep/search/testing.py": "for who writes a tuner: propose(5) gave 3 points",
    "sweep/analysis/overlay/layer_table.py": "only where there are several targets",
    "sweep/analysis/rows/saved.py": "of a table that says it is larger than any",
    "sweep/predict/fitted_predictor.py": "only where there are several",
    "sweep/files/unpacked_size.py": "only where there are several",
    "sweep/study/grid.py": "of more than a million",
    "sweep/report/comparison_table.py": "a factor",
    "sweep/study/reading/yaml_file.py": "of more than 4,300",
    "sweep/analysis/answering/precision_questions.py": "a measure with two decimals",
    "sweep/analysis/rows/column_groups/quality_columns.py": "the same",
    "sweep/analysis/overlay/layer_times.py": "a shape that is wrong, for who calls it",
}


def counts(source: str) -> list[str]:
    """The texts of a module that put a number before the plural of a noun by themselves."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.JoinedStr):
            continue
        for before, value, after in zip(["", *node.values], node.values, node.values[1:], strict=False):
            if not isinstance(value, ast.FormattedValue) or not isinstance(after, ast.Constant):
                continue
            is_constant = isinstance(value.value, ast.Name) and value.value.id.strip("_").isupper()
            said_before = before.value if isinstance(before, ast.Constant) else ""
            is_number = not (isinstance(value.value, ast.Call) and "plural" in ast.unparse(value.value.func))
            if is_number and not is_constant and not _SEVERAL.search(said_before) and _BEGINS.match(after.value):
                found.append(ast.unparse(value) + after.value[:30])
    return found


@pytest.mark.parametrize(
    ("source", "is_wrong"),
    [
        ("f'{count} cells'", True),
        ("f'{len(rows):,} failed cells'", True),
        ("f'in {count} cells'", True),
        ("f'1 of {count} cells'", False),
        ("f'{done}/{count} cells'", False),
        ("f'up to {LIMIT} cells'", False),
        ("f\"{plural(count, 'cell')} left\"", False),
        ("f'{count} cellars'", False),
    ],
)
def test_what_it_looks_for(source: str, is_wrong: bool) -> None:
    assert bool(counts(source)) is is_wrong


@pytest.mark.parametrize(
    "path", [path for path in sorted(SWEEP.rglob("*.py")) if "{" in path.read_text(encoding="utf-8")], ids=str
)
def test_a_module_counts_in_words(path: Path) -> None:
    name = path.relative_to(SWEEP.parent).as_posix()
    found = counts(path.read_text(encoding="utf-8"))
    assert bool(found) == (name in _CHECKED), found
