"""The identity of a workload: a hash of its program that does not depend on the names of its parameters.

TVM's structural hash differs between platforms (apache/tvm#14188), and the serialised form of a module depends on
whether two equal numbers in it are one object: the same matrix product of two versions of a model had two ids, and was
tuned twice. So the program's own text is hashed, with its parameters, whose names (`lv115`) come from the rest of the
model, named by their position: the same tensor program has the same id in whatever model, opt level or machine it
occurs. Block names stay: schedule traces refer to them.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

__all__ = ["workload_id"]


def workload_id(module: Any) -> str:
    """16 hex for an IRModule with one function, `main`."""
    text = str(module.script())
    blocks = set(re.findall(r"sblock\(\"(.*?)\"\)", text))
    for position, parameter in enumerate(module["main"].params):
        if parameter.name not in blocks:
            text = re.sub(rf"\b{re.escape(parameter.name)}\b", f"parameter_{position}", text)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
