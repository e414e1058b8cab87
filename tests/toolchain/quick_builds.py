"""Builds in this process for tests of what TVM is given, not of what LLVM makes of it: a fifth of the work."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

__all__ = ["machine_of", "quick"]


def quick(target: dict[str, Any]) -> dict[str, Any]:
    """A target whose code LLVM does not improve. Sweeps and tests of builds have the usual level, and check outputs."""
    return {**target, "opt-level": 0}


def machine_of(module: Any, target: Any) -> Any:
    """A virtual machine of a lowered Relax module.

    By way of a library: for one in memory LLVM compiles a second time, with all its passes, whatever the target says.
    """
    import tvm
    from tvm import relax

    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "lib.so"
        relax.build(module, target).export_library(str(library))
        return relax.VirtualMachine(tvm.runtime.load_module(str(library)), tvm.cpu())
