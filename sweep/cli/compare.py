"""Commands that say which is faster: compare, of two cells or of two sweeps, and gate, of a study and a baseline."""

from __future__ import annotations

import json
from dataclasses import replace
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
    StudyArgument,
    load_both,
    load_cluster,
    sweep_dir_of,
)
from sweep.cli.speaking import say
from sweep.errors import StudyError
from sweep.files.sweep_dir import SweepDir

if TYPE_CHECKING:
    from sweep.analysis.comparing.shared_cells import SweepComparison

__all__ = ["compare_command", "gate_command"]

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
    from sweep.api.session.stored_sweep import is_uri

    if not is_uri(first) and not Path(first).exists():
        raise StudyError(
            "is no sweep that is there, and one cell alone is compared with nothing",
            key="CELL|DIR_B",
            value=first,
            allowed="two cells of DIR, or another sweep directory, its URI or zip file, or a bundle",
        )
    wanted = ["json"] if as_json else [name.strip() for name in formats.split(",")]
    for name in wanted:
        if name not in _FORMATS:
            raise StudyError("no such format", key="--format", value=name, allowed=", ".join(_FORMATS))
    found = _compare_sweeps(folder, first, measure_more, max_minutes, cluster, across_hosts, fail_on, only)
    for name in wanted:
        _show_comparison(found, name)
    _write_comparison(found, markdown, junit)
    return _exit_code_of(found)


def gate_command(
    study: StudyArgument,
    baseline: Annotated[
        str, typer.Option("--baseline", metavar="DIR", help="Sweep directory to hold it against, its URI or zip file.")
    ],
    cluster: ClusterOption = None,
    out: Annotated[Path | None, typer.Option(help="Sweep directory; default sweeps/STUDY-gate.")] = None,
    fail_on: Annotated[
        str, typer.Option("--fail-on", metavar="RULE", help="Exit 0 if it holds for no cell, 1 if for one, 3 if open.")
    ] = "slower > 5%",
    max_minutes: Annotated[
        float, typer.Option(min=0.0, help="To measure both in turns; 0: compare what the two sweeps measured.")
    ] = 10.0,
    max_hours: Annotated[float | None, typer.Option(min=0.0, help="For the run of the study.")] = None,
    own_schedules: Annotated[
        bool, typer.Option("--own-schedules", help="Tune anew, instead of building with the baseline's schedules.")
    ] = False,
    only: OnlyOption = None,
    markdown: MarkdownOption = None,
    junit: JunitOption = None,
    as_json: JsonOption = False,
) -> int:
    """Build a study with the schedules of a baseline, and say in turns with its libraries what became slower.

    Exit code 0: the rule holds for no cell. 1: it does for one, or a cell failed. 3: it cannot be told.

    Example: sweep gate study.yaml --baseline sweeps/main --fail-on 'slower > 5%'
    """
    from sweep.analysis.comparing.fail_rule import parse_rule
    from sweep.api.gating.against_baseline import gate
    from sweep.report.live.progress_view import open_progress
    from sweep.report.terminal import TextConsole
    from sweep.running.options import RunOptions
    from sweep.running.signals import OrderlyEnd

    parse_rule(fail_on)  # before anything is built
    loaded_study, loaded_cluster = load_both(study, cluster)
    budget = loaded_study.budget if max_hours is None else replace(loaded_study.budget, hours=max_hours)
    with OrderlyEnd(), open_progress(TextConsole(stderr=True), loaded_study.name) as view:
        gated = gate(
            loaded_study,
            loaded_cluster,
            baseline,
            out=out,
            fail_on=fail_on,
            minutes=max_minutes,
            own_schedules=own_schedules,
            options=RunOptions.within(budget, only=only),
            view=view,
        )
    _show_comparison(gated.comparison, "json" if as_json else "table")
    _write_comparison(gated.comparison, markdown, junit)
    return EXIT_FAILED if gated.run.status == "failed" else _exit_code_of(gated.comparison)


def _show_comparison(found: SweepComparison, name: str) -> None:
    """Print a comparison of sweeps in one of the formats."""
    from sweep.report.comparison_table import as_junit, as_markdown, render_comparison
    from sweep.report.terminal import TextConsole

    if name == "table":
        render_comparison(found, TextConsole())
    else:
        texts = {"json": lambda: json.dumps(found.as_dict(), indent=2, allow_nan=False)}
        texts |= {"markdown": lambda: as_markdown(found).rstrip("\n"), "junit": lambda: as_junit(found).rstrip("\n")}
        say(texts[name]())


def _write_comparison(found: SweepComparison, markdown: Path | None, junit: Path | None) -> None:
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


def _exit_code_of(found: SweepComparison) -> int:
    """0 where the rule holds for no cell, 1 where it does for one, 3 where it cannot be told."""
    return {"held": EXIT_DONE, "broken": EXIT_FAILED, "open": EXIT_UNTOLD}[str(found.outcome)]


def _refuse(options: dict[str, Any]) -> None:
    for name, value in options.items():
        if value is not None:
            raise StudyError("goes with two sweeps", key=name, value=str(value), allowed="sweep compare DIR_A DIR_B")


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
    from sweep.api.comparing.sweep_dirs import compare_sweep_dirs, compare_sweep_dirs_more
    from sweep.running.signals import OrderlyEnd

    if not measure_more:
        return compare_sweep_dirs(baseline, new, across_hosts=across_hosts, fail_on=fail_on, only=only)
    with OrderlyEnd():
        return compare_sweep_dirs_more(
            baseline,
            new,
            load_cluster(cluster),
            minutes=max_minutes,
            fail_on=fail_on,
            only=only,
            say=lambda text: say(text, err=True),
        )
