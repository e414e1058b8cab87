"""Commands that read a sweep directory: status, report, compare, ui."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from sweep.cli.arguments import EXIT_DONE, JsonOption, SweepDirArgument, require_sweep, show_report

__all__ = ["compare_command", "report_command", "status_command", "ui_command"]


def status_command(folder: SweepDirArgument, as_json: JsonOption = False) -> int:
    """Show where a sweep stands, also while it runs.

    Example: sweep status sweeps/cpu-quickstart
    """
    from sweep.api.reading import standing

    now = standing(folder)
    typer.echo(json.dumps(now.as_dict(), indent=2) if as_json else now.as_text())
    return EXIT_DONE


def report_command(
    folder: SweepDirArgument,
    formats: Annotated[
        str, typer.Option("--format", "-f", help="Of table, json, markdown, html, csv, parquet; several with commas.")
    ] = "table",
    as_json: JsonOption = False,
) -> int:
    """Print the results of a sweep, or write them as files.

    Example: sweep report sweeps/cpu-quickstart --format table,html
    """
    for name in ["json"] if as_json else formats.split(","):
        show_report(folder, name.strip())
    return EXIT_DONE


def compare_command(
    folder: SweepDirArgument,
    first: Annotated[str, typer.Argument(metavar="CELL", help="Name, id, or words that one cell alone has.")],
    second: Annotated[str, typer.Argument(metavar="CELL", help="The other.")],
    across_hosts: Annotated[
        bool, typer.Option("--across-hosts", help="Compare although different machines measured them.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Say which of two cells is faster: their ratio with its interval, and FASTER, SLOWER, SAME or AMBIGUOUS.

    Example: sweep compare sweeps/cpu-quickstart "xgb O3 local-native" "onnxruntime local-native"
    """
    from sweep.api.comparing import compare

    require_sweep(folder)
    found = compare(folder, first, second, across_hosts=across_hosts)
    typer.echo(json.dumps(found.as_dict(), indent=2) if as_json else found.as_text())
    return EXIT_DONE


def ui_command(
    folder: SweepDirArgument,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on loopback.")] = 5000,
) -> int:
    """Serve the MLflow UI on a sweep's own store, until Ctrl-C.

    Example: sweep ui sweeps/cpu-quickstart --port 5000
    """
    import os

    from sweep.record.mlflow_store import ui_command as command
    from sweep.record.mlflow_store import ui_environment

    require_sweep(folder)
    argv = command(folder, port=port)
    typer.echo(f"MLflow on http://127.0.0.1:{port} (Ctrl-C ends it)")
    os.execvpe(argv[0], argv, {**os.environ, **ui_environment()})
