"""Real servers of MLflow and PostgreSQL on free loopback ports, ended by their own pids."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sweep.record.mlflow.tracking_store import ui_environment

LIMIT_S = 300.0
"""For what takes seconds on an idle machine."""


class TrackingServer:
    """`mlflow server` on a SQLite store; can be stopped and started again at the same port."""

    def __init__(self, database: Path) -> None:
        self.database, self.port = database, free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = {
            "--backend-store-uri": f"sqlite:///{self.database}",
            "--artifacts-destination": str(self.database.with_name("artifacts")),
            "--host": "127.0.0.1",
            "--port": str(self.port),
            "--workers": "1",
        }
        command = [sys.executable, "-m", "mlflow", "server", *(word for pair in options.items() for word in pair)]
        log = self.database.with_name("server.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                command, env=ui_environment(), start_new_session=True, stdout=log, stderr=log
            )
        wait_for(self._answers)

    def stop(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.database.with_name("server.log").read_text()
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """The URI of an empty database in a server of its own; skips where there is no PostgreSQL."""
    programs = _postgresql_programs()
    owner = _unprivileged()
    folder.chmod(0o755)
    data = folder / "data"
    data.mkdir()
    if owner is not None:
        os.chown(data, owner.pw_uid, owner.pw_gid)
        for parent in folder.parents:  # pytest's own folders are closed to others
            if not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o011)
    as_owner = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if owner is not None else {}
    begin = [programs / "initdb", "-D", data, "-U", "sweep", "--auth=trust", "--no-sync"]
    subprocess.run(begin, check=True, capture_output=True, cwd=data, **as_owner)
    port = free_port()
    server = subprocess.Popen(
        [programs / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", data],
        cwd=data,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **as_owner,
    )
    try:
        uri = f"postgresql://sweep:secret@127.0.0.1:{port}/postgres"
        wait_for(lambda: _takes_connections(uri))
        yield uri
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()


def _takes_connections(uri: str) -> bool:
    import psycopg

    try:
        psycopg.connect(uri).close()
        return True
    except psycopg.OperationalError:
        return False


def _postgresql_programs() -> Path:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    on_path = shutil.which("postgres")
    for folder in [*folders, *([Path(on_path).resolve().parent] if on_path else [])]:
        if all((folder / name).exists() for name in ("initdb", "postgres")):
            return folder
    pytest.skip("no PostgreSQL server here: neither on PATH nor in /usr/lib/postgresql")


def _unprivileged() -> pwd.struct_passwd | None:
    """Whom the server runs as: PostgreSQL refuses to be root."""
    return None if os.getuid() else pwd.getpwnam("nobody")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < deadline, "not within the limit"
        time.sleep(0.05)
