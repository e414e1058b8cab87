"""Keeps a farm's processes alive: started by `Farm.up` as a process, which gets its orders on standard input.

    owner (a run, or `sweep farm up`)
      supervisor        its own session, so that a Ctrl-C in the terminal reaches the owner first
        tracker         SIGKILLed by the kernel when the supervisor dies, however it dies
        server ...      idem
          worker        one per RPC session; idem, when its server dies

The supervisor watches the owner by its pid: the kernel's parent-death signal would follow the owner's thread that
called `up`, which may end long before the farm is wanted no more. It holds all listening sockets, so ports are known
before anybody listens and stay the same when a dead server is started again. It does not load TVM.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sweep.devices.farm.held_port import LOOPBACK
from sweep.devices.processes import ProcessId, end_groups, identify, is_alive
from sweep.files.atomic import write_text
from sweep.installation import python_command

log = logging.getLogger(__name__)

END_GRACE_S = 2.0
SHORT_LIFE_S = 5.0
MAX_BACK_OFF_S = 30.0
BIND_S = 1.0
MOST_DOUBLINGS = 10
"""More than any wait needs; two to the power of a thousand, as often as a server may die in a night, is an error."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EAGAIN)
"""On the disk, in memory, for another process: passes, unlike a command that is not there."""


@dataclass(slots=True)
class Child:
    """One process to keep alive: the tracker or a server."""

    name: str
    """Of its log and its temporary directory."""
    key: str | None
    """The tracker key; None for the tracker."""
    command: list[str]
    """`{fd}` stands for the listening socket."""
    environment: dict[str, str]
    listening: socket.socket
    process: subprocess.Popen[bytes] | None = None
    identity: ProcessId | None = None
    started_at: float = 0.0
    start_again_at: float = 0.0
    restarts: int = 0
    short_lives: int = 0
    """Deaths in a row soon after the start: they stretch the wait for the next one."""
    last_exit: str | None = None

    @property
    def port(self) -> int:
        return int(self.listening.getsockname()[1])


@dataclass(slots=True)
class Supervisor:
    """Starts, restarts and ends the farm's processes, for as long as the process lives that owns the farm."""

    state_dir: Path
    owner: ProcessId
    tracker_host: str
    tracker_port: int
    children: list[Child] = field(default_factory=list)

    def keep(self) -> None:
        """Start all; start again what dies; return when the owner is gone."""
        owner_fd = os.pidfd_open(self.owner.pid)
        while is_alive(self.owner):
            self._start_due()
            self._write_state()
            self._wait(owner_fd)

    def _start_due(self) -> None:
        for child in self.children:
            if child.process is not None and child.process.poll() is not None:
                self._note_death(child, child.process.returncode)
            if child.process is None and time.monotonic() >= child.start_again_at:
                try:
                    self._start(child)
                except OSError as error:
                    if error.errno not in NO_ROOM:
                        raise
                    log.info("%s cannot be started now: %s", child.name, error)
                    child.start_again_at = time.monotonic() + SHORT_LIFE_S

    def _start(self, child: Child) -> None:
        temporary = self.state_dir / "tmp" / child.name
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        file_number = child.listening.fileno()
        with (self.state_dir / "logs" / f"{child.name}.log").open("ab") as log:
            child.process = subprocess.Popen(
                [part.replace("{fd}", str(file_number)) for part in child.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(file_number,),
                env=os.environ | child.environment | {"TMPDIR": str(temporary)},
                cwd=temporary,  # what lies in a person's folder is imported by no server, whatever runs it
                start_new_session=True,
            )
        child.identity = identify(child.process.pid)
        child.started_at = time.monotonic()

    def _note_death(self, child: Child, code: int) -> None:
        child.last_exit = signal.Signals(-code).name if code < 0 else f"exit {code}"
        lived_s = time.monotonic() - child.started_at
        child.short_lives = child.short_lives + 1 if lived_s < SHORT_LIFE_S else 0
        wait_s = back_off_s(child.short_lives)
        child.start_again_at = time.monotonic() + wait_s
        child.restarts += 1
        child.process, child.identity = None, None
        log.info("%s ended (%s) after %.1f s; again in %g s", child.name, child.last_exit, lived_s, wait_s)

    def _wait(self, owner_fd: int) -> None:
        """Sleep until the owner or a child ends, or a start is due."""
        poll = select.poll()
        poll.register(owner_fd, select.POLLIN)
        child_fds = []
        for child in self.children:
            if child.process is not None:
                child_fds.append(os.pidfd_open(child.process.pid))
                poll.register(child_fds[-1], select.POLLIN)
        due = [child.start_again_at for child in self.children if child.process is None]
        poll.poll(max(0.0, min(due) - time.monotonic()) * 1000 if due else None)
        for child_fd in child_fds:
            os.close(child_fd)

    def _write_state(self) -> None:
        state = {
            "owner": asdict(self.owner),
            "warden": asdict(_self_id()),  # the word of earlier versions, which look for their farms by it
            "tracker": {"host": self.tracker_host, "port": self.tracker_port},
            "processes": [_describe(child) for child in self.children],
        }
        try:
            write_text(self.state_dir / "farm.json", json.dumps(state, indent=1))
        except OSError as error:  # the servers are well: what is known of them is an earlier state
            log.info("farm.json stays as it is: %s", error)

    def end(self) -> None:
        """End every child and leave only the logs behind."""
        end_groups([child.identity for child in self.children if child.identity is not None], END_GRACE_S)
        for child in self.children:
            if child.process is not None:
                child.process.wait()
            child.listening.close()
        shutil.rmtree(self.state_dir / "tmp", ignore_errors=True)
        (self.state_dir / "farm.json").unlink(missing_ok=True)


def main() -> None:
    """Read the orders, keep the farm, end it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    orders = json.load(sys.stdin)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    supervisor = _take_orders(orders)
    try:
        supervisor.keep()
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        supervisor.end()


def _take_orders(orders: dict[str, Any]) -> Supervisor:
    environment = {"TVM_USE_RUNTIME_LIB": "1", "OPENBLAS_NUM_THREADS": "1"}
    host, port = orders["tracker"]["host"], orders["tracker"]["port"]
    children = []
    if orders["tracker"]["managed"]:
        try:
            listening = _listen(port)
        except OSError as error:
            sys.exit(f"tracker.port {port}: {error.strerror}; allowed: a port that is free, or none for any")
        host, port = LOOPBACK, listening.getsockname()[1]
        command = [*python_command("sweep.devices.farm.tracker_server"), "{fd}", str(os.getpid())]
        children.append(Child("tracker", None, command, environment, listening))
    for server in orders["servers"]:
        command = python_command("sweep.devices.farm.device_server")
        if server["python"] is not None:  # which may be older than -P
            command = [server["python"], "-m", "sweep.devices.farm.device_server"]
        command += ["--key", server["key"], "--listen-fd", "{fd}"]
        command += ["--supervisor-pid", str(os.getpid())]
        command += ["--tracker", f"{host}:{port}", "--cores", ",".join(map(str, server["cores"]))]
        # Else TVM sets the main thread free to every core once its pool has more threads than the process has cores.
        threads = {"TVM_NUM_THREADS": str(server["threads"]), "OMP_NUM_THREADS": str(server["threads"])}
        own = {**environment, **server["env"], **threads, "TVM_BIND_THREADS": "0"}
        if server["python"] is not None:
            own["PYTHONPATH"] = str(Path(orders["state_dir"]) / "tmp" / "import")
        children.append(Child(server["name"], server["key"], command, own, _listen_if_free(server["port"])))
    return Supervisor(Path(orders["state_dir"]), ProcessId(**orders["owner"]), host, port, children)


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Inherited by the connections: the tracker sends each message in two pieces.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    _bind(listening, port)
    listening.listen(64)
    return listening


def _bind(listening: socket.socket, port: int) -> None:
    """A port that a former farm had may take a moment: its processes are dying."""
    deadline = time.monotonic() + BIND_S
    while True:
        try:
            listening.bind((LOOPBACK, port))
            return
        except OSError as error:
            if not port or error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _listen_if_free(port: int) -> socket.socket:
    """On any port where this one is taken: a server is found by its tracker."""
    try:
        return _listen(port)
    except OSError:
        return _listen(0)


def back_off_s(short_lives: int) -> float:
    """Before the next start, after so many deaths soon after one: the first time none, then twice as long each time."""
    return 0.0 if short_lives <= 1 else min(MAX_BACK_OFF_S, 2.0 ** min(short_lives - 2, MOST_DOUBLINGS))


def _describe(child: Child) -> dict[str, Any]:
    return {
        "name": child.name,
        "key": child.key,
        "port": child.port,
        "process": None if child.identity is None else asdict(child.identity),
        "restarts": child.restarts,
        "last_exit": child.last_exit,
    }


def _self_id() -> ProcessId:
    identity = identify(os.getpid())
    assert identity is not None
    return identity


if __name__ == "__main__":
    main()
