"""The command that chooses one configuration for several devices: overlay."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.arguments import (
    DEFAULT_CLUSTER,
    EXIT_DONE,
    EXIT_FAILED,
    ClusterOption,
    JsonOption,
    OnlyOption,
    load_place,
    shown,
)
from sweep.errors import StudyError
from sweep.files.sweep_dir import SweepDir

if TYPE_CHECKING:
    from sweep.analysis.overlay.overlay import Overlay
    from sweep.api.overlay.overlay import Question

__all__ = ["overlay_command"]


def overlay_command(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of a sweep or of imported logs.", show_default=False)
    ],
    keys: Annotated[str | None, typer.Option(help="Devices, with commas; default: all that have records.")] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="First measure each candidate on every device, and then the network.")
    ] = False,
    cluster: ClusterOption = DEFAULT_CLUSTER,
    network: Annotated[
        bool, typer.Option("--network/--no-network", help="With --measure: whether the whole network is measured.")
    ] = True,
    model: Annotated[str | None, typer.Option(help="Whose layers, where the sweep has several models.")] = None,
    opt_level: Annotated[int | None, typer.Option(help="Of which level, where the sweep tuned several.")] = None,
    only: OnlyOption = None,
    layer: Annotated[str | None, typer.Option(help="One layer alone: its name, or its number from 1.")] = None,
    best: Annotated[
        int | None, typer.Option(min=1, help="Candidates: this many of each device's fastest; default: all.")
    ] = None,
    weights: Annotated[str | None, typer.Option(help="How much devices count: A=2,B=1; default: all alike.")] = None,
    minimax: Annotated[
        bool, typer.Option("--minimax", help="Choose by the largest loss of any device, not by the sum.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Where tables and pictures go; default: overlay in DIR.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Choose the configuration of each layer that is best over several devices.

    M is the sum over the devices of how much longer it takes there than that device's best; 0 is best everywhere.
    Devices that were tuned apart have few configurations in common: --measure builds each device's candidates for the
    others and measures them there. What it has measured it does not measure again.

    Example: sweep overlay sweeps/four-devices --measure --cluster clusters/four-devices.yaml --best 4
    """
    from sweep.analysis.overlay.metric import Criterion
    from sweep.api.overlay.mlflow_run import record
    from sweep.api.overlay.overlay import Question, look, write
    from sweep.api.overlay.selection import Asked

    chosen = None if keys is None else [key.strip() for key in keys.split(",") if key.strip()]
    criterion = Criterion.WORST if minimax else Criterion.SUM
    question = Question(Asked(chosen, model, opt_level, only), layer, best, _weights(weights), criterion)
    files = out or SweepDir(folder).overlay
    found = _measured(folder, cluster, question, files, network) if measure else look(folder, question).overlay
    paths = write(found, files, f"Overlay of {shown(folder)}", folder)
    typer.echo(json.dumps(found.as_dict(), indent=2, allow_nan=False) if as_json else found.as_text())
    typer.echo("\n".join(f"{path.relative_to(files)}: {shown(path)}" for path in paths), err=as_json)
    uri = load_place(cluster).mlflow_uri if measure else None
    told = record(found, folder, files, question, uri)
    if told is not None:
        typer.echo(told, err=as_json)
    return EXIT_FAILED if any(one.reason for one in found.networks) else EXIT_DONE


def _measured(folder: Path, cluster: Path, question: Question, files: Path, network: bool) -> Overlay:
    from rich.console import Console

    from sweep.api.overlay.measure import measure_overlay
    from sweep.report.live.overlay_view import OverlayView
    from sweep.running.signals import OrderlyEnd

    with OrderlyEnd(), OverlayView(Console(stderr=True)) as view:
        return measure_overlay(folder, load_place(cluster), question, out=files, watcher=view, network=network)


def _weights(written: str | None) -> dict[str, float] | None:
    if written is None:
        return None
    found = {}
    for part in written.split(","):
        key, _, number = part.partition("=")
        try:
            found[key.strip()] = float(number)
        except ValueError:
            found[key.strip()] = math.nan
        if not 0 < found[key.strip()] < math.inf:
            raise StudyError("is no weight", key="--weights", value=part, allowed="KEY=NUMBER, with a number above 0")
    return found
