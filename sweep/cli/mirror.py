"""The command that brings a sweep into MLflow once more: mirror."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from sweep.cli.arguments import EXIT_DONE, JsonOption, SweepDirArgument
from sweep.cli.speaking import say

__all__ = ["mirror_command"]


def mirror_command(
    folder: SweepDirArgument,
    to: Annotated[
        str | None,
        typer.Option(metavar="URI", help="Tracking server or database; default: the store in the sweep directory."),
    ] = None,
    register: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Register the model of the best cell, or NAME-NETWORK-DEVICE of each."),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Write into MLflow what it lacks of a sweep, or all of it where the store is new or was lost.

    Example: sweep mirror sweeps/squeezenet --to http://127.0.0.1:5000
    """
    from sweep.analysis.formatting import plural
    from sweep.api.commands.mirror import mirror

    done = mirror(folder, to, say=lambda line: say(line, err=True), register=register)
    if as_json:
        say(json.dumps({"store": done.tracking_uri, "runs": dict(done.run_ids), "models": list(done.models)}, indent=2))
    else:
        say(f"{plural(len(done.run_ids), 'cell')} in {done.tracking_uri}")
        for uri in done.models:
            say(f"model: {uri}")
    return EXIT_DONE
