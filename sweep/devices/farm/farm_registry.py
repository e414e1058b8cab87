"""The folder in which running farms are announced, so that `sweep farm status` finds the farm of a cluster file.

Each farm has one file there, named by its state directory. The next reader removes the file of a run that was killed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sweep.devices.farm.farm_state import STATE_FILE, supervisor_in
from sweep.devices.processes import is_alive
from sweep.files.atomic import write_text
from sweep.files.typed_json import as_type, parsed

__all__ = ["announced", "farms_announced"]


@contextmanager
def announced(folder: Path, cluster_file: Path, state_dir: Path) -> Iterator[None]:
    """Tell of a farm for the time of the block, and not of one that is not up."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{hashlib.sha256(str(state_dir.resolve()).encode()).hexdigest()[:16]}.json"
    write_text(path, json.dumps({"cluster": str(cluster_file.resolve()), "state_dir": str(state_dir.resolve())}))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def farms_announced(folder: Path, cluster_file: Path) -> list[Path]:
    """State directories of the farms that runs of this cluster file have up."""
    state_dirs = []
    for path in sorted(folder.glob("*.json")):
        try:
            announcement = as_type(dict[str, str], parsed(path.read_bytes()))
            state_dir = Path(announcement["state_dir"])
            supervisor = supervisor_in(state_dir / STATE_FILE)
            if supervisor is None or not is_alive(supervisor) or "cluster" not in announcement:
                raise FileNotFoundError(state_dir)
        except (OSError, ValueError, KeyError):
            path.unlink(missing_ok=True)
            continue
        if announcement["cluster"] == str(cluster_file.resolve()):
            state_dirs.append(state_dir)
    return state_dirs
