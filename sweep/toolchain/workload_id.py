"""The identity of a workload, and of the family that it belongs to.

A workload's is a hash of its program that does not depend on the names of its parameters. TVM's structural hash differs
between platforms (apache/tvm#14188), and the serialised form of a module depends on whether two equal numbers in it are
one object: the same matrix product of two versions of a model had two ids, and was tuned twice. So the program's own
text is hashed, with its parameters, whose names (`lv115`) come from the rest of the model, named by their position: the
same tensor program has the same id in whatever model, opt level or machine it occurs. Block names stay: schedule traces
refer to them.

Workloads are of one family when the block that does the work (TVM's anchor block) is the same in them: a convolution
alone, and with the bias and activation of another opt level.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import json
import re
from typing import Any

from sweep.toolchain.tvm_loader import load_tvm

__all__ = ["family_id", "names_block", "native_workload_id", "workload_id"]


def workload_id(module: Any) -> str:
    """16 hex for an IRModule with one function, `main`."""
    text = str(module.script())
    blocks = set(re.findall(r"sblock\(\"(.*?)\"\)", text))
    for position, parameter in enumerate(module["main"].params):
        if parameter.name not in blocks:
            text = re.sub(rf"\b{re.escape(parameter.name)}\b", f"parameter_{position}", text)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def native_workload_id(line: str) -> str | None:
    """The same of a workload's line in a native database; None for a damaged one."""
    load_tvm(())
    workload = importlib.import_module("tvm.s_tir.meta_schedule.database").Workload
    try:
        return workload_id(workload.from_json(json.loads(line)).mod)
    except (ValueError, TypeError, RuntimeError, LookupError):
        return None


def names_block(line: str, name: str) -> bool:
    """Whether a workload's line in a native database has a block of this name; a damaged one has none."""
    try:
        return json.dumps(name).encode() in base64.b64decode(json.loads(line)[1])
    except (ValueError, TypeError, LookupError):
        return False


def family_id(module: Any) -> str:
    """16 hex for an IRModule with one function: of its anchor block, or of all of it where it has none."""
    block = importlib.import_module("tvm.s_tir.analysis").find_anchor_sblock(module)
    if block is None:
        return workload_id(module)
    # The first line names the block. A buffer can have the block's name, and its own depends on what surrounds it.
    name, _, text = str(block).partition("\n")
    for position, buffer in enumerate(re.findall(r"^\s*(\w+) = T\.Buffer\(", text, re.MULTILINE)):
        text = re.sub(rf"\b{re.escape(buffer)}\b", f"buffer_{position}", text)
    return hashlib.sha256(f"{name}\n{text}".encode()).hexdigest()[:16]
