"""The page of operators is what the code says."""

from __future__ import annotations

from pathlib import Path

from sweep.api.inspecting.operator_tables import operator_tables
from sweep.api.inspecting.operators_page import operators_page

PAGE = Path(__file__).parents[3] / "docs" / "operators.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == operators_page(operator_tables()), "run python tools/operators_page.py"
