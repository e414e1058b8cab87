"""Reaching an MLflow store without its side effects: no telemetry, no noise, no global tracking URI, no ./mlruns.

`mlflow` is imported here inside functions: it costs over a second, and most commands never need it.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from sweep.errors import RecordError
from sweep.files.atomic import replacing
from sweep.files.confined import OutsideFolder, relative
from sweep.files.sweep_dir import SweepDir
from sweep.installation import child_environment, python_command
from sweep.record.mlflow.scratch import scratch
from sweep.redaction import redacted_about, redacted_uri

__all__ = [
    "bring_home",
    "embedded_store",
    "experiment_of",
    "home_of",
    "open_client",
    "open_experiment",
    "settle",
    "translated",
    "ui_command",
    "ui_environment",
]

_SQLITE = "sqlite:///"
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # The client would send a call again whose answer was lost, and the server would make a second run: whoever writes
    # tries again by itself, and looks first at what is there.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # tqdm's, on standard error, where that is installed
}


_PLACES = (
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("experiments", "artifact_location"),  # last: by it the former place is known
)
"""Where MLflow keeps whole paths of artifacts."""


def embedded_store(sweep_dir: Path) -> tuple[str, str]:
    """Tracking URI and artifact root of a sweep's own store, both inside its directory."""
    home = SweepDir(sweep_dir.resolve())
    return _sqlite_uri(home.mlflow_database), home.mlflow_artifacts.as_uri()


def home_of(tracking_uri: str, sweep_dir: Path) -> str | None:
    """Where the artifacts lie that go with a store: beside the sweep for a database, the server's own business else."""
    is_server = tracking_uri.startswith(("http:", "https:")) or "://" not in tracking_uri
    return None if is_server else SweepDir(sweep_dir.resolve()).mlflow_artifacts.as_uri()


def open_client(tracking_uri: str) -> Any:
    """An `mlflow.MlflowClient` on this store; a SQLite one is created where it is missing. Raises RecordError."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with translated(tracking_uri), _quiet():
        from mlflow.tracking.client import MlflowClient

        path = _sqlite_path(tracking_uri)
        if path is not None and not path.exists():
            _create_sqlite(path)
        if tracking_uri.startswith(("http:", "https:")):
            from sweep.record.mlflow.http import acknowledge_at_once

            acknowledge_at_once()
        return MlflowClient(tracking_uri, registry_uri=tracking_uri)


def open_experiment(
    client: Any, name: str, artifact_root: str | None, tags: Mapping[str, str], own: tuple[str, ...] = ()
) -> str:
    """Id of an experiment; one that is not there is made, one that was deleted is restored.

    artifact_root: where a new one's artifacts lie; None: where the store's server keeps them. tags: those that it lacks
    are set, and those whose key begins with one of `own` brought up to date; the others may be a person's.
    """
    existing = client.get_experiment_by_name(name)
    if existing is None:
        return str(client.create_experiment(name, artifact_location=artifact_root, tags=dict(tags)))
    if existing.lifecycle_stage != "active":
        client.restore_experiment(existing.experiment_id)
    for key, value in tags.items():
        if key not in existing.tags or (key.startswith(own) and existing.tags[key] != value):
            client.set_experiment_tag(existing.experiment_id, key, value)
    return str(existing.experiment_id)


def bring_home(tracking_uri: str, artifact_root: str) -> None:
    """Point a SQLite store that moved, or was copied, with its sweep directory to the artifacts that lie there now.

    MLflow keeps the whole path, and would go on writing at the former place. Raises RecordError for a store, which may
    have come with the folder, that has artifacts anywhere else.
    """
    path = _sqlite_path(tracking_uri)
    if path is None or not path.exists():
        return
    with translated(tracking_uri), closing(sqlite3.connect(path)) as connection, connection:
        question = "SELECT artifact_location FROM experiments WHERE artifact_location LIKE ? AND artifact_location != ?"
        elsewhere = connection.execute(
            question, (f"%/{SweepDir(Path()).mlflow_artifacts.name}", artifact_root)
        ).fetchall()
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for (former,) in elsewhere:
            for table, column in _PLACES:
                if table in tables:
                    connection.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                        (artifact_root, len(former) + 1, len(former), former),
                    )
        asked = _LOCATIONS + (_LOCATIONS_OF_MODELS if "logged_models" in tables else "")
        for (location,) in connection.execute(asked):
            if not _is_below(location, artifact_root):
                raise RecordError(
                    f"{path} has artifacts at {location!r}, outside its sweep directory: delete it, and `sweep mirror` "
                    "makes it anew"
                )


_LOCATIONS = """
SELECT artifact_location FROM experiments WHERE lifecycle_stage = 'active'
UNION SELECT artifact_uri FROM runs WHERE lifecycle_stage = 'active'
"""
_LOCATIONS_OF_MODELS = """
UNION SELECT artifact_location FROM logged_models WHERE lifecycle_stage = 'active'
UNION SELECT coalesce(storage_location, source) FROM model_versions WHERE current_stage != 'Deleted_Internal'
"""


def _is_below(location: object, artifact_root: str) -> bool:
    if location == artifact_root:
        return True
    if not isinstance(location, str) or not location.startswith(f"{artifact_root}/"):
        return False
    try:
        relative(unquote(location.removeprefix(f"{artifact_root}/")))
    except OutsideFolder:
        return False
    return True


def settle(tracking_uri: str) -> None:
    """Leave a SQLite store as one whole file, that can be copied; nothing for another store."""
    path = _sqlite_path(tracking_uri)
    if path is not None and path.exists():
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def translated(tracking_uri: str) -> Iterator[None]:
    """Turn what MLflow, its database or the network raise into RecordError."""
    try:
        yield
    except RecordError:
        raise
    except Exception as error:
        # By module: naming the classes would take an import of all three libraries.
        if isinstance(error, OSError) or type(error).__module__.split(".")[0] in (
            "mlflow",
            "sqlalchemy",
            "sqlite3",
            "psycopg",
            "requests",
        ):
            said = redacted_about(_first_line(error), tracking_uri)
            raise RecordError(f"MLflow store {redacted_uri(tracking_uri)}: {said}") from error
        raise


def ui_command(sweep_dir: Path, *, port: int = 5000) -> list[str]:
    """Command line that serves MLflow's UI on a sweep's own store, on loopback. Run it with `ui_environment()`."""
    embedded_uri, artifact_root = embedded_store(sweep_dir)
    options = {
        "--backend-store-uri": embedded_uri,
        "--default-artifact-root": artifact_root,
        "--host": "127.0.0.1",
        "--port": str(port),
        "--workers": "1",
    }
    words = [word for option in options.items() for word in option]
    return [*python_command("sweep.record.mlflow.own_server"), "server", *words, "--no-serve-artifacts"]


def experiment_of(sweep_dir: Path, study: str) -> str | None:
    """Id of a study's experiment in the sweep's own store, read without loading MLflow; None where it is not there."""
    path = SweepDir(sweep_dir).mlflow_database
    if not path.is_file():
        return None
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as store:
        for (experiment,) in store.execute("SELECT experiment_id FROM experiments WHERE name = ?", (study,)):
            return str(experiment)
    return None


def ui_environment() -> Mapping[str, str]:
    """Environment for `ui_command`: no telemetry, and none of the server's background workers."""
    settings = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    return child_environment(**settings)


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


def _sqlite_path(tracking_uri: str) -> Path | None:
    if not tracking_uri.startswith(_SQLITE):
        return None
    return Path(unquote(tracking_uri.removeprefix(_SQLITE).partition("?")[0]))


def _sqlite_uri(path: Path) -> str:
    """SQLAlchemy takes what follows a question mark for options, and a percent sign for the beginning of a code."""
    return _SQLITE + str(path).replace("%", "%25").replace("?", "%3F")


def _create_sqlite(path: Path) -> None:
    """Make the tables in memory and move them here: a hundred commits, seconds to half a minute on a busy disk."""
    from mlflow.tracking.client import MlflowClient

    path.parent.mkdir(parents=True, exist_ok=True)
    with scratch() as folder:
        made = folder / path.name
        # MLflow makes an empty experiment by itself, which would be the first thing a person sees in the UI.
        MlflowClient(_sqlite_uri(made)).delete_experiment("0")
        with replacing(path) as partial:
            shutil.copyfile(made, partial)
            if not _is_on_network(path.parent):
                # One flush a commit in place of three, and the UI can read while a sweep writes; needs shared memory.
                with closing(sqlite3.connect(partial)) as connection:
                    connection.execute("PRAGMA journal_mode=WAL")


def _is_on_network(folder: Path) -> bool:
    import psutil

    home = folder.resolve()
    holding = [partition for partition in psutil.disk_partitions(all=True) if home.is_relative_to(partition.mountpoint)]
    kind = max(holding, key=lambda partition: len(partition.mountpoint)).fstype if holding else ""
    return kind.startswith(("nfs", "cifs", "smb", "lustre", "fuse", "9p", "ceph", "gpfs", "beegfs"))


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"
