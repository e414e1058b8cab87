"""The plan that a sweep directory keeps, for whoever has the folder and not the study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sweep.errors import LedgerError

__all__ = ["read_plan"]


def read_plan(sweep_dir: Path) -> dict[str, Any]:
    """plan.json: `study`, `cells` (id, name, stages) and `stages` (kind, label and inputs by id).

    Raises:
        LedgerError: there is none, or none that can be read.
    """
    try:
        plan: dict[str, Any] = json.loads((sweep_dir / "plan.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LedgerError(f"{sweep_dir} has no readable plan.json: {error}") from error
    return plan
