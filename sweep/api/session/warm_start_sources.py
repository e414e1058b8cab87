"""Finds the sources of a warm start, and orders them: records of the nearest target first."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sweep.errors import StudyError
from sweep.files.sweep_dir import RECORDS, SweepDir
from sweep.planning.kinds import place_of
from sweep.planning.stage import Plan, Stage
from sweep.planning.stage_kind import Place

__all__ = ["with_warm_start"]

_DATABASE, _TRIALS = "database_tuning_record.json", "trials.jsonl"


def with_warm_start(plan: Plan, folders: Sequence[Path], sweep_dir: Path) -> Plan:
    """The plan with its tune stages told of the records in `folders`; the stages' ids stay what they are.

    A folder is a sweep directory, a store of records (`<target>/<tuner>-<device>` below it) or one native MetaSchedule
    database. Records of the same full target come first, then those of the same kind of CPU, then the rest. The
    name of a sweep's records folder tells the full target; a record names the target as it was resolved, which for
    `native` is another text.

    Raises:
        StudyError: a folder holds no records.
    """
    sources = [source for folder in folders for source in _records_below(folder)]
    own = SweepDir(sweep_dir).records.resolve()
    sources = [source for source in sources if not source.resolve().is_relative_to(own)]
    targets = {source: _target_of(source) for source in sources}

    def with_sources(stage: Stage) -> Stage:
        if place_of(stage) is not Place.TUNER:
            return stage
        wanted, same = stage.options["target"], Path(stage.hints["records"]).parent.name
        nearest = sorted(
            sources,
            key=lambda source: (source.parent.name != same, _distance(targets[source], wanted), str(source)),
        )
        return replace(stage, hints={**stage.hints, "warm_start": [str(source.absolute()) for source in nearest]})

    return replace(plan, stages={stage_id: with_sources(stage) for stage_id, stage in plan.stages.items()})


def _records_below(folder: Path) -> list[Path]:
    for pattern in (".", "*", "*/*", f"{RECORDS}/*/*"):
        folders = sorted(
            {path.parent for path in folder.glob(f"{pattern}/{_DATABASE}" if pattern != "." else _DATABASE)}
        )
        if folders:
            return folders
    raise StudyError(
        "holds no tuning records",
        key="--warm-start",
        value=str(folder),
        allowed=f"a sweep directory, a store of records, or a folder with {_DATABASE}",
    )


def _target_of(source: Path) -> Mapping[str, Any]:
    """The target that a source's first trial or record names; empty where it cannot be read."""
    try:
        with (source / _TRIALS).open(encoding="utf-8") as file:
            target: Any = json.loads(json.loads(file.readline())["target"])
            return target if isinstance(target, dict) else {}
    except (OSError, ValueError, LookupError, TypeError):
        pass
    try:
        with (source / _DATABASE).open(encoding="utf-8") as file:
            target = json.loads(file.readline())[1][2]
            return target if isinstance(target, dict) else {}
    except (OSError, ValueError, LookupError, TypeError):
        return {}


def _distance(target: Mapping[str, Any], wanted: Mapping[str, Any]) -> int:
    """0 for the same code generator and cores, 1 for the same CPU, 2 for the same architecture, 3 for the rest."""
    if not target:
        return 3
    same = [target.get(key) == wanted.get(key) for key in ("mcpu", "num-cores")]
    if target.get("kind") == wanted.get("kind") and all(same):
        return 0
    if same[0] and "mcpu" in target:
        return 1
    return 2 if target.get("mtriple") == wanted.get("mtriple") else 3
