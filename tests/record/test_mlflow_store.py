"""Making a store, and what is left of one that was killed."""

from __future__ import annotations

from pathlib import Path

import filelock
import pytest

from sweep.record import mlflow_store
from sweep.record.mlflow_store import open_client

pytestmark = [pytest.mark.integration, pytest.mark.mlflow]


def test_what_a_killed_one_left_in_memory_goes_and_what_another_makes_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "memory"
    for name in ("left", "at-work"):
        (memory / f"sweep-mlflow-{name}").mkdir(parents=True)
        (memory / f"sweep-mlflow-{name}" / "lock").touch()
    monkeypatch.setattr(mlflow_store, "_MEMORY", memory)

    with filelock.FileLock(memory / "sweep-mlflow-at-work" / "lock"):
        open_client(f"sqlite:///{tmp_path}/mlflow.db")

    assert (tmp_path / "mlflow.db").is_file()
    assert [path.name for path in memory.iterdir()] == ["sweep-mlflow-at-work"]
