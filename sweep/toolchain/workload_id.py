"""The identity of a workload: a hash of its serialised module that does not depend on the names of its parameters.

TVM's structural hash differs between platforms (apache/tvm#14188), and the serialised text holds parameter names such
as `lv115`, which come
from the rest of the model. Here parameters are named by their position, so that the same tensor program has the same
id in whatever model, opt level or machine it occurs. Block names stay: schedule traces refer to them.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

__all__ = ["workload_id"]


def workload_id(module_json: str) -> str:
    """16 hex for a module as `tvm.ir.save_json` gives it."""
    graph = json.loads(module_json)
    nodes: list[dict[str, Any]] = graph["nodes"]
    blocks = {node["data"]["name_hint"] for node in nodes if node["type"].endswith("SBlock")}
    for node in nodes:
        if node["type"] != "tirx.PrimFunc":
            continue
        for position, parameter in enumerate(nodes[node["data"]["params"]]["data"]):
            name = nodes[parameter]["data"]["name"]
            if name not in blocks:
                nodes[name]["data"] = f"parameter {position}"
    text = json.dumps(nodes, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
