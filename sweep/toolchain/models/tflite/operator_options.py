"""The options of an operator of a TFLite file."""

from __future__ import annotations

from typing import Any

from sweep.errors import ImportFailed

__all__ = ["options_of"]


def options_of(op: Any, options: Any) -> Any:
    """The table that an operator has, as one of this kind. Raises ImportFailed where it has none."""
    table = op.BuiltinOptions()
    if table is None:
        raise ImportFailed("has no options")
    options.Init(table.Bytes, table.Pos)
    return options
