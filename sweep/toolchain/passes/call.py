"""Finds the operator that a value calls."""

from __future__ import annotations

from typing import Any

__all__ = ["operator_of"]


def operator_of(value: Any) -> str:
    """Name of the operator that an expression calls, such as `relax.nn.conv2d`; empty for anything else."""
    return str(getattr(getattr(value, "op", None), "name", ""))
