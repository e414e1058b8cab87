"""Runs cases in forked children that have everything loaded: a case costs what its commands cost.

A child says on a pipe which case it begins and how that ended; what it does not say, its end says: a signal, or the
time limit. Then another child goes on with the next case.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import shutil
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from tests.fuzz.case import perform
from tests.fuzz.room import prepare, settle_machine

__all__ = ["Campaign", "Ended", "Failure"]

_LOADED = (
    "pyarrow.parquet", "pyarrow.compute", "jinja2", "plotly.graph_objects", "rich.console", "onnx", "scipy.stats",
    "sweep.cli", "sweep.api", "sweep.api.commands.run", "sweep.api.commands.report", "sweep.report.writing",
    "sweep.report.page",
    "sweep.api.commands.overlay", "sweep.api.commands.export", "sweep.api.commands.compare",
    "sweep.record.parquet_tables", "sweep.analysis.statistics",
)  # fmt: skip
"""What the commands load, before the children are forked."""
CASE_LIMIT_S = 60.0
"""Of a case, whose commands take less than a second on a machine that is not busy."""
_CASES_A_CHILD = 100
"""What one leaves behind in memory is gone then."""


@dataclass(frozen=True)
class Failure:
    """A case that did what no case may do."""

    seed: int
    what: str
    folder: str
    changed: Sequence[str]


Say = Callable[[Failure], None]


@dataclass
class Ended:
    """How a campaign ended."""

    cases: int = 0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)
    first_seed: int = 0

    @property
    def line(self) -> str:
        """For people."""
        codes = ", ".join(f"{count:,} {code}" for code, count in sorted(self.codes.items()))
        failed = f"{len(self.failures)} FAILED" if self.failures else "none failed"
        return f"{self.cases:,} cases from seed {self.first_seed} in {self.seconds:.0f} s, {failed}; commands: {codes}"


class Campaign:
    """Cases of seeds that follow each other. A context manager: its children end with it."""

    def __init__(self, home: Path, seed: int, jobs: int = 1, imports: float = 0.0, say: Say | None = None) -> None:
        """home: a new folder, which stays. imports: share of cases that import a model. say: is told of failures."""
        self._home, self._next, self._imports, self._jobs = home, seed, imports, jobs
        self._ended = Ended(first_seed=seed)
        self._children: dict[int, _Child] = {}
        for name in _LOADED:
            importlib.import_module(name)
        self._say = say or (lambda failure: None)
        self._base = self._in_a_child(home)

    def __enter__(self) -> Campaign:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in list(self._children.values()):
            child.kill()

    def run(self, most_cases: int, most_s: float, most_failures: int | None = 10) -> Ended:
        """Run cases until there were so many, the time is over, or so many have failed."""
        begun = time.monotonic()
        last = self._next + most_cases
        while True:
            is_over = time.monotonic() - begun > most_s or len(self._ended.failures) == most_failures
            while not is_over and self._next < last and len(self._children) < self._jobs:
                self._start(min(_CASES_A_CHILD, last - self._next))
            if not self._children or (is_over and all(child.case is None for child in self._children.values())):
                break
            self._watch(is_over)
        self._ended.seconds = time.monotonic() - begun
        return self._ended

    def _start(self, count: int) -> None:
        child = _Child(self._home, self._base, range(self._next, self._next + count), self._imports)
        self._next += count
        self._children[child.reading] = child

    def _watch(self, is_over: bool) -> None:
        ready, _, _ = select.select(list(self._children), [], [], 0.2)
        for reading in ready:
            child = self._children[reading]
            if not child.read(self._ended, self._fail, is_over):
                self._lost(child, "" if child.is_told_to_end else child.how_it_ended())
        for child in list(self._children.values()):
            if child.case is not None and time.monotonic() - child.since > CASE_LIMIT_S:
                child.kill()
                self._lost(child, f"takes more than {CASE_LIMIT_S:.0f} s")

    def _lost(self, child: _Child, how: str) -> None:
        del self._children[child.reading]
        child.kill()
        if child.case is not None:
            self._ended.cases += 1
            folder = self._home / f"case-{child.case}"
            self._fail(Failure(child.case, how, str(folder), child.changed))
        left = [seed for seed in child.seeds if child.last is None or seed > child.last]
        if left and not child.is_told_to_end:
            again = _Child(self._home, self._base, range(left[0], left[-1] + 1), self._imports)
            self._children[again.reading] = again

    def _fail(self, failure: Failure) -> None:
        self._ended.failures.append(failure)
        self._say(failure)

    def _in_a_child(self, home: Path) -> Path:
        """Make the base: the machine is another one there."""
        if (pid := os.fork()) == 0:
            code = 1
            try:
                from sweep.cli import main

                settle_machine()
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                prepare(home, main)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        if os.waitpid(pid, 0)[1] != 0:
            raise RuntimeError("the sweep that is to be fuzzed could not be made")
        return home / "base"


class _Child:
    """A process that runs the cases of some seeds."""

    def __init__(self, home: Path, base: Path, seeds: Sequence[int], imports: float) -> None:
        self.seeds = seeds
        self.case: int | None = None
        self.changed: Sequence[str] = ()
        self.last: int | None = None
        self.since = time.monotonic()
        self.is_told_to_end = False
        self._status: int | None = None
        self._rest = b""
        self.reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            os.close(self.reading)
            _live(home, base, seeds, imports, writing)
        os.close(writing)

    def read(self, ended: Ended, fail: Say, is_over: bool) -> bool:
        """Take what it says; False at its end."""
        chunk = os.read(self.reading, 1 << 16)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "begun" in message:
                self.case, self.changed, self.since = message["begun"], message["changed"], time.monotonic()
                self.last = self.case
                continue
            ended.cases += 1
            ended.codes.update(message["codes"])
            if message["what"] is not None:
                fail(Failure(message["ended"], message["what"], message["folder"], self.changed))
            self.case = None
            if is_over:
                self.is_told_to_end = True
                return False
        return bool(chunk)

    def kill(self) -> None:
        """End it and what it started."""
        if self._status is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
                os.killpg(self.pid, signal.SIGKILL)  # it may not lead a group yet
            self._status = os.waitpid(self.pid, 0)[1]
            os.close(self.reading)

    def how_it_ended(self) -> str:
        """In words."""
        _, self._status = os.waitpid(self.pid, 0)
        os.close(self.reading)
        code = os.waitstatus_to_exitcode(self._status)
        return f"its process ended with {signal.Signals(-code).name if code < 0 else code}"


def _live(home: Path, base: Path, seeds: Sequence[int], imports: float, pipe: int) -> None:
    """Run the cases; never returns."""
    code = 1
    try:
        settle_machine()
        for seed in seeds:
            folder = home / f"case-{seed}"

            def begun(changed: Sequence[str], seed: int = seed) -> None:
                os.write(pipe, json.dumps({"begun": seed, "changed": list(changed)}).encode() + b"\n")

            what, codes = perform(seed, base, folder, imports, begun)
            os.write(
                pipe, json.dumps({"ended": seed, "what": what, "codes": codes, "folder": str(folder)}).encode() + b"\n"
            )
            if what is None:
                shutil.rmtree(folder, ignore_errors=True)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
