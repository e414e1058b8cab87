"""A farm: the tracker and the local device servers of one cluster file, up for as long as their owner lives.

The supervisor (`sweep.devices.farm.supervisor`) writes what runs to `farm.json` in the state directory, so that another
process can ask for the status or end it. This module knows processes and the tracker, not TVM.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from sweep.devices.farm.farm_state import STATE_FILE, read_state
from sweep.devices.farm.farm_status import FarmAddress, FarmStatus, KeyStatus
from sweep.devices.farm.farm_survey import absent_keys, survey
from sweep.devices.farm.held_port import HeldPort
from sweep.devices.processes import ProcessId, end_groups, identify, is_alive, is_stopped, runs
from sweep.devices.rpc.tracker_client import TrackerClient
from sweep.errors import DeviceError, DeviceLost, end_of_process
from sweep.installation import PACKAGE_DIR, child_environment, python_command

if TYPE_CHECKING:
    from types import TracebackType

    from sweep.study.cluster.cluster import Cluster

__all__ = ["Farm", "FarmAddress", "FarmStatus", "KeyStatus"]

UP_TIMEOUT_S = 60.0
"""A server registers in about a second on an idle machine; a loaded one has been seen to take ten times that."""
STOPPED_S = 300.0
"""So long a farm is waited for in addition while one of its processes is stopped: nothing is wrong with it then."""
DOWN_GRACE_S = 5.0
POLL_INTERVAL_S = 0.02
STARTS = 3
"""So often it is tried where a signal ends the supervisor before its servers are at the tracker."""
LOG_TAIL_LINES = 5


class Farm:
    """The farm of `cluster`, with its logs and its state in `state_dir`. A context manager: up on entry, down on exit.

    An unmanaged tracker (a lab's own) is only checked; managed devices are served on loopback ports, `count` servers
    each, pinned to the device's cores. All of it ends with `down`, or with the process that called `up`.
    """

    def __init__(self, cluster: Cluster, state_dir: Path, up_timeout_s: float = UP_TIMEOUT_S) -> None:
        self.cluster = cluster
        self.state_dir = state_dir.resolve()
        self.up_timeout_s = up_timeout_s
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._log_begins: dict[str, int] = {}
        """Where what the latest start wrote begins, in bytes, by the name of the log."""
        self._ports: dict[str, int] = {}
        """Of tracker and servers, by the name of their log, since they were up."""
        self._tracker_port = HeldPort()
        """Sessions know where the tracker is: it is there again after the supervisor's end."""
        self._begun: FileLock | None = None
        """Held until it is up: two processes that find no farm here do not both start one."""

    def __enter__(self) -> Farm:
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.down()

    def up(self) -> FarmAddress:
        """Start what is missing, unless `begin` did, and wait until every managed device is at the tracker.

        Raises DeviceLost when an unmanaged tracker does not answer or a server does not register in time (with the tail
        of its log), DeviceError when another living process has a farm up here.
        """
        if self._begun is None:
            self.begin()
        if self._begun is None:  # the tracker is others', and so are all boards
            return FarmAddress(self.cluster.tracker.host, self.cluster.tracker.port)
        try:
            return self._come_up(self._servers())
        finally:
            self._let_others_start()

    def begin(self) -> None:
        """Start what is missing, for whoever has something else to bring up before `up` waits. Raises as `up`."""
        if self._supervisor is not None:
            raise DeviceError(f"this farm is up already, in {self.state_dir}")
        if not self.cluster.tracker.managed:
            TrackerClient(self.cluster.tracker.host, self.cluster.tracker.port).keys()
        servers = self._servers()
        if not servers and not self.cluster.tracker.managed:
            return
        self.state_dir.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.state_dir / "farm.lock", thread_local=False)
        try:
            lock.acquire(timeout=self.up_timeout_s)
            self._begun = lock
            self._clear_stale()
            self._start_supervisor(servers)
        except BaseException as problem:
            self._let_others_start()
            if isinstance(problem, Timeout):
                raise DeviceError(f"another process is starting a farm in {self.state_dir}") from problem
            raise

    def why_gone(self) -> str | None:
        """What has become of the supervisor, and of all that it kept; None while it lives, or where there is none."""
        code = None if self._supervisor is None else self._supervisor.poll()
        if code is None:
            return None
        return f"the farm's supervisor ended ({end_of_process(code)})"

    def restore(self) -> None:
        """Bring it up again after its supervisor ended, on the ports that it had. Raises as `up`."""
        if self._supervisor is not None:
            self._supervisor.wait()
            self._supervisor = None
        self.up()

    def status(self, lock_dir: Path | None = None) -> FarmStatus:
        """What is there now, by `farm.json` and the tracker; from any process. What is broken is told, not raised.

        `lock_dir`: where this host's registers are, which know who has leased a board and which are set aside.
        """
        state = self._state()
        if state is None and self.cluster.tracker.managed:
            return FarmStatus(None, f"no farm is up in {self.state_dir}", {})
        return survey(self.cluster, state, lock_dir)

    def down(self) -> None:
        """End everything that `up` started, here or in another process. Nothing there: nothing happens."""
        self._end()
        self._let_others_start()

    def _end(self) -> None:
        state = self._state()
        if state is not None:
            # The supervisor first: it ends the rest itself, and would start a dead server again.
            _end_farms([ProcessId(**state["warden"])])
            self._end_rest(state)
        if self._supervisor is not None:
            end_groups([found for found in [identify(self._supervisor.pid)] if found is not None], DOWN_GRACE_S)
            self._supervisor.wait()
            self._supervisor = None
        self._tracker_port.release()
        self._remove_state()

    def _servers(self) -> list[dict[str, Any]]:
        return [
            {
                "key": device.key,
                "name": f"{re.sub('[^A-Za-z0-9._-]', '_', device.key)}-{position}-{number}",
                "cores": list(device.cores),
                "threads": device.threads,
                "python": device.server.python,
                "env": dict(device.server.env),
            }
            for position, device in enumerate(self.cluster.devices)
            if device.managed
            for number in range(device.count)
        ]

    def _let_others_start(self) -> None:
        if self._begun is not None:
            self._begun.release()
            self._begun = None

    def _clear_stale(self) -> None:
        """End what a killed owner left; leave alone what a living one has."""
        state = self._state()
        if state is not None:
            supervisor, owner = ProcessId(**state["warden"]), ProcessId(**state["owner"])
            if is_alive(supervisor) and is_alive(owner):
                raise DeviceError(f"a farm is up already in {self.state_dir}, owned by process {owner.pid}")
            _end_farms([supervisor])
            self._end_rest(state)
        self._remove_state()

    def _come_up(self, servers: list[dict[str, Any]]) -> FarmAddress:
        """Where a signal ends the supervisor meanwhile it is started again: with the farm itself nothing is wrong."""
        starts = 1
        while True:
            try:
                return self._wait_until_up(servers)
            except BaseException as problem:
                was_killed = self._supervisor is not None and (self._supervisor.poll() or 0) < 0
                self._end()
                if not (was_killed and starts < STARTS and isinstance(problem, DeviceLost)):
                    raise
            starts += 1
            self._clear_stale()
            self._start_supervisor(servers)

    def _start_supervisor(self, servers: list[dict[str, Any]]) -> None:
        for name in ("logs", "tmp", "tmp/import"):
            (self.state_dir / name).mkdir(exist_ok=True)
        # For servers under an interpreter of their own: what else lies beside this package is made for this one.
        (self.state_dir / "tmp" / "import" / PACKAGE_DIR.name).symlink_to(PACKAGE_DIR)
        owner = identify(os.getpid())
        assert owner is not None
        tracker = self.cluster.tracker
        port = self._ports.get("tracker", tracker.port or 0)
        orders = {
            "owner": {"pid": owner.pid, "start_ticks": owner.start_ticks, "boot_id": owner.boot_id},
            "state_dir": str(self.state_dir),
            "tracker": {
                "host": tracker.host,
                "port": self._tracker_port.take(port) if tracker.managed else port,
                "managed": tracker.managed,
            },
            "servers": [{**server, "port": self._ports.get(server["name"], 0)} for server in servers],
        }
        with (self.state_dir / "logs" / "supervisor.log").open("ab") as log:
            self._log_begins["supervisor"] = log.tell()
            self._supervisor = subprocess.Popen(
                python_command("sweep.devices.farm.supervisor"),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=child_environment(),
                start_new_session=True,
            )
        assert self._supervisor.stdin is not None
        with suppress(BrokenPipeError), self._supervisor.stdin as stdin:
            stdin.write(json.dumps(orders).encode())

    def _wait_until_up(self, servers: list[dict[str, Any]]) -> FarmAddress:
        expected: dict[str, int] = {}
        for server in servers:
            expected[server["key"]] = expected.get(server["key"], 0) + 1
        begun = now = time.monotonic()
        deadline = begun + self.up_timeout_s
        last_deadline = deadline + STOPPED_S
        missing = "the supervisor"
        while now < deadline:
            assert self._supervisor is not None
            code = self._supervisor.poll()
            if code is not None:
                by_signal = f", its supervisor ended ({end_of_process(code)})" if code < 0 else ""
                raise DeviceLost(f"the farm did not start{by_signal}: {self._log_tail('supervisor')}")
            state = self._state()
            if state is not None:
                address = FarmAddress(state["tracker"]["host"], state["tracker"]["port"])
                absent = absent_keys(address, expected)
                if not absent:
                    self._ports = {process["name"]: int(process["port"]) for process in state["processes"]}
                    return address
                missing = ", ".join(absent)
            time.sleep(POLL_INTERVAL_S)
            before, now = now, time.monotonic()
            if self._is_stopped(state):
                deadline = min(deadline + now - before, last_deadline)
        names = [server["name"] for server in servers if server["key"] in missing.split(", ")]
        tail = self._log_tail(names[0] if names else "supervisor")
        raise DeviceLost(f"not at the tracker after {now - begun:.0f} s: {missing}; its log ends: {tail}")

    def _is_stopped(self, state: Mapping[str, Any] | None) -> bool:
        """Whether one of its processes is: supervisor, tracker or a server."""
        assert self._supervisor is not None
        kept = [process["process"] for process in state["processes"]] if state is not None else []
        known = [identify(self._supervisor.pid), *(ProcessId(**process) for process in kept if process is not None)]
        return any(is_stopped(process) for process in known if process is not None)

    def _log_tail(self, name: str) -> str:
        path = self.state_dir / "logs" / f"{name}.log"
        written = path.read_bytes()[self._log_begins.get(name, 0) :] if path.exists() else b""
        lines = written.decode(errors="replace").splitlines()
        return " | ".join(line.strip() for line in lines[-LOG_TAIL_LINES:]) or f"(nothing in {path})"

    def _state(self) -> dict[str, Any] | None:
        return read_state(self.state_dir)

    def _end_rest(self, state: dict[str, Any]) -> None:
        """Ends what a killed supervisor left behind; the kernel has most of it already."""
        left = [ProcessId(**process["process"]) for process in state["processes"] if process["process"] is not None]
        _end_farms(left)

    def _remove_state(self) -> None:
        shutil.rmtree(self.state_dir / "tmp", ignore_errors=True)
        with suppress(IsADirectoryError):
            (self.state_dir / STATE_FILE).unlink(missing_ok=True)


def _end_farms(processes: Iterable[ProcessId]) -> None:
    """End those that are a farm's: who has written the state of a folder that came along may have named any process."""
    end_groups([process for process in processes if runs(process, "sweep.devices.farm")], DOWN_GRACE_S)
