"""A folder of one's own to run the real command in, and eyes for what a run leaves on the machine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil

from sweep.running.ledger.lines import decode_line, encode_line
from tests.networks import write_tiny

__all__ = ["CLUSTER_ONE", "CLUSTER_TWO", "LIMIT_S", "Ended", "Place", "is_open", "listening"]

ROOT = Path(__file__).parents[2]
LIMIT_S = 300.0
"""For what takes seconds on an idle machine."""

MARK = "SWEEP_TEST_MARK"
IN_THE_WAY = ("json", "mlflow", "numpy", "onnx", "onnxruntime", "pandas", "psutil", "ray", "tornado", "tvm", "xgboost")

_SECOND = "{kind: llvm, mcpu: core-avx2}" if os.uname().machine == "x86_64" else "native"
CLUSTER_ONE = "{{name: one, engine: {engine}, devices: [{{key: here, cores: [-1]}}]}}"
CLUSTER_ALONE = CLUSTER_ONE[:-2] + ", mlflow: {{enabled: false}}}}"
"""Without MLflow, for tests of something else."""
CLUSTER_TWO = f"""
name: two
engine: {{engine}}
devices:
  - {{{{key: here, cores: [-1]}}}}
  - {{{{key: there, cores: [-1], target: {_SECOND.replace("{", "{{").replace("}", "}}")}}}}}
"""


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str


class Place:
    """A folder with a network, a study, a cluster, and all that a run would write outside its sweep directory."""

    def __init__(self, folder: Path, study: str, cluster: str) -> None:
        self.folder, self.mark = folder, uuid4().hex
        folder.mkdir(exist_ok=True)
        for name in ("cache", "tmp", "home"):
            (folder / name).mkdir()
        write_tiny(folder / "tiny.onnx")
        for name in IN_THE_WAY:  # of a person's own in the working folder; they are in nobody's way
            self.write(f"{name}.py", f"raise RuntimeError('the {name}.py of the working folder was imported')\n")
        self.write("study.yaml", study)
        self.write("cluster.yaml", cluster)

    def write(self, name: str, text: str) -> Path:
        (self.folder / name).write_text(text)
        return self.folder / name

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def site(self) -> Path:
        """On the import path of all that is started here: where a test installs packages."""
        return self.folder / "site"

    @property
    def command(self) -> list[str]:
        return ["run", "study.yaml", "--cluster", "cluster.yaml", "--out", "out"]

    def start(self, *options: str) -> subprocess.Popen[str]:
        """`sweep run` in a process group of its own, as a terminal starts it."""
        return self._start(*self.command, *options)

    def call(self, *arguments: str) -> Ended:
        """Another command, to its end."""
        running = self._start(*arguments)
        out, err = running.communicate(timeout=LIMIT_S)
        return Ended(running.returncode, out, err)

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        environment = os.environ | {
            MARK: self.mark,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(self.site)]),
            "TMPDIR": str(self.folder / "tmp"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "HOME": str(self.folder / "home"),
        }
        return subprocess.Popen(
            [sys.executable, "-m", "sweep", *arguments],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *options: str) -> Ended:
        """`sweep run`, to its end."""
        running = self.start(*options)
        out, err = running.communicate(timeout=LIMIT_S)
        return Ended(running.returncode, out, err)

    def events(self, *names: str) -> list[dict[str, Any]]:
        """The ledger's whole lines, of these events."""
        path = self.out / "ledger.jsonl"
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        events = [json.loads(line) for line in lines if line.endswith(b"\n")]
        return [event for event in events if not names or event["event"] in names]

    def change_events(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Have the ledger tell something else than what happened, with right checksums."""
        path = self.out / "ledger.jsonl"
        events = [decode_line(line) for line in path.read_bytes().splitlines(keepends=True)]
        for event in events:
            assert event is not None
            change(event)
        path.write_bytes(b"".join(encode_line(event) for event in events if event is not None))

    def done(self) -> int:
        """How many stages have ended well. Asked again and again while a test waits, so no line is parsed."""
        path = self.out / "ledger.jsonl"
        return path.read_bytes().count(b'"event":"stage_done"') if path.exists() else 0

    def stages(self) -> int:
        """How many stages the plan has; 0 before there is one."""
        path = self.out / "plan.json"
        return len(json.loads(path.read_text())["stages"]) if path.exists() else 0

    def trials(self) -> list[str]:
        """The whole lines of all trial logs."""
        lines: list[str] = []
        for log in sorted(self.out.glob("records/*/*/trials.jsonl")):
            lines += [line for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return lines

    # -- what is on the machine ---------------------------------------------------------------------------------------

    def processes(self) -> list[psutil.Process]:
        """All that descends from a command run here, whoever has adopted it."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def leftovers(self, driver_pids: Sequence[int]) -> list[str]:
        """Files outside the sweep directory and the cache."""
        found = [*(self.folder / "tmp").iterdir(), *(self.folder / "home").iterdir()]
        for pid in driver_pids:  # Ray's folder, whose path must be short
            found += Path("/tmp").glob(f"sweep-ray-{pid}-*")
        return sorted(map(str, found))


def listening(processes: Sequence[psutil.Process]) -> set[int]:
    """Ports on which these processes listen."""
    ports: set[int] = set()
    for process in processes:
        try:
            connections = process.net_connections(kind="inet")
        except psutil.NoSuchProcess:
            continue
        ports |= {connection.laddr.port for connection in connections if connection.status == psutil.CONN_LISTEN}
    return ports


def is_open(port: int) -> bool:
    """Whether anybody listens on the port now."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
