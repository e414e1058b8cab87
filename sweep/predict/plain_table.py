"""Reads a CSV file whose columns are known, or says in one line what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sweep.errors import StudyError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_table", "require_numbers"]


def read_table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Reads `columns` of a CSV file, and adds `line`, the number of each row's line in the file.

    Raises:
        StudyError: no such file, no CSV, no rows, or a column is missing.
    """
    import pandas as pd

    try:
        # Blank lines are rows at first, so that a row knows its line; "NA" is a name like any other
        table = pd.read_csv(path, skip_blank_lines=False, skipinitialspace=True, keep_default_na=False, na_values=[""])
    except FileNotFoundError as error:
        raise StudyError(f"{path}: does not exist") from error
    except (OSError, UnicodeDecodeError, ValueError) as error:  # pandas' own errors are ValueErrors
        raise StudyError(f"{path}: cannot be read as CSV: {str(error).splitlines()[0]}") from error
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise StudyError(f"{path}:1: column {missing[0]!r} is missing; needed: {', '.join(columns)}")
    table["line"] = np.arange(len(table)) + 2
    table = table[table.drop(columns="line").notna().any(axis="columns")].reset_index(drop=True)
    if table.empty:
        raise StudyError(f"{path}: has no rows")
    return table


def require_numbers(path: Path, table: pd.DataFrame, columns: tuple[str, ...], least: float) -> None:
    """Turns columns into floats, in place.

    Raises:
        StudyError: a value is empty, no number, not finite or below `least`.
    """
    import pandas as pd

    for name in columns:
        numbers = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=float)
        wrong = np.flatnonzero(~np.isfinite(numbers) | (numbers < least))
        if len(wrong):
            line, value = table["line"].iloc[wrong[0]], table[name].iloc[wrong[0]]
            shown = "nothing" if pd.isna(value) else repr(value if isinstance(value, str) else float(value))
            raise StudyError(f"{path}:{line}: {name}: {shown}; allowed: a number of at least {least:g}")
        table[name] = numbers
