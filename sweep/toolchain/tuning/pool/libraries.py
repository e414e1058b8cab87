"""The built candidates of a pool: a file for each, of which the best few of a workload stay for their re-validation."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweep.toolchain.tuning.records.trial_logs import Trial

__all__ = ["Libraries", "new_folder", "remove_left"]

_PREFIX = "candidates-"
_KEPT = 4
"""Of a workload."""


class Libraries:
    """In a folder that is made with the first one."""

    def __init__(self, home: Path) -> None:
        """`home`: where the folder is made."""
        self._home = home
        self._folder: Path | None = None
        self._made = 0
        self._kept: dict[str, list[tuple[float, str, Path]]] = {}

    def new(self) -> Path:
        """A file for one more candidate, which is not there yet."""
        self._made += 1
        if self._folder is None:
            self._folder = new_folder(self._home)
        return self._folder / f"{self._made}.so"

    def keep(self, trial: Trial, lib: Path) -> None:
        """Keep a trial's library if it is among the best of its workload by now; what is not goes."""
        median_s = trial.median_s
        if median_s is None:
            lib.unlink(missing_ok=True)
            return
        kept = self._kept.setdefault(trial.workload, [])
        kept.append((median_s, trial.trace_hash, lib))
        kept.sort(key=lambda one: one[0])
        for _, _, dropped in kept[_KEPT:]:
            dropped.unlink(missing_ok=True)
        del kept[_KEPT:]

    def of(self, workload: str, trace_hash: str) -> Path | None:
        """The library of a schedule that is among the best of its workload, if it was built by this pool."""
        return next((lib for _, known, lib in self._kept.get(workload, []) if known == trace_hash), None)

    def clear(self) -> None:
        """Remove all."""
        self._kept.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def new_folder(home: Path) -> Path:
    """For candidates' libraries; `remove_left` knows it by its name."""
    return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=home))


def remove_left(home: Path) -> None:
    """Remove the folders that a killed process has left."""
    for left in home.glob(f"{_PREFIX}*"):
        shutil.rmtree(left, ignore_errors=True)
