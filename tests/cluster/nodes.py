"""A Ray cluster of several nodes on this machine: each node a process tree of its own, on loopback, with a token."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from tests.devices.parts import until
from tests.processes import is_gone

__all__ = ["Node", "RayCluster", "free_ports"]

ROOT = Path(__file__).parents[2]
LIMIT_S = 300.0
_STARTS = 3
"""Ray gives a node 30 s to come up, which a machine with much other work on it may not have."""


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class Node:
    """One node: `ray start --block` and all that it starts."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", "--block", *arguments],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._tree: list[psutil.Process] = []

    def is_up(self) -> bool:
        """Whether it has said so."""
        return "--block" in self.log.read_text()

    def kill(self) -> None:
        """kill -9 the raylet, as if the machine had lost its power: what it started dies with it."""
        (raylet,) = [p for p in self.processes() if p.name() == "raylet"]
        raylet.kill()
        raylet.wait(LIMIT_S)

    def processes(self) -> list[psutil.Process]:
        """What runs of it now; whoever has seen it once is remembered, also when it is adopted by another."""
        with contextlib.suppress(psutil.NoSuchProcess):
            own = psutil.Process(self._process.pid)
            self._tree += [p for p in [own, *own.children(recursive=True)] if p not in self._tree]
        return [p for p in self._tree if not is_gone(p)]

    def end(self) -> None:
        """End all of it."""
        left = self.processes()
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGTERM)
        _, left = psutil.wait_procs(left, timeout=5.0)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=10.0)
        self._process.wait(LIMIT_S)


class RayCluster:
    """A head node, and workers. A context manager."""

    def __init__(self, folder: Path, cpus: int = 1, *, has_dashboard: bool = False) -> None:
        """Jobs are sent to the dashboard, which takes as long to start as all the rest."""
        self._folder = folder
        # Ray's Unix sockets lie below it, and their paths are short
        self._temp = Path(tempfile.mkdtemp(prefix="sr-", dir="/tmp"))
        token = folder / "token"
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(32))
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1",
            "RAY_health_check_period_ms": "1000",  # a lost node is found within seconds
        }
        self.nodes: list[Node] = []
        for _ in range(_STARTS):
            gcs, dashboard = free_ports(2)
            self.address, self.jobs = f"127.0.0.1:{gcs}", f"http://127.0.0.1:{dashboard}"
            head = ["--head", f"--port={gcs}", f"--include-dashboard={str(has_dashboard).lower()}"]
            head += ["--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"]
            node = self._start(head, cpus, {})
            if node.is_up():
                return
            node.end()
        self.close()
        raise AssertionError(node.log.read_text())

    def add(self, cpus: int = 1, **environment: str) -> Node:
        """One more node."""
        for _ in range(_STARTS):
            node = self._start([f"--address={self.address}"], cpus, environment)
            if node.is_up():
                return node
            node.end()
        raise AssertionError(node.log.read_text())

    def _start(self, arguments: Sequence[str], cpus: int, environment: Mapping[str, str]) -> Node:
        agent_http, agent_grpc, metrics = free_ports(3)
        number = len(self.nodes)
        node = Node(
            [
                *arguments,
                "--node-ip-address=127.0.0.1",
                f"--num-cpus={cpus}",
                f"--dashboard-agent-listen-port={agent_http}",
                f"--dashboard-agent-grpc-port={agent_grpc}",
                f"--metrics-export-port={metrics}",
                f"--object-store-memory={100 * 2**20}",
                f"--temp-dir={self._temp}/{number}",
                "--disable-usage-stats",
            ],
            {**self.environment, **environment},
            self._folder / f"node-{number}.log",
        )
        self.nodes.append(node)
        until(lambda: node.is_up() or not node.processes(), "a node that runs", LIMIT_S)
        return node

    def close(self) -> None:
        """End all nodes."""
        for node in reversed(self.nodes):
            node.end()
        shutil.rmtree(self._temp, ignore_errors=True)

    def __enter__(self) -> RayCluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
