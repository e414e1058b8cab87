"""A sweep's own MLflow store that is damaged is set aside: the ledger has all that it held."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sweep.record.mlflow.damaged_store import set_damaged_aside


def make_store(folder: Path) -> Path:
    path = folder / "mlflow.db"
    with closing(sqlite3.connect(path)) as store, store:
        store.execute("CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY, name TEXT UNIQUE)")
        store.executemany(
            "INSERT INTO experiments VALUES (?, ?)", [(number, f"name {number}") for number in range(999)]
        )
    return path


def test_a_whole_one_stays(tmp_path: Path) -> None:
    assert set_damaged_aside(tmp_path) is None
    path = make_store(tmp_path)
    assert set_damaged_aside(tmp_path) is None
    assert path.exists()


@pytest.mark.parametrize("how", ["no database", "zeros in the middle", "cut", "another's"])
def test_a_damaged_one_makes_room(tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture) -> None:
    path = make_store(tmp_path)
    data = path.read_bytes()
    middle = len(data) // 2 // 4096 * 4096
    path.write_bytes(
        {
            "no database": b"\xff" * 9_000,
            "zeros in the middle": data[:middle] + bytes(4096) + data[middle + 4096 :],
            "cut": data[: 4096 * 2],
            "another's": b"",
        }[how]
    )
    path.with_name("mlflow.db-wal").write_bytes(b"")
    aside = set_damaged_aside(tmp_path)
    assert aside == tmp_path / "mlflow.db.damaged-1"
    assert not path.exists()
    assert f"{path}: is damaged" in caplog.text
    assert "mirrored anew" in caplog.text
    path.write_bytes(b"x" * 5_000)
    assert set_damaged_aside(tmp_path) == tmp_path / "mlflow.db.damaged-2"
