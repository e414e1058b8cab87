"""The files of a bundle that are made from its manifest: a C++ header, and a page for people."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.plain_text import as_markdown, visible

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["SHIPPED", "header", "page"]

_FOLDER = Path(__file__).with_name("bundle_files")
SHIPPED = {name: _FOLDER / name for name in ("run.py", "main.cc", "CMakeLists.txt")}
"""Files that are in every bundle as they are here."""

_CODES = {"float": "kDLFloat", "int": "kDLInt", "uint": "kDLUInt", "bool": "kDLBool"}


def header(manifest: Mapping[str, Any], expected: Sequence[Mapping[str, Any]]) -> str:
    """network.h. expected: `file` and `dtype` of each expected output; empty where there are none."""
    features = [f"    {{{_text(name)}, {_text(flag)}}}," for name, flag in manifest["cpu"]["features"].items()]
    inputs = [
        f"    {{{_text(name)}, {_text(file)}, {{{_numbers(shape)}}}, {_type(dtype)}}},"
        for name, file, shape, dtype in (
            (entry["name"], entry["file"], entry["shape"], entry["dtype"]) for entry in manifest["inputs"]
        )
    ]
    outputs = [
        f"    {{{_text(entry['file'])}, {_type(entry['dtype'])}, {_step(about)}, {about.get('tolerance', 0.0)}}},"
        for entry, about in zip(expected, manifest["outputs"], strict=False)
    ]
    tolerance = manifest["tolerance"]
    of_new = _of_new_processes(manifest["latency"].get("new_process"))
    return "\n".join(
        [
            "// Of this network; made from manifest.json.",
            "#pragma once",
            "#include <tvm/ffi/container/tensor.h>",
            "",
            "#include <vector>",
            "",
            "struct Feature {",
            "  const char* name;",
            "  const char* flag;  // in /proc/cpuinfo",
            "};",
            "struct Input {",
            "  const char* name;",
            "  const char* file;",
            "  std::vector<int64_t> shape;",
            "  DLDataType type;",
            "};",
            "struct Expected {",
            "  const char* file;",
            "  DLDataType type;",
            "  double step;  // that a value may be off: of the integers of a quantisation, or what is made of them",
            "  double tolerance;  // in place of a smaller kTolerance",
            "};",
            "",
            f"static const char* const kLibrary = {_text(manifest['library'])};",
            f"static const char* const kEntry = {_text(manifest['entry'])};",
            f'static const char* const kThreads = "{manifest["threads"]}";',
            "// Of the largest value expected; below 0: any difference is allowed.",
            f"static const double kTolerance = {-1 if tolerance is None else tolerance};",
            f"static const bool kHasExpected = {'true' if expected else 'false'};",
            "// Of the measurement that chose this library, as run.py prints them.",
            f"static const char* const kMeasured = {_text(manifest['latency']['text'])};",
            f"static const char* const kNewProcess = {_text(of_new)};",
            *_list("std::vector<Feature> kFeatures", features),
            *_list("std::vector<Input> kInputs", inputs),
            *_list("std::vector<Expected> kExpected", outputs),
            "",
        ]
    )


def _of_new_processes(told: Mapping[str, Any] | None) -> str:
    """As run.py's own, which imports nothing of this package."""
    if not told:
        return ""
    return f" (interval of this library in new processes: {told['low_ms']:.4g} to {told['high_ms']:.4g})"


def _step(output: Mapping[str, Any]) -> float:
    return float(output.get("step", 0.0)) if not output.get("is_quantised") else 1.0


def page(manifest: Mapping[str, Any]) -> str:
    """README.md."""
    from jinja2 import Environment, StrictUndefined

    template = (_FOLDER / "README.md.jinja").read_text(encoding="utf-8")
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False, finalize=_shown)
    return environment.from_string(template).render(**manifest, plain=_plain, code=_code)


def _shown(value: Any) -> Any:
    """What the page says in the words of others: text, and no markup."""
    return as_markdown(value) if type(value) is str else value


def _code(text: str) -> Markup:
    """A span of code, in which nothing is markup but its own end, and the end of a table's cell."""
    from markupsafe import Markup

    shown = visible(" ".join(text.split())).replace("`", "'").replace("|", "\\|")
    return Markup(f"`{shown}`")


def _plain(version: str) -> Markup:
    """For a line that people run as it stands."""
    from markupsafe import Markup

    return Markup(re.sub(r"[^\w.+!-]", "", version))


def _list(declaration: str, lines: Iterable[str]) -> list[str]:
    return [f"static const {declaration} = {{", *lines, "};"]


def _text(value: str) -> str:
    return json.dumps(visible(value), ensure_ascii=False)


def _numbers(values: Iterable[int]) -> str:
    return ", ".join(str(int(value)) for value in values)


def _type(dtype: str) -> str:
    """`float32` as DLPack has it."""
    name, bits = re.fullmatch(r"([a-z]+?)(\d*)", dtype).groups()  # type: ignore[union-attr]
    return f"DLDataType{{{_CODES[name]}, {bits or 8}, 1}}"
