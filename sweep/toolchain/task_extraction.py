"""Extracts tasks: the tensor programs of a lowered module that a tuner can schedule, each in a file of its own."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from sweep.toolchain.workload_id import family_id, workload_id

__all__ = ["extract_tasks", "is_trivial"]


def extract_tasks(module: Any, target: Any, folder: Path) -> list[dict[str, Any]]:
    """Write each distinct workload to `folder/<workload>.json`; return [{workload, family, name, weight,
    trivial}], heaviest first.
    """
    tvm = importlib.import_module("tvm")
    meta_schedule = importlib.import_module("tvm.s_tir.meta_schedule")
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, dict[str, Any]] = {}
    for task in meta_schedule.relax_integration.extract_tasks(module, target, {}):
        dispatched = task.dispatched[0]
        text = str(tvm.ir.save_json(dispatched))
        workload = workload_id(dispatched)
        if workload in found:
            found[workload]["weight"] += int(task.weight)
            continue
        (folder / f"{workload}.json").write_text(text, encoding="utf-8")
        found[workload] = {
            "workload": workload,
            "family": family_id(dispatched),
            "name": str(task.task_name),
            "weight": int(task.weight),
            "trivial": is_trivial(dispatched),
        }
    return list(found.values())


def is_trivial(module: Any) -> bool:
    """Whether there is no decision worth a second trial: no block reduces, as in reshape, concatenate, relu."""
    is_spatial = importlib.import_module("tvm_ffi").get_global_func("s_tir.schedule.IsSpatialPrimFunc")
    return all(bool(is_spatial(function)) for _, function in module.functions_items())
