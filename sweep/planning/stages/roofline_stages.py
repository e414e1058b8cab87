"""The stages of a roofline. No cell of a study takes them: `sweep roofline` plans them over measured cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sweep.planning.draft import Draft, Encoded
from sweep.planning.stage import PlannedCell
from sweep.study.cluster.cluster import Device

__all__ = ["DEVICE", "LAYERS", "ROLES", "device_roof", "layer_times"]

DEVICE = "roofline_device"
"""The kind of what shows the most that a device can do."""
LAYERS = "roofline_layers"
"""The kind of the layers of a cell's library, each timed alone."""
ROLES = {"lower": "lower"}
"""Kind of each input of layers by its role. What the build was made of beside is told by its id, and where the records
are by a hint: a plan that was read back tells too little of a tune stage to have it among the inputs."""


def device_roof(device: Device) -> Draft:
    """Once a device, its target and its threads."""
    options = {"device": device.key, "target": dict(device.target), "threads": device.threads}
    return Draft(Encoded(options), {}, f"roof of {device.key}", {"linker": device.linker})


def layer_times(
    device: Device, target: Mapping[str, Any], cell: PlannedCell, ids: Mapping[str, str], records: str | None
) -> Draft:
    """Of a cell that was built. ids: of its lower and build stages, by kind. records: the folder of those that it was
    built with, relative to the sweep directory; None: it was not tuned.
    """
    options = {"device": device.key, "target": dict(target), "threads": device.threads, "cell": cell.cell.id}
    hints = {"linker": device.linker, "records": records}
    label = f"layers of {cell.cell.name}"
    return Draft(Encoded({**options, "build": ids["build"]}), {"lower": ids["lower"]}, label, hints)
