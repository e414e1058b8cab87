"""Starting Ray here, or joining a cluster.

Ray of its own accord listens on all interfaces and keeps its token in the home directory. The embedded one is held to
loopback, keeps token authentication on, and has everything it writes in one folder that goes away with it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import filelock

from sweep.engine.ray.lean_start import lean_start
from sweep.engine.ray.starting import StartingThread
from sweep.engine.ray.strays import end_strays
from sweep.engine.ray.worker_environment import given_to_what_starts, worker_environment
from sweep.errors import EngineError, StudyError, end_of_process, in_one_line
from sweep.files.private_folder import our_folders, private_folder
from sweep.installation import import_path

__all__ = ["RaySession"]

_OBJECT_STORE_BYTES = 128 * 2**20  # candidates are 50 kB of JSON; the large things travel as files
_QUIET = {"logging_level": logging.ERROR, "log_to_driver": False}

_TRIES = 2
"""One of its processes may be killed, or be too slow, while it comes up."""

_PATIENCE = {
    "RAY_gcs_rpc_server_reconnect_timeout_s": "86400",
    "RAY_health_check_failure_threshold": "1000",
}
"""Ray's own are a minute, after which it ends this very process, and 65 s: a machine that swaps, or a person, stops its
processes for longer. Whether they live is looked up by pid (`why_gone`)."""

_PREFIX = "sweep-ray-"
_TOKEN_PATH = "RAY_AUTH_TOKEN_PATH"
_TOKEN, _LOCK = "token", "lock"
"""Held by the driver in its folder for as long as it lives."""
_TEMP_DIR_CHARS = 40
"""Ray's Unix sockets lie 65 characters below its folder, and a socket's path has at most 107."""
_SHARED_MEMORY = Path("/dev/shm")


class RaySession:
    """A connection to Ray, embedded or not. One at a time in a process, any number one after the other."""

    def __init__(
        self, address: str | None, num_cpus: int, resources: Mapping[str, float], *, metrics_port: int | None = None
    ) -> None:
        """Join the cluster at `address`, or start one with `num_cpus` and `resources`, and its metrics on a port.

        Raises:
            StudyError: there is no cluster at `address`.
            EngineError: Ray cannot be started or joined.
        """
        self._address, self._num_cpus, self._resources = address, num_cpus, resources
        self._metrics_port = metrics_port
        self._temp: Path | None = None
        self._vital: list[tuple[str, subprocess.Popen[bytes]]] = []
        """Processes without which an embedded Ray is none."""
        self._starting: StartingThread | None = None
        self._lock: filelock.FileLock | None = None
        self._before: dict[str, str | None] = {}
        self._is_ours = False
        self._open()

    def _open(self) -> None:
        address = self._address
        where = f"Ray at {address}" if address else "Ray"
        try:
            if address is None:
                self._start_embedded()
            else:
                self._join(address)
        except KeyboardInterrupt:
            self.close()
            raise
        except Exception as error:  # Ray's own where a node is not up within 30 s, as on a loaded machine, has no class
            self.close()
            said = in_one_line(error)
            if address is not None and isinstance(error, ConnectionError):
                raise StudyError(said, key="ray.address", value=address, allowed="a cluster that is up") from error
            raise EngineError(f"{where} cannot be used: {said}") from error

    def _start_embedded(self) -> None:
        for tries_left in reversed(range(_TRIES)):
            try:
                self._start(self._num_cpus, self._resources, self._metrics_port)
                return
            except Exception:
                self.close()
                if not tries_left:
                    raise

    def _start(self, num_cpus: int, resources: Mapping[str, float], metrics_port: int | None) -> None:
        import ray

        _check_shared_memory()
        self._take_over()
        _remove_abandoned()
        self._temp = _temp_dir()
        self._lock = filelock.FileLock(self._temp / _LOCK)
        self._lock.acquire()
        token = self._temp / _TOKEN
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(32), encoding="ascii")
        self._set(
            RAY_AUTH_MODE="token",
            **{_TOKEN_PATH: str(token)},
            RAY_AUTH_TOKEN=None,  # would go before the file
            RAY_USAGE_STATS_ENABLED="0",
            PYTHONPATH=import_path(),
            PYTHONSAFEPATH="1",  # Ray starts some of its processes with `-m`
            RAY_worker_niceness="0",  # Ray's 15 starves search and builds as soon as anything else runs on their cores
            # Despite its name: without it Ray replaces 127.0.0.1 by the host's address and listens there
            RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0",
            **_PATIENCE,
        )
        _read_settings_again(only_loopback=True)
        options = dict(
            address="local",
            num_cpus=num_cpus,
            num_gpus=0,
            resources=dict(resources),
            object_store_memory=_OBJECT_STORE_BYTES,
            include_dashboard=False,
            _metrics_export_port=metrics_port,
            _temp_dir=str(self._temp / "r"),  # Ray opens its folder to everybody, the one around it is ours alone
            _node_ip_address="127.0.0.1",
            namespace=_namespace(),
            job_config=_job_config(),
            **_QUIET,
        )
        with lean_start(), given_to_what_starts(self.worker_environment):
            self._starting = StartingThread(lambda: ray.init(**options), (_TOKEN_PATH, str(token)))
            self._starting.wait()
        self._vital = _vital_processes()

    def why_gone(self) -> str | None:
        """What has become of an embedded Ray that is none any more; None while it is well, and for a cluster's."""
        for name, process in self._vital:
            if (code := process.poll()) is not None:
                return f"Ray's {name} ended ({end_of_process(code)})"
        return None

    def restart(self) -> None:
        """Leave what is left of Ray, and start or join it again. Raises as the constructor does."""
        self.close()
        self._open()

    @property
    def is_embedded(self) -> bool:
        """Whether Ray was started here, on this one node."""
        return self._temp is not None

    @property
    def worker_environment(self) -> dict[str, str]:
        """Variables of the processes that actors are in."""
        return worker_environment(self.temp_dir)

    @property
    def temp_dir(self) -> Path | None:
        """For temporary files of workers, until the session closes; None on a cluster that was there before."""
        if self._temp is None:
            return None
        folder = self._temp / "tmp"
        folder.mkdir(exist_ok=True)
        return folder

    def _join(self, address: str) -> None:
        import ray

        self._take_over()
        self._set(RAY_USAGE_STATS_ENABLED="0")
        ray.init(address=address, namespace=_namespace(), job_config=_job_config(), **_QUIET)

    def close(self) -> None:
        """Leave; stop Ray, with all that it has started, and remove its folder if it was started here."""
        self._vital = []
        if self._is_ours:
            import ray

            ray.shutdown()
            _forget_gcs()
            self._is_ours = False
        if self._starting is not None:
            self._starting.end()
            self._starting = None
        self._set(**self._before)
        self._before.clear()
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        if self._temp is not None:
            end_strays(_TOKEN_PATH, str(self._temp / _TOKEN))
            shutil.rmtree(self._temp, ignore_errors=True)
            self._temp = None
            _read_settings_again(only_loopback=False)

    def _take_over(self) -> None:
        import ray

        if ray.is_initialized():
            raise RuntimeError("this process has a connection to Ray already: ray.shutdown() ends it")
        self._is_ours = True

    def _set(self, **settings: str | None) -> None:
        for name, value in settings.items():
            self._before.setdefault(name, os.environ.get(name))
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _vital_processes() -> list[tuple[str, subprocess.Popen[bytes]]]:
    """Of the node that this process has started. A raylet ends with its agents."""
    from ray._private import worker

    started = worker._global_node.all_processes
    return [(name, one.process) for name in ("gcs_server", "raylet") for one in started.get(name, [])]


def _read_settings_again(only_loopback: bool) -> None:
    """Ray reads its settings when it is imported, maybe long ago by somebody else, and keeps a token once read."""
    from ray._private import ray_constants

    ray_constants.ENABLE_RAY_CLUSTER = not only_loopback
    with contextlib.suppress(ImportError):  # a Ray from before there were tokens
        from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

        Config.initialize("")
        AuthenticationTokenLoader.instance().reset_cache()


def _forget_gcs() -> None:
    """Ray keeps its client of a GCS that was killed before it was up, and asks that one while it comes up again."""
    from ray.experimental import internal_kv

    internal_kv._internal_kv_reset()


def _check_shared_memory() -> None:
    """Raises EngineError where Ray would try for half a minute, and say that it timed out."""
    if _SHARED_MEMORY.is_dir() and not os.access(_SHARED_MEMORY, os.W_OK):
        raise EngineError(f"{_SHARED_MEMORY} cannot be written, and Ray keeps its objects there")


def _temp_dir() -> Path:
    usual = tempfile.gettempdir()
    is_short = len(f"{usual}/{_PREFIX}{os.getpid()}-12345678/r") <= _TEMP_DIR_CHARS
    return private_folder(f"{_PREFIX}{os.getpid()}-", Path(usual if is_short else "/tmp"))


def _remove_abandoned() -> None:
    """Folders of this user's drivers that were killed: nobody else knows of them. Another user's may be a trap."""
    for folder in {Path(tempfile.gettempdir()), Path("/tmp")}:
        for found in our_folders(folder, _PREFIX):
            owner = re.fullmatch(rf"{_PREFIX}(\d+)-\w+", found.name)
            if owner is None or Path(f"/proc/{owner[1]}").exists():
                continue
            # A driver in another container, whose processes cannot be seen from here, still has its lock
            with contextlib.suppress(filelock.Timeout, OSError), filelock.FileLock(found / _LOCK, timeout=0):
                # Agents of Ray wait a day for a GCS that was killed with its driver
                end_strays(_TOKEN_PATH, str(found / _TOKEN))
                shutil.rmtree(found, ignore_errors=True)


class _Folders(list[str]):
    """Folders of the driver that Ray puts before all else on its workers' import path, but for the working folder: a
    person's own `tvm.py` there would be imported for TVM. It comes last (`sweep.engine.ray`).
    """

    def extend(self, folders: Iterable[str]) -> None:
        super().extend(folder for folder in folders if Path(folder) != Path.cwd())


def _job_config() -> Any:
    from ray.job_config import JobConfig

    config = JobConfig()
    config._py_driver_sys_path = _Folders()
    return config


def _namespace() -> str:
    """Names of actors are unique in it, also on a cluster that others use."""
    return f"sweep-{secrets.token_hex(8)}"
