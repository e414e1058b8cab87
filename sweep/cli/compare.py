"""The command that says which is faster: of two cells of a sweep, or of every cell that two sweeps share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweep.cli.arguments import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_UNTOLD,
    ClusterOption,
    JsonOption,
    OnlyOption,
    load_cluster,
    sweep_dir_of,
)
from sweep.cli.speaking import say
from sweep.errors import StudyError
from sweep.files.sweep_dir import SweepDir

if TYPE_CHECKING:
    from sweep.analysis.comparing.shared_cells import SweepComparison

__all__ = [
    "FailOnOption",
    "JunitOption",
    "MarkdownOption",
    "compare_command",
    "exit_code_of",
    "show_comparison",
    "write_comparison",
]

FailOnOption = Annotated[
    str | None,
    typer.Option(
        "--fail-on", metavar="RULE", help="As 'slower > 5%': exit 0 if it holds for no cell, 1 if for one, 3 if open."
    ),
]
MarkdownOption = Annotated[Path | None, typer.Option("--markdown", metavar="FILE", help="Write the table as Markdown.")]
JunitOption = Annotated[
    Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML, a test case for each shared cell.")
]
_FORMATS = ("table", "json", "markdown", "junit")


def compare_command(
    folder: Annotated[
        str,
        typer.Argument(metavar="DIR", help="Sweep directory, its URI or zip file, or a bundle.", show_default=False),
    ],
    first: Annotated[
        str,
        typer.Argument(metavar="CELL|DIR_B", help="A cell, by name, id or words that it alone has; or another sweep."),
    ],
    second: Annotated[str | None, typer.Argument(metavar="CELL", help="The other cell.")] = None,
    measure_more: Annotated[
        bool, typer.Option("--measure-more", help="While it is AMBIGUOUS, measure both in turns on their devices.")
    ] = False,
    max_minutes: Annotated[float, typer.Option(min=0.0, help="For measuring more.")] = 10.0,
    cluster: ClusterOption = None,
    across_hosts: Annotated[
        bool, typer.Option("--across-hosts", help="Compare although different machines measured them.")
    ] = False,
    fail_on: FailOnOption = None,
    only: OnlyOption = None,
    formats: Annotated[
        str, typer.Option("--format", "-f", help="Of two sweeps: table, json, markdown, junit; several with commas.")
    ] = "table",
    markdown: MarkdownOption = None,
    junit: JunitOption = None,
    as_json: JsonOption = False,
) -> int:
    """Say which of two cells is faster: their ratio with its 99 % interval, and FASTER, SLOWER, SAME or AMBIGUOUS.

    Or compare two sweeps: `sweep compare DIR_A DIR_B`, every cell that both have, the second over the first.

    Example: sweep compare sweeps/squeezenet "xgb O3" onnxruntime
    Example: sweep compare sweeps/main sweeps/change --fail-on 'slower > 5%'
    """
    if second is not None:
        _refuse({"--fail-on": fail_on, "--only": only, "--markdown": markdown, "--junit": junit})
        return _compare_cells(folder, first, second, measure_more, max_minutes, cluster, across_hosts, as_json)
    wanted = ["json"] if as_json else [name.strip() for name in formats.split(",")]
    for name in wanted:
        if name not in _FORMATS:
            raise StudyError("no such format", key="--format", value=name, allowed=", ".join(_FORMATS))
    found = _compare_sweeps(folder, first, measure_more, max_minutes, cluster, across_hosts, fail_on, only)
    for name in wanted:
        show_comparison(found, name)
    write_comparison(found, markdown, junit)
    return exit_code_of(found)


def show_comparison(found: SweepComparison, name: str) -> None:
    """Print a comparison of sweeps in one of the formats."""
    from sweep.report.comparison_table import as_junit, as_markdown, render_comparison
    from sweep.report.terminal import TextConsole

    if name == "table":
        render_comparison(found, TextConsole())
    else:
        texts = {"json": lambda: json.dumps(found.as_dict(), indent=2, allow_nan=False)}
        texts |= {"markdown": lambda: as_markdown(found).rstrip("\n"), "junit": lambda: as_junit(found).rstrip("\n")}
        say(texts[name]())


def write_comparison(found: SweepComparison, markdown: Path | None, junit: Path | None) -> None:
    """Write the files that were asked for. Raises StudyError where one cannot be written."""
    from sweep.files.atomic import write_text
    from sweep.report.comparison_table import as_junit, as_markdown

    for option, path, render in (("--markdown", markdown, as_markdown), ("--junit", junit, as_junit)):
        if path is None:
            continue
        try:
            path.absolute().parent.mkdir(parents=True, exist_ok=True)
            write_text(path.absolute(), render(found))
        except OSError as error:
            raise StudyError(f"cannot be written: {error.strerror}", key=option, value=str(path)) from error


def exit_code_of(found: SweepComparison) -> int:
    """0 where the rule holds for no cell, 1 where it does for one, 3 where it cannot be told."""
    return {"held": EXIT_DONE, "broken": EXIT_FAILED, "open": EXIT_UNTOLD}[str(found.outcome)]


def _refuse(options: dict[str, Any]) -> None:
    for name, value in options.items():
        if value is not None:
            raise StudyError("goes with two sweeps", key=name, value=str(value), allowed="sweep compare DIR_A DIR_B")


def _refuse_measuring(measure_more: bool) -> None:
    if measure_more:
        raise StudyError("goes with two cells", key="--measure-more", allowed="sweep compare DIR CELL CELL")


def _compare_cells(
    place: str,
    first: str,
    second: str,
    measure_more: bool,
    max_minutes: float,
    cluster: Path | None,
    across_hosts: bool,
    as_json: bool,
) -> int:
    from sweep.api.commands.compare import compare, compare_more
    from sweep.running.signals import OrderlyEnd

    folder = sweep_dir_of(place)
    SweepDir(folder).require_as("DIR")
    if measure_more:
        with OrderlyEnd():
            comparison = compare_more(
                folder,
                first,
                second,
                load_cluster(cluster),
                minutes=max_minutes,
                across_hosts=across_hosts,
                say=lambda look: say(look, err=True),
            )
    else:
        comparison = compare(folder, first, second, across_hosts=across_hosts)
    say(json.dumps(comparison.as_dict(), indent=2) if as_json else comparison.as_text())
    return EXIT_DONE


def _compare_sweeps(
    baseline: str,
    new: str,
    measure_more: bool,
    max_minutes: float,
    cluster: Path | None,
    across_hosts: bool,
    fail_on: str | None,
    only: str | None,
) -> SweepComparison:
    from sweep.api.comparing.sweep_dirs import compare_sweep_dirs

    _refuse_measuring(measure_more)
    return compare_sweep_dirs(baseline, new, across_hosts=across_hosts, fail_on=fail_on, only=only)
