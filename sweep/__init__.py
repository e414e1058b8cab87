"""Distributed batch sweeps of model x target x tuner x opt-level for Apache TVM on Ray.

The public API (`sweep.load_study`, `sweep.plan`, `sweep.run`, `sweep.open_results` and the like) is loaded on first
use, so that `import sweep` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sweep.installation import __version__

if TYPE_CHECKING:
    from sweep.api import (
        RunOptions,
        SweepRun,
        default_sweep_dir,
        load_cluster,
        load_study,
        open_results,
        open_table,
        outcome_of,
        plan,
        run,
        standing,
    )
    from sweep.api.commands.compare import compare
    from sweep.api.overlay.overlay import overlay

__all__ = [
    "RunOptions",
    "SweepRun",
    "__version__",
    "compare",
    "default_sweep_dir",
    "load_cluster",
    "load_study",
    "open_results",
    "open_table",
    "outcome_of",
    "overlay",
    "plan",
    "run",
    "standing",
]

_HOMES = {"compare": "sweep.api.commands.compare", "overlay": "sweep.api.overlay.overlay"}
"""Of what needs numpy, which the rest does without."""


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module(_HOMES.get(name, "sweep.api")), name)
    raise AttributeError(f"module 'sweep' has no attribute {name!r}")
