"""The command that shows how near a sweep's networks come to what their devices can do: roofline."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from sweep.cli.arguments import EXIT_DONE, EXIT_FAILED, ClusterOption, JsonOption, OnlyOption, load_cluster
from sweep.cli.speaking import say

__all__ = ["roofline_command"]

_SHOWN = 12
"""Layers of a network in the terminal; --json has all."""


def roofline_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a sweep.", show_default=False)],
    cluster: ClusterOption = None,
    only: OnlyOption = None,
    as_json: JsonOption = False,
) -> int:
    """Measure the most that each device does, and how near the layers of its fastest networks come to it.

    Of each model, batch and device the fastest compiled cell counts; each of its layers is timed alone. What was
    measured before is not measured again, and the report of the sweep shows it from then on.

    Example: sweep roofline sweeps/cpu-quickstart --only model=squeezenet
    """
    from sweep.analysis.rooflines.placed_layers import roofline_words
    from sweep.api.rooflines.measuring import measure_rooflines
    from sweep.report.live.overlay_view import OverlayView
    from sweep.report.roofline_table import roofline_lines
    from sweep.report.terminal import TextConsole
    from sweep.running.signals import OrderlyEnd

    with OrderlyEnd(), OverlayView(TextConsole(stderr=True)) as view:
        found = measure_rooflines(folder, load_cluster(cluster), view, only)
    if as_json:
        told = {"rooflines": [_with_words(row) for row in found.rows], "failures": dict(found.failures)}
        say(json.dumps(told, indent=2, allow_nan=False))
    else:
        for row in found.rows:
            say("\n".join([roofline_words(row), *roofline_lines(row, _SHOWN), ""]))
        for name, why in found.failures.items():
            say(f"{name}: {why}", err=True)
    return EXIT_FAILED if found.failures else EXIT_DONE


def _with_words(row: Mapping[str, Any]) -> dict[str, Any]:
    from sweep.analysis.rooflines.placed_layers import roofline_words

    return {"words": roofline_words(row), **row}
