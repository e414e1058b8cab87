"""A line of an Ansor (auto_scheduler) log, versions v0.2 to v0.6. Source: its measure_record.cc.

The versions differ in how much of the task follows workload key and target: nothing, hardware parameters, host target,
layout-rewrite option, names of inputs. None of it is read: TVM too looked records up by key and target alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sweep.analysis.old_logs.layer import layer_name
from sweep.analysis.old_logs.old_record import Malformed, OldRecord, hashed, plain_text, read_result

__all__ = ["VERSIONS", "ansor_record"]

VERSIONS = ("v0.2", "v0.3", "v0.4", "v0.5", "v0.6")


def ansor_record(document: Mapping[str, Any]) -> OldRecord:
    """One trial. Raises Malformed."""
    version = document["v"]
    if version not in VERSIONS:
        raise Malformed(
            "is of a version of Ansor's log that is not known",
            allowed=f"{VERSIONS[0]} to {VERSIONS[-1]}",
            value=version,
        )
    match document["i"]:
        case [[key, target, *_], [_, [*steps]]]:
            pass
        case other:
            allowed = "[[workload key, target, ...], [[], [transform step, ...]]]"
            raise Malformed("has an input that is not of Ansor", allowed=allowed, value=other)
    workload, layer = _workload(plain_text(key, "workload key"))
    return OldRecord(
        tuner="ansor",
        workload=workload,
        layer=layer,
        target=plain_text(target, "target"),
        configuration=hashed(steps),
        result=read_result(document["r"]),
    )


@lru_cache(maxsize=4096)
def _workload(key: str) -> tuple[str, str]:
    """Id and layer. A key is JSON with a function's name, or the hash of a subgraph, before the arguments."""
    try:
        content = json.loads(key)
    except (ValueError, RecursionError):
        content = key
    workload = hashed(["ansor", content])
    match content:
        case [str(name), *arguments]:
            layer = layer_name(name, arguments, workload)
        case _:
            layer = layer_name(key, [], workload)
    return workload, plain_text(layer, "text in its workload key")
