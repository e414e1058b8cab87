"""The command that writes a cell as a bundle to ship: export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from sweep.cli.arguments import EXIT_DONE, JsonOption, SweepDirArgument
from sweep.cli.speaking import say

__all__ = ["export_command"]


def export_command(
    folder: SweepDirArgument,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FOLDER", help="Of the bundle, or a file that ends in .zip.", show_default=False),
    ],
    cell: Annotated[
        str | None,
        typer.Argument(
            metavar="[CELL]",
            help="Name, id, words that one cell alone has, or tuner=xgb,batch=1; by default the fastest.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Where the sweep has several.", show_default=False)] = None,
    device: Annotated[str | None, typer.Option(help="The same.", show_default=False)] = None,
    as_json: JsonOption = False,
) -> int:
    """Write the best cell, or the one that is named, as a folder to ship: library, manifest, run.py, main.cc.

    Example: sweep export sweeps/cpu-quickstart "xgb O3 local-native" --out squeezenet
    """
    from sweep.api.commands.export import export

    done = export(folder, cell, out=out, model=model, device=device)
    say(json.dumps(done.as_dict(), indent=2) if as_json else done.as_text())
    return EXIT_DONE
