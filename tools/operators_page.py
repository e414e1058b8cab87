"""Writes docs/operators.md anew: `python tools/operators_page.py`."""

from pathlib import Path

from sweep.api.inspecting.operator_tables import operator_tables
from sweep.api.inspecting.operators_page import operators_page

PAGE = Path(__file__).parents[1] / "docs" / "operators.md"


def main() -> None:
    PAGE.write_text(operators_page(operator_tables()), encoding="utf-8")


if __name__ == "__main__":
    main()
