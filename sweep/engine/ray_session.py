"""Starting Ray here, or joining a cluster. Runs before the first `import ray` of the process, which reads its settings.

Ray of its own accord listens on all interfaces and keeps its token in the home directory. The embedded one is held to
loopback, keeps token authentication on, and has everything it writes in one folder that goes away with it.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sweep.errors import EngineError

__all__ = ["RaySession"]

_OBJECT_STORE_BYTES = 128 * 2**20  # candidates are 50 kB of JSON; the large things travel as files
_QUIET = {"logging_level": logging.ERROR, "log_to_driver": False}


class RaySession:
    """A connection to Ray, embedded or not."""

    def __init__(self, address: str | None, num_cpus: int, resources: Mapping[str, float]) -> None:
        """Join the cluster at `address`, or start one with `num_cpus` and `resources`.

        Raises:
            EngineError: Ray cannot be started or reached.
        """
        self._temp: Path | None = None
        self._environment = dict(os.environ)
        try:
            if address is None:
                self._start(num_cpus, resources)
            else:
                self._join(address)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            self.close()
            where = f"Ray at {address}" if address else "Ray"
            raise EngineError(f"{where} cannot be used: {' '.join(str(error).split())[:300]}") from error

    def _start(self, num_cpus: int, resources: Mapping[str, float]) -> None:
        # Ray's Unix sockets must have short paths, so this folder cannot lie in the sweep directory
        self._temp = Path(tempfile.mkdtemp(prefix="sweep-ray-"))
        token = self._temp / "token"
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(32), encoding="ascii")
        os.environ.update(
            {
                "RAY_AUTH_MODE": "token",
                "RAY_AUTH_TOKEN_PATH": str(token),
                "RAY_USAGE_STATS_ENABLED": "0",
                # Despite its name: without it Ray replaces 127.0.0.1 by the host's address and listens there
                "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            }
        )
        import ray

        ray.init(
            address="local",
            num_cpus=num_cpus,
            num_gpus=0,
            resources=dict(resources),
            object_store_memory=_OBJECT_STORE_BYTES,
            include_dashboard=False,
            _temp_dir=str(self._temp),
            _node_ip_address="127.0.0.1",
            namespace=_namespace(),
            **_QUIET,
        )

    def _join(self, address: str) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        import ray

        ray.init(address=address, namespace=_namespace(), **_QUIET)

    def close(self) -> None:
        """Leave; stop Ray and remove its folder if it was started here."""
        import ray

        ray.shutdown()
        if self._temp is not None:
            shutil.rmtree(self._temp, ignore_errors=True)
            self._temp = None
        for name in set(os.environ) - set(self._environment):
            if name.startswith("RAY_"):
                del os.environ[name]


def _namespace() -> str:
    return f"sweep-{os.getpid()}"
