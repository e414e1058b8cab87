"""The built candidates of a pipeline: a file for each, of which a tuner keeps the best few of a workload."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

__all__ = ["SCRATCH", "Libraries", "remove_left"]

SCRATCH = "candidates-"
"""Begins the names of folders that go with whoever made them."""
_KEPT = 4
"""Libraries of a workload: the three that are measured again before one is chosen, and one to spare."""


class Libraries:
    """Files in a scratch folder, which is made with the first of them."""

    def __init__(self, home: Path) -> None:
        """`home`: where the folder is made."""
        self._home = home
        self._folder: Path | None = None
        self._made = 0
        self._kept: dict[str, list[tuple[float, str, Path]]] = {}

    def new(self) -> Path:
        """The path of one more candidate, where there is no file yet."""
        self._made += 1
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=self._home))
        return self._folder / f"{self._made}.so"

    def keep(self, workload: str, trace_hash: str, median_s: float | None, lib: Path) -> None:
        """Keep the library of a schedule that is among the best of its workload by now; what is not goes."""
        if median_s is None:
            lib.unlink(missing_ok=True)
            return
        kept = self._kept.setdefault(workload, [])
        kept.append((median_s, trace_hash, lib))
        kept.sort(key=lambda library: library[0])
        for _, _, dropped in kept[_KEPT:]:
            dropped.unlink(missing_ok=True)
        del kept[_KEPT:]

    def of(self, workload: str, trace_hash: str) -> Path | None:
        """The library of a schedule that was kept; None where it is gone."""
        return next((lib for _, known, lib in self._kept.get(workload, []) if known == trace_hash), None)

    def clear(self) -> None:
        """Remove all."""
        self._kept.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def remove_left(home: Path) -> None:
    """Remove the scratch folders that a killed process has left in `home`."""
    for left in home.glob(f"{SCRATCH}*"):
        shutil.rmtree(left, ignore_errors=True)
