"""The command that chooses one configuration for several devices: overlay."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated

import typer

from sweep.cli.arguments import EXIT_DONE, JsonOption, shown
from sweep.errors import StudyError

__all__ = ["overlay_command"]


def overlay_command(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of a sweep or of imported logs.", show_default=False)
    ],
    keys: Annotated[str | None, typer.Option(help="Devices, with commas; default: all that have records.")] = None,
    model: Annotated[str | None, typer.Option(help="Whose layers, where the sweep has several models.")] = None,
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

    Example: sweep overlay sweeps/published --keys rasp4,tx2 --best 20
    """
    from sweep.api.overlaying import overlay, write

    chosen = None if keys is None else [key.strip() for key in keys.split(",") if key.strip()]
    found = overlay(
        folder, keys=chosen, model=model, layer=layer, best=best, weights=_weights(weights), minimax=minimax
    )
    paths = write(found, out or folder / "overlay", f"Overlay of {shown(folder)}")
    typer.echo(json.dumps(found.as_dict(), indent=2, allow_nan=False) if as_json else found.as_text())
    typer.echo("\n".join(f"{path.name}: {shown(path)}" for path in paths), err=as_json)
    return EXIT_DONE


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
