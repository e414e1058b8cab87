"""What tests of recording share."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.record.mlflow.tracking_store import open_client


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite store with all its tables and nothing in it, to be copied: making one takes seconds."""
    database = tmp_path_factory.mktemp("empty") / "mlflow.db"
    client = open_client(f"sqlite:///{database}")
    client._tracking_client.store._dispose_engine()
    return database
