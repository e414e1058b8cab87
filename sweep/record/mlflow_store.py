"""Reaching an MLflow store without its side effects: no telemetry, no noise, no global tracking URI, no ./mlruns.

`mlflow` is imported here inside functions: it costs over a second, and most commands never need it.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sweep.errors import RecordError

__all__ = ["embedded_store", "open_client", "translated", "ui_command", "ui_environment"]

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # The client retries a server that is away for minutes by default; a sweep must not stand still for its mirror.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


def embedded_store(sweep_dir: Path) -> tuple[str, str]:
    """Tracking URI and artifact root of a sweep's own store, both inside its directory."""
    home = sweep_dir.resolve()
    return f"sqlite:///{home / 'mlflow.db'}", (home / "mlartifacts").as_uri()


def open_client(tracking_uri: str) -> Any:
    """An `mlflow.MlflowClient` on this store; a SQLite one is created where it is missing. Raises RecordError."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with translated(tracking_uri), _quiet():
        from mlflow.tracking.client import MlflowClient

        client = MlflowClient(tracking_uri, registry_uri=tracking_uri)
        if _is_new(tracking_uri):
            # An empty experiment that MLflow makes by itself would be the first thing a person sees in the UI.
            client.search_experiments(max_results=1)
            client.delete_experiment("0")
        return client


@contextmanager
def translated(tracking_uri: str) -> Iterator[None]:
    """Turn what MLflow, its database or the network raise into RecordError."""
    try:
        yield
    except RecordError:
        raise
    except Exception as error:
        # By module: naming the classes would take an import of all three libraries.
        if isinstance(error, OSError) or type(error).__module__.split(".")[0] in ("mlflow", "sqlalchemy", "requests"):
            raise RecordError(f"MLflow store {tracking_uri}: {_first_line(error)}") from error
        raise


def ui_command(sweep_dir: Path, *, port: int = 5000, tracking_uri: str | None = None) -> list[str]:
    """Command line that serves MLflow's UI on a sweep's own store, on loopback. Run it with `ui_environment()`."""
    embedded_uri, artifact_root = embedded_store(sweep_dir)
    options = {
        "--backend-store-uri": tracking_uri or embedded_uri,
        "--default-artifact-root": artifact_root,
        "--host": "127.0.0.1",
        "--port": str(port),
        "--workers": "1",
    }
    words = [word for option in options.items() for word in option]
    return [sys.executable, "-m", "mlflow", "server", *words, "--no-serve-artifacts"]


def ui_environment() -> Mapping[str, str]:
    """Environment for `ui_command`: no telemetry, and none of the server's background workers."""
    return {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the messages about tables being created and migrated."""
    loggers = [logging.getLogger(name) for name in ("mlflow.store.db.utils", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _is_new(tracking_uri: str) -> bool:
    return tracking_uri.startswith("sqlite:///") and not Path(tracking_uri.removeprefix("sqlite:///")).exists()


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"
