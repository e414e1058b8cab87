"""Imports a changed model through the real compile server, which lives as long as this process."""

from __future__ import annotations

import atexit
from functools import cache
from pathlib import Path

from sweep.errors import SweepError
from sweep.toolchain.compile_job import CompileJob
from sweep.toolchain.compile_workers.compile_pool import CompilePool

__all__ = ["import_of"]

IMPORT = CompileJob("sweep.toolchain.jobs:import_model", "ImportFailed")
_LIMIT_S = 40.0


@cache
def _pool() -> CompilePool:
    pool = CompilePool(slots=1)
    atexit.register(pool.close)
    return pool


def import_of(path: Path, folder: Path) -> str | None:
    """What is wrong with how it is imported: anything but a result or an error with a reason."""
    options = {"sha256": "0" * 64, "inputs": {}, "seed": 0, "batch": 1}
    hints = {
        "path": str(path),
        "name": path.stem,
        "source": path.name,
        "loader": "sweep.toolchain.models.onnx_loader:OnnxLoader",
    }
    future = _pool().submit(
        IMPORT.within(_LIMIT_S), {"options": options, "hints": hints, "out_dir": str(folder / "imported")}
    )
    try:
        future.result(timeout=2 * _LIMIT_S)
    except SweepError as error:
        if "unexpected " in str(error):
            return f"import: {str(error)[:300]}"
        return None if str(error).strip() else "import: fails without a reason"
    return None
