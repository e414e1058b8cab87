"""Building: a lowered module with its best tuning records becomes a shared library; one candidate becomes one quickly."""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from typing import Any

from sweep.errors import BuildFailed

__all__ = ["compile_candidate"]


def compile_candidate(module: Any, target: Any, out_path: Path) -> dict[str, Any]:
    """Compile one scheduled workload into a shared library for measurement. Returns {artifact_bytes, build_s}. Raises BuildFailed."""
    tvm = importlib.import_module("tvm")
    from tvm.s_tir.transform import RemoveWeightLayoutRewriteBlock

    start = time.perf_counter()
    try:
        with target, tvm.transform.PassContext(opt_level=3):
            library = tvm.compile(RemoveWeightLayoutRewriteBlock(skip_tensor_rewrite=True)(module), target)
            library.export_library(str(out_path))
    except Exception as error:
        raise BuildFailed(" ".join(str(error).split())[:400]) from error
    return {"artifact_bytes": out_path.stat().st_size, "build_s": time.perf_counter() - start}
