"""Completes values at the shell's TAB key: device keys, axes of `--only`, formats of a report."""

from __future__ import annotations

from pathlib import Path

import typer

from sweep.errors import SweepError
from sweep.study.cluster.cluster import DEFAULT_FILE

__all__ = ["device_keys", "formats", "selections"]


def device_keys(ctx: typer.Context, incomplete: str) -> list[str]:
    """Keys of the cluster file that the line names."""
    from sweep.study.gate import load_cluster, local_cluster

    named = ctx.params.get("cluster")
    path = Path(named or DEFAULT_FILE)
    try:
        cluster = load_cluster(path) if named or path.exists() else local_cluster()
    except SweepError:
        return []
    return [device.key for device in cluster.devices if device.key.startswith(incomplete)]


def formats(incomplete: str) -> list[str]:
    """Forms of a report, after a comma too."""
    from sweep.report.writing import FORMATS

    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in FORMATS if name.startswith(last)]


def selections(incomplete: str) -> list[str]:
    """Axes of `--only`."""
    from sweep.study.axes import axis_names

    before, comma, last = incomplete.rpartition(",")
    return [] if "=" in last else [f"{before}{comma}{axis}=" for axis in axis_names() if axis.startswith(last)]
