"""The command that writes a cell as a bundle to ship: export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from sweep.cli.arguments import EXIT_DONE, JsonOption, place_of
from sweep.cli.speaking import say
from sweep.errors import StudyError

__all__ = ["export_command"]


def export_command(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Sweep directory, or the URI of one.", show_default=False, parser=place_of),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Of the bundle, or a file that ends in .zip.", show_default=False),
    ] = None,
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
    zoo: Annotated[
        Path | None,
        typer.Option(
            metavar="ROOT",
            help="Lay the networks themselves out there: ROOT/DOMAIN/TASK/MODEL/original, or DATE_spRATE_HxW.",
            show_default=False,
        ),
    ] = None,
    domain: Annotated[str | None, typer.Option(help="With --zoo; else the study's tag.", show_default=False)] = None,
    task: Annotated[str | None, typer.Option(help="The same.", show_default=False)] = None,
    as_json: JsonOption = False,
) -> int:
    """Write the best cell, or the one that is named, as a folder to ship: library, manifest, run.py, main.cc.

    Example: sweep export sweeps/cpu-quickstart "xgb O3 local-native" --out squeezenet
    """
    from sweep.api.commands.export import Exported, ExportedZoo, export, export_zoo

    done: Exported | ExportedZoo
    if (out is None) == (zoo is None):
        raise StudyError("is missing" if out is None else "goes without --zoo", key="--out", allowed="--out or --zoo")
    if zoo is not None:
        if cell is not None or device is not None:
            raise StudyError("goes with --out alone", key="CELL" if cell else "--device", value=cell or device)
        done = export_zoo(folder, zoo, model=model, domain=domain, task=task)
    elif domain or task:
        raise StudyError("goes with --zoo alone", key="--domain" if domain else "--task", value=domain or task)
    else:
        assert out is not None
        done = export(folder, cell, out=out, model=model, device=device)
    say(json.dumps(done.as_dict(), indent=2) if as_json else done.as_text())
    return EXIT_DONE
