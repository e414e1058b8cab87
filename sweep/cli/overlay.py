"""The command that chooses one configuration for several devices: overlay."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.arguments import (
    EXIT_DONE,
    EXIT_FAILED,
    ClusterOption,
    JsonOption,
    OnlyOption,
    load_cluster,
    shown,
)
from sweep.cli.speaking import say
from sweep.errors import StudyError

if TYPE_CHECKING:
    from sweep.api.commands.overlay import WrittenOverlay
    from sweep.api.overlay.overlay import Question
    from sweep.study.cluster.cluster import Cluster

__all__ = ["overlay_command"]


def overlay_command(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of a sweep or of imported logs.", show_default=False)
    ],
    keys: Annotated[str | None, typer.Option(help="Devices, with commas; default: all that have records.")] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="First measure each candidate on every device, and then the network.")
    ] = False,
    cluster: ClusterOption = None,
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

    Example: sweep overlay sweeps/four-devices --measure --cluster four-devices.yaml --best 4
    """
    from sweep.api.commands.overlay import overlay_question

    devices = None if keys is None else [key.strip() for key in keys.split(",") if key.strip()]
    question = overlay_question(devices, model, opt_level, only, layer, best, _weights(weights), minimax=minimax)
    measured_on = load_cluster(cluster) if measure else None
    done = _written(folder, question, measured_on, network, out)
    chosen = done.overlay
    say(json.dumps(chosen.as_dict(), indent=2, allow_nan=False) if as_json else chosen.as_text())
    say("\n".join(f"{path.relative_to(done.folder)}: {shown(path)}" for path in done.files), err=as_json)
    if done.mlflow_run is not None:
        say(done.mlflow_run, err=as_json)
    return EXIT_FAILED if done.has_failed else EXIT_DONE


def _written(
    folder: Path, question: Question, measured_on: Cluster | None, network: bool, out: Path | None
) -> WrittenOverlay:
    """With progress, where something is measured."""
    from sweep.api.commands.overlay import write_overlay

    title = f"Overlay of {shown(folder)}"
    if measured_on is None:
        return write_overlay(folder, question, out=out, title=title)
    from sweep.report.live.overlay_view import OverlayView
    from sweep.report.terminal import TextConsole
    from sweep.running.signals import OrderlyEnd

    with OrderlyEnd(), OverlayView(TextConsole(stderr=True)) as view:
        return write_overlay(
            folder, question, measured_on=measured_on, network=network, watcher=view, out=out, title=title
        )


def _weights(written: str | None) -> dict[str, float] | None:
    if written is None:
        return None
    by_key = {}
    for part in written.split(","):
        key, _, number = part.partition("=")
        try:
            by_key[key.strip()] = float(number)
        except ValueError:
            by_key[key.strip()] = math.nan
        if not 0 < by_key[key.strip()] < math.inf:
            raise StudyError("is no weight", key="--weights", value=part, allowed="KEY=NUMBER, with a number above 0")
    return by_key
