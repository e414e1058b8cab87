"""The package's modules, parsed once for all tests that look for what stands in them."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import sweep

__all__ = ["PACKAGE", "trees"]

PACKAGE = Path(sweep.__file__).parent


@cache
def trees() -> dict[str, ast.Module]:
    """By the path below the package."""
    paths = sorted(PACKAGE.rglob("*.py"))
    return {str(path.relative_to(PACKAGE)): ast.parse(path.read_text(encoding="utf-8")) for path in paths}
