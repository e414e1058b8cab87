"""The final: cells that are measured take turns on their device. No cell takes it: a run plans it over its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweep.planning.draft import TVM_PACKAGES, Draft, Encoded
from sweep.planning.stage import Stage
from sweep.planning.stages.quantise import ROLE
from sweep.study.runtimes import runtime_of

__all__ = ["FINAL", "MOST", "ROLES", "draft", "limit_s"]

FINAL = "final"
"""The kind."""
MOST = 16
"""Contenders of a final."""
ROLES = {f"{kind} {number}": kind for kind in ("import", "build", ROLE) for number in range(1, MOST + 1)}
"""Kind of each input by its role."""


def draft(
    device: str,
    seconds: float,
    contenders: Sequence[Mapping[str, Any]],
    inputs: Mapping[str, str],
    what: str,
    *,
    side_by_side: bool = False,
) -> Draft:
    """Contenders take turns for at most so many seconds, each in its runtime.

    contenders: of each `cell`, its id; `measured`, which measurement of it; `is_compiled`; `roles`, of its
    inputs by their kind; and `options`, those of its measurement. inputs: ids by role. what: for people.
    side_by_side: in pairs at the same moment, where the device has the cores.
    """
    options: dict[str, Any] = {"device": device, "seconds": seconds, "contenders": [dict(one) for one in contenders]}
    if side_by_side:  # else its content is what it was before there was a choice
        options["side_by_side"] = True
    runtimes = dict.fromkeys(one["options"]["runtime"] for one in contenders)
    packages = (name for runtime in runtimes for name in runtime_of(str(runtime)).distributions)
    distributions = tuple(dict.fromkeys((*TVM_PACKAGES, *packages)))
    return Draft(Encoded(options), inputs, f"final {what} on {device}", distributions=distributions)


def limit_s(stage: Stage) -> float:
    """How long its rounds may take."""
    return float(stage.options.get("seconds", 0.0))
