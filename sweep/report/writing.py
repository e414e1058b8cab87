"""Writes reports as files into a sweep directory, or to standard output."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from rich.console import Console

from sweep.analysis.rows.results import Results
from sweep.analysis.rows.saved import read_saved
from sweep.errors import RecordError
from sweep.files.atomic import write_text
from sweep.files.sweep_dir import SweepDir
from sweep.report.checklist_text import as_checklist
from sweep.report.page import render_page
from sweep.report.table import render_results
from sweep.report.terminal import TextConsole
from sweep.report.texts import as_csv, as_json, as_markdown

__all__ = ["FILES", "FORMATS", "print_report", "write_report"]

_WRITTEN: Mapping[str, tuple[str, Callable[[Results], str]]] = MappingProxyType(
    {
        "csv": ("results.csv", as_csv),
        "json": ("results.json", as_json),
        "markdown": ("results.md", as_markdown),
        "checklist": ("checklist.md", as_checklist),
        "html": ("index.html", render_page),
    }
)
FILES = tuple(_WRITTEN)
"""What `write_report` knows."""
FORMATS = ("table", *FILES, "parquet")
"""What `print_report` knows. `html` and `parquet` are files, and their path is printed."""


def write_report(results: Results, sweep_dir: Path, formats: Sequence[str] = tuple(_WRITTEN)) -> list[Path]:
    """Write `report/` of a sweep directory and return the files, the page last. Raises RecordError."""
    written = []
    for name in (known for known in _WRITTEN if known in formats):
        file, render = _WRITTEN[name]
        text = render_page(results, str(sweep_dir)) if name == "html" else render(results)
        written.append(_write(SweepDir(sweep_dir).report / file, text))
    return written


def print_report(sweep_dir: Path, name: str, console: Console | None = None, *, results: Results | None = None) -> None:
    """Print results of a sweep directory in one of FORMATS, by default what its tables hold. Raises RecordError."""
    console, results = console or TextConsole(), results or read_saved(sweep_dir)
    if name == "table":
        render_results(results, console)
    elif name == "parquet":
        console.out(str(SweepDir(sweep_dir).table("results")), highlight=False)
    elif name == "html":
        console.out(str(write_report(results, sweep_dir, ["html"])[0]), highlight=False)
    else:
        # Not through the console's own printing, which would wrap and style what other tools read.
        console.file.write(_WRITTEN[name][1](results))


def _write(path: Path, text: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        raise RecordError(f"{path}: cannot be written: {error}") from error
    return path
