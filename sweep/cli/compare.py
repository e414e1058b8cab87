"""The command that says which of two cells is faster: compare."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from sweep.cli.arguments import (
    EXIT_DONE,
    ClusterOption,
    JsonOption,
    SweepDirArgument,
    load_cluster,
)
from sweep.cli.speaking import say
from sweep.files.sweep_dir import SweepDir

__all__ = ["compare_command"]


def compare_command(
    folder: SweepDirArgument,
    first: Annotated[str, typer.Argument(metavar="CELL", help="Name, id, or words that one cell alone has.")],
    second: Annotated[str, typer.Argument(metavar="CELL", help="The other.")],
    measure_more: Annotated[
        bool, typer.Option("--measure-more", help="While it is AMBIGUOUS, measure both in turns on their devices.")
    ] = False,
    max_minutes: Annotated[float, typer.Option(min=0.0, help="For measuring more.")] = 10.0,
    cluster: ClusterOption = None,
    across_hosts: Annotated[
        bool, typer.Option("--across-hosts", help="Compare although different machines measured them.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Say which of two cells is faster: their ratio with its 99 % interval, and FASTER, SLOWER, SAME or AMBIGUOUS.

    Example: sweep compare sweeps/squeezenet "xgb O3" onnxruntime
    """
    from sweep.api.commands.compare import compare, compare_more
    from sweep.running.signals import OrderlyEnd

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
