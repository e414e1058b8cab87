"""The command that measures what a sweep has made on another device: exec."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from sweep.cli.arguments import EXIT_DONE, ClusterOption, JsonOption, KeyOption, key_of, load_cluster
from sweep.cli.speaking import say

__all__ = ["exec_command"]


def exec_command(
    what: Annotated[
        Path,
        typer.Argument(
            metavar="WHAT",
            help="A bundle, or artifacts/build/ID or records/TARGET/TUNER-DEVICE of a sweep; see `sweep where`.",
            show_default=False,
        ),
    ],
    key: KeyOption = None,
    cluster: ClusterOption = None,
    input_file: Annotated[
        Path | None,
        typer.Option(
            "--input", metavar="FILE", help="Run it on an .npz file with its inputs by name, or on a picture."
        ),
    ] = None,
    fill: Annotated[
        str | None,
        typer.Option("--fill", metavar="FILL", help="zeros, ones or random, for inputs that the file does not have."),
    ] = None,
    preprocess: Annotated[
        str,
        typer.Option("--preprocess", metavar="RECIPE", help="Of a picture: imagenet, unit (0 to 1) or bytes."),
    ] = "imagenet",
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="An .npz file for the outputs, by their names.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", metavar="FILE", help="Names of the classes, a line each, for the top 5.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Measure a compiled cell, or a bundle of one, on another device, or compile a tuning log for it and measure that.

    Example: sweep exec sweeps/squeezenet/artifacts/build/0123456789abcdef --key here --fill random --output out.npz
    """
    from sweep.api.commands.exec import execute
    from sweep.api.inference.own_inputs import OwnInputs
    from sweep.running.signals import OrderlyEnd

    with OrderlyEnd():
        loaded_cluster = load_cluster(cluster)
        device = key_of(key, loaded_cluster)
        own = OwnInputs(input_file, fill, preprocess) if input_file is not None or fill is not None else None
        done = execute(
            what,
            device,
            loaded_cluster,
            own=own,
            output=output,
            labels=labels,
            say=lambda line: say(line, err=True),
        )
    say(json.dumps(done.as_dict(), indent=2) if as_json else done.as_text())
    return EXIT_DONE
