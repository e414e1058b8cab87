"""A line of an AutoTVM log, version 0.2. Source: tvm.autotvm.record, from TVM 0.7 on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sweep.analysis.old_logs.layer import layer_name
from sweep.analysis.old_logs.old_record import Malformed, OldRecord, hashed, plain_text, read_result

__all__ = ["VERSIONS", "autotvm_record"]

VERSIONS = (0.2,)


def autotvm_record(document: Mapping[str, Any]) -> OldRecord:
    """One trial. Raises Malformed."""
    version = document.get("version")
    if version not in VERSIONS:
        raise Malformed("is of a version of AutoTVM's log that is not known", allowed="0.2", value=version)
    given = document["input"]
    if not isinstance(given, list) or len(given) != 4 or not isinstance(given[2], list):
        allowed = "[target, task name, [argument, ...], {}]"
        raise Malformed("has an input that is not of AutoTVM", allowed=allowed, value=given)
    target, name, arguments, _ = given
    configuration = document["config"]
    knobs = configuration.get("entity") if isinstance(configuration, dict) else None
    if not isinstance(knobs, list):
        allowed = '{"entity": [[knob, kind, choice], ...]}'
        raise Malformed("has a configuration without its knobs", allowed=allowed, value=configuration)
    workload, layer = _workload(json.dumps([plain_text(name, "task name"), arguments], sort_keys=True))
    return OldRecord(
        tuner="autotvm",
        workload=workload,
        layer=layer,
        target=plain_text(target, "target"),
        configuration=hashed(knobs),
        result=read_result(document["result"]),
    )


@lru_cache(maxsize=4096)
def _workload(text: str) -> tuple[str, str]:
    """Id and layer. A log has few workloads, and thousands of lines of each."""
    name, arguments = json.loads(text)
    workload = hashed(["autotvm", name, arguments])
    return workload, plain_text(layer_name(name, arguments, workload), "text in its arguments")
