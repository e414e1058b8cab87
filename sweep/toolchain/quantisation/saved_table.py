"""Takes the table of a former calibration for a network, in place of running samples over it."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.errors import CalibrateFailed, in_one_line
from sweep.study.calibration_table import HISTOGRAMS, RANGES, content_of
from sweep.suggestions import hint
from sweep.toolchain.quantisation.qdq_network import quantisable
from sweep.toolchain.quantisation.range_table import NETWORK, RangeTable, float_tensors, read_table, weight_ranges

__all__ = ["take_saved_table"]

_CLOSE = 1e-3
"""Of a weight's range: versions of what folds batch norms into weights may differ in the last digits."""


def take_saved_table(ranges: Path, sha256: str, model: Any, folder: Path) -> RangeTable:
    """Copy a table into the folder of a stage, beside the prepared network that it is for.

    sha256: what its files were when the study was read. Raises CalibrateFailed where they are not that any more, cannot
    be read, or are of another network.
    """
    try:
        if content_of(ranges) != sha256:
            problem = f"the table {ranges} is not what it was when the study was read"
            raise CalibrateFailed(f"{problem}: another `sweep run` takes it as it is now")
        table = read_table(ranges.parent, ranges.name)
        shutil.copyfile(ranges, folder / RANGES)
        if (ranges.parent / HISTOGRAMS).is_file():
            shutil.copyfile(ranges.parent / HISTOGRAMS, folder / HISTOGRAMS)
    except (OSError, ValueError) as error:
        raise CalibrateFailed(f"the table {ranges} cannot be read: {in_one_line(error)}") from error
    if (misfit := _misfit(table, model)) is not None:
        raise CalibrateFailed(f"the table {ranges} is of another network: {misfit}")
    if (least := min(int(seen.histogram.min()) for seen in table.activations.values())) < 0:
        raise CalibrateFailed(f"the table {ranges} has a histogram that counts {least} values")
    (folder / NETWORK).write_bytes(model.SerializeToString())
    return table


def _misfit(table: RangeTable, model: Any) -> str | None:
    """What a table says that is not so of a network, or leaves out; None where it fits."""
    tensors = float_tensors(model)
    for name in (*table.activations, *table.unbounded):
        if name not in tensors:
            return f"it has a range of {name}, which is no tensor of this one{hint(name, tensors)}"
    for node in quantisable(model):
        for name in (*node.input, *node.output):
            if name in tensors and name not in table.activations and name not in table.unbounded:
                return f"it has no range of {name}, a tensor of {node.name}"
    known = weight_ranges(model)
    for name, said in table.weights.items():
        if name not in known:
            return f"it has a range of {name}, which is no weight of this one{hint(name, known)}"
        if (difference := _difference(said, known[name])) is not None:
            return f"its weight {name} has {difference}"
    return None


def _difference(said: Mapping[str, Any], known: Mapping[str, Any]) -> str | None:
    if "shape" in said and list(said["shape"]) != known["shape"]:
        return f"the shape {said['shape']}, and here {known['shape']}"
    slack = _CLOSE * max(abs(known["min"]), abs(known["max"]))
    for end in ("min", "max"):
        if not math.isclose(float(said[end]), known[end], abs_tol=slack):
            return f"the {end} {said[end]:g}, and here {known[end]:g}"
    return None
