"""The best cells of a sweep once more, in finals with nothing beside them: what their ratio is undisturbed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["finals_in_quiet"]


def finals_in_quiet(sweep_dir: Path, again: Path, study: Path, cluster: Path) -> Path:
    """Copy a sweep as it was before its finals, and let it go on: the same libraries, compared anew.

    Raises RuntimeError where it had none, or does not end well.
    """
    shutil.rmtree(again, ignore_errors=True)
    shutil.copytree(sweep_dir, again, symlinks=True)
    ledger = again / "ledger.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    cut = next((number for number, line in enumerate(lines) if b'"event":"final_started"' in line), None)
    if cut is None:
        raise RuntimeError(f"{sweep_dir}: has held no final")
    ledger.write_bytes(b"".join(lines[:cut]))
    command = [sys.executable, "-m", "sweep", "run", str(study), "--cluster", str(cluster), "--out", str(again)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"{again}: exit {ended.returncode}\n{ended.stderr[-2000:]}")
    return again
