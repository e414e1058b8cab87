"""The operators that TVM's importers have a converter for, read from the text of TVM's own tables.

To import TVM takes 2.4 s of CPU, and this reads three files of it in 0.3; so it is always of the version that is
installed. The tables are dictionaries in functions of a name, whose keys are texts.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Mapping
from functools import cache
from pathlib import Path

__all__ = ["TABLES", "converted_by_tvm"]

TABLES: Mapping[str, tuple[str, str]] = {
    "onnx": ("onnx/onnx_frontend.py", "_get_convert_map"),
    "tflite": ("tflite/tflite_frontend.py", "__init__"),
    "torch": ("torch/exported_program_translator.py", "create_convert_map"),
}
"""Format -> file below `tvm/relax/frontend`, and the function that has the table."""
_BESIDE: Mapping[str, frozenset[str]] = {"onnx": frozenset({"Constant", "If"})}
"""What an importer does without a converter."""


@cache
def converted_by_tvm(format_name: str) -> frozenset[str] | None:
    """The operators of a format; None where TVM is not installed, has no such importer or another form of table."""
    if format_name not in TABLES or (text := _text(format_name)) is None:
        return None
    _, function = TABLES[format_name]
    tables = [
        [key.value for key in each.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
        for found in ast.walk(ast.parse(text))
        if isinstance(found, ast.FunctionDef) and found.name == function
        for each in ast.walk(found)
        if isinstance(each, ast.Dict)
    ]
    longest = max(tables, key=len, default=[])
    return frozenset(longest) | _BESIDE.get(format_name, frozenset()) if longest else None


def _text(format_name: str) -> str | None:
    found = importlib.util.find_spec("tvm")
    folders = found.submodule_search_locations if found is not None else None
    for folder in folders or ():
        path = Path(folder) / "relax" / "frontend" / TABLES[format_name][0]
        if path.is_file():
            return path.read_text(encoding="utf-8")
    return None
