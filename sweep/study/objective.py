"""What a study wants of a cell: the least latency among those that keep within limits. It changes no id."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from sweep.errors import StudyError
from sweep.study.reading.form import Form, refuse
from sweep.suggestions import hint, listed

__all__ = ["LIMITED", "Objective", "ObjectiveForm", "read_objective"]

LIMITED: Mapping[str, str] = MappingProxyType(
    {
        "accuracy_drop": "accuracy of the network as its file has it, less the cell's",
        "peak_memory_bytes": "peak memory of the measuring process above idle",
        "artifact_bytes": "size of the built library",
        "output_max_abs_diff": "largest difference from the expected output",
        "output_cosine_distance": "cosine distance from the expected output",
        "energy_mj_per_call": "energy of the processor packages for a call",
        "build_s": "time of its build",
        "tuning_s": "time of its tuning",
    }
)
"""Result columns that may have an upper limit, and what each is."""


@dataclass(frozen=True, slots=True)
class Objective:
    """To minimise one quantity where others keep within their limits."""

    minimise: str = "latency"
    subject_to: Mapping[str, float] = field(default_factory=dict)
    """Upper limit of a result column, by its name."""

    def to_json(self) -> str:
        """As text: a column of results, and part of plan.json."""
        return json.dumps({"minimise": self.minimise, "subject_to": dict(self.subject_to)})

    @staticmethod
    @lru_cache(maxsize=64)
    def from_json(text: str) -> Objective | None:
        """Inverse of `to_json`; None for what another version may have meant by it."""
        try:
            found = json.loads(text)
            limits = {str(name): float(limit) for name, limit in found["subject_to"].items()}
            return Objective(str(found["minimise"]), limits)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


def _limits(value: object) -> object:
    """Each limit is a number, of a column that may have one."""
    if value is None:
        return {}  # `subject_to:` with every line under it commented out
    if not isinstance(value, dict):
        return value
    for name, limit in value.items():
        if name not in LIMITED:
            problem = f"is nothing that can be limited{hint(str(name), list(LIMITED))}"
            raise refuse(problem, key=str(name), value=limit, allowed=listed(LIMITED))
        is_number = isinstance(limit, int | float) and not isinstance(limit, bool)
        if not is_number or not math.isfinite(limit) or limit < 0:
            raise refuse("is no limit", key=str(name), value=limit, allowed="a number from 0 on")
    return value


class ObjectiveForm(Form):
    """What is wanted of a cell: answers, marks and exports keep to it."""

    minimise: Literal["latency"] = Field("latency", description="What is to be least.")
    subject_to: Annotated[dict[str, float], BeforeValidator(_limits)] = Field(
        {},
        description=f"Upper limits: of {listed(LIMITED)}.",
        examples=[{"artifact_bytes": 8_000_000, "peak_memory_bytes": 60_000_000}],
    )


def read_objective(form: ObjectiveForm | None, is_evaluated: bool, file: Path) -> Objective | None:
    """None where the file names none, or no limit: then the fastest cell is best, as ever.

    is_evaluated: whether cells are run over labelled samples. Raises StudyError for a limit that no cell could keep.
    """
    if form is None or not form.subject_to:
        return None
    if "accuracy_drop" in form.subject_to and not is_evaluated:
        raise StudyError(
            "is known of no cell, since the study evaluates none",
            file=file,
            key="objective.subject_to.accuracy_drop",
            value=form.subject_to["accuracy_drop"],
            allowed="a study with evaluate: {dataset: NAME}",
        )
    return Objective(form.minimise, dict(form.subject_to))
