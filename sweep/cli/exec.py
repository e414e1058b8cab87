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
    as_json: JsonOption = False,
) -> int:
    """Measure a compiled cell, or a bundle of one, on another device, or compile a tuning log for it and measure that.

    Example: sweep exec sweeps/squeezenet/artifacts/build/0123456789abcdef --key here
    """
    from sweep.api.commands.exec import execute
    from sweep.running.signals import OrderlyEnd

    with OrderlyEnd():
        loaded_cluster = load_cluster(cluster)
        device = key_of(key, loaded_cluster)
        done = execute(what, device, loaded_cluster, say=lambda line: say(line, err=True))
    say(json.dumps(done.as_dict(), indent=2) if as_json else done.as_text())
    return EXIT_DONE
