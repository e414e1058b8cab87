"""Axes that this project does not ship, one of text and one of numbers."""

from __future__ import annotations

from sweep.study.axis import Axis

PHASE = Axis(
    "phase",
    "whether the network infers or learns",
    default="inference",
    values=("inference", "training"),
    stage="lower",
)
STREAMS = Axis(
    "streams",
    "calls at the same time",
    default=1,
    type="int32",
    unit="calls",
    least=1,
    most=8,
    label="streams{}",
    stage="measure",
    in_other_runtimes=True,
)
