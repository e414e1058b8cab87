"""Commands that read a sweep directory: status, where, report, history, ui."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.arguments import EXIT_DONE, JsonOption, SweepDirArgument, shown
from sweep.cli.completion import formats
from sweep.cli.speaking import say
from sweep.errors import StudyError
from sweep.files.sweep_dir import SweepDir
from sweep.plain_text import visible

if TYPE_CHECKING:
    from sweep.api.commands.read import Standing

__all__ = ["history_command", "report_command", "status_command", "ui_command", "where_command"]


def status_command(
    folder: SweepDirArgument,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again until the run has ended.")] = False,
    every: Annotated[float, typer.Option(min=0.1, max=3600.0, help="Seconds between two looks.")] = 2.0,
    as_json: JsonOption = False,
) -> int:
    """Show where a sweep stands, also while it runs, from any machine that sees its folder.

    Example: sweep status sweeps/squeezenet --watch
    """
    from sweep.api.commands.read import standing

    with _pane(is_live=watch and not as_json) as show:
        while (now := standing(folder)).status == "running" and watch:
            if as_json:
                say(json.dumps(now.as_dict()))
            show(now)
            time.sleep(every)
    say(json.dumps(now.as_dict(), indent=None if watch else 2) if as_json else now.as_text())
    return EXIT_DONE


@contextmanager
def _pane(*, is_live: bool) -> Iterator[Callable[[Standing], None]]:
    """Draws a standing over the one before it; where there is no terminal to draw on, a line for each that differs."""
    from rich.live import Live
    from rich.text import Text

    from sweep.report.terminal import TextConsole

    console = TextConsole()
    if not is_live:
        yield lambda now: None
        return
    if not console.is_terminal:
        yield _Lines().show
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield lambda now: live.update(Text(now.as_text()), refresh=True)


class _Lines:
    """Prints a line where something has happened since the one before."""

    def __init__(self) -> None:
        self._last = ""

    def show(self, now: Standing) -> None:
        if (line := now.as_line()) != self._last:
            self._last = line
            sys.stdout.write(f"{visible(line)}\n")
            sys.stdout.flush()  # a pipe would be told at the end


def where_command(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A sweep directory, or a folder of sweeps.", show_default="sweeps")
    ] = Path("sweeps"),
    as_json: JsonOption = False,
) -> int:
    """Say where networks, lowered modules, tuning records and libraries are.

    Example: sweep where sweeps/squeezenet
    """
    from sweep.api.session.artifact_paths import cell_files, sweeps_below

    if SweepDir(folder).is_sweep:
        cells = cell_files(folder)
        if as_json:
            say(json.dumps([cell.as_dict() for cell in cells], indent=2))
        for cell in () if as_json else cells:
            say(cell.name)
            for part, path in cell.files.items():
                say(f"  {part:<8} {shown(path.absolute())}")
        return EXIT_DONE
    sweeps = sweeps_below(folder)
    if not sweeps:
        allowed = "a sweep directory, or a folder with some"
        raise StudyError("holds no sweep", key="DIR", value=str(folder), allowed=allowed)
    if as_json:
        rows = [{"folder": str(sweep.folder), "study": sweep.study, "status": sweep.status} for sweep in sweeps]
        say(json.dumps(rows, indent=2))
    for sweep in () if as_json else sweeps:
        say(f"{shown(sweep.folder.absolute())}  {sweep.study}  {sweep.status}")
    return EXIT_DONE


def report_command(
    folder: SweepDirArgument,
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            help="Of table, json, markdown, html, csv, parquet; several with commas.",
            autocompletion=formats,
        ),
    ] = "table",
    as_json: JsonOption = False,
) -> int:
    """Print the results of a sweep, or write them as files.

    Example: sweep report sweeps/squeezenet --format table,html
    """
    from sweep.api.commands.report import print_report

    for name in ["json"] if as_json else formats.split(","):
        print_report(folder, name.strip())
    return EXIT_DONE


def history_command(
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="A folder of sweeps.", show_default=False)],
    cell: Annotated[str | None, typer.Argument(metavar="CELL", help="Name, id, or words that one cell has.")] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page with pictures.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Show cells over many sweeps, and where the level of their latency has changed.

    Example: sweep history sweeps "xgb O3"
    """
    from sweep.api.comparing.sweep_history import history, write_history_page
    from sweep.report.history_page import show_history
    from sweep.report.terminal import TextConsole

    found = history(root, cell)
    if html is not None:
        write_history_page(found, html)
    if as_json:
        say(json.dumps([one.as_dict() for one in found], indent=2, allow_nan=False))
    else:
        show_history(found, TextConsole())
        if html is not None:
            say(f"page: {shown(html.absolute())}")
    return EXIT_DONE


def ui_command(
    folder: SweepDirArgument,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on loopback.")] = 5000,
) -> int:
    """Serve the MLflow UI on a sweep's own store, until Ctrl-C.

    Example: sweep ui sweeps/squeezenet --port 5000
    """
    import os

    from sweep.api.commands.ui import ui_server

    server = ui_server(folder, port=port)
    say(f"MLflow comes up on {server.address}, which takes some seconds (Ctrl-C ends it)")
    for name, address in server.views.items():
        say(f"  {name:<6}  {address}")
    os.execvpe(server.command[0], server.command, {**os.environ, **server.environment})
