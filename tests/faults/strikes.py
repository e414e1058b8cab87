"""Strikes at any process of a run on Ray with a tuner, at moments that chance chooses: SIGKILL, or SIGSTOP for a while.

    python -m tests.faults --kills 100 --seed 7
    python -m tests.faults --stops 15

A sweep directory grows from run to run, so that there is always something to do. After each strike, what was recorded
before must still be there; after each run that has ended by itself, everything that `invariant` says.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.devices.parts import until
from tests.end_to_end.place import LIMIT_S, Place
from tests.faults.invariant import Witness
from tests.faults.kinds import DRIVER, KINDS, Kind, Scene

__all__ = ["Strike", "Strikes"]

STUDY = """
study: struck
final: null
models: [tiny.onnx]
tuners: [none, {{name: random, trials_per_task: 4, number: 1, repeat: 1, min_repeat_ms: 20}}]
opt_levels: [1]
axes: {{batch: {batches}}}
measure: {{repeat: 3, max_repeat: 3, rounds: 1, min_repeat_ms: 1, retakes: 0}}
"""
CLUSTER = "{name: one, engine: ray, devices: [{key: here, cores: [-1]}]}"
MOST_IN_A_RUN = 8
STAGES_A_BATCH = 6
EARLY = 0.2
"""Share of the first strikes of runs that come at any moment of the first seconds."""
EARLY_S = 8.0
ACTORS_S = 10.0
FIND_S = 40.0
"""In which a process of the wanted kind should come up; else another kind's turn comes."""


@dataclass
class Strike:
    """One process that was struck, and what came of its run."""

    kind: str
    after: int
    """Stages that were done by then, in all runs."""
    went_on: bool = False
    """The same run came to its end, with every cell measured."""


@dataclass
class Strikes:
    """A campaign in one folder. `stop_s`: stop a process for so long, in place of a kill."""

    folder: Path
    chance: random.Random
    stop_s: float | None = None
    say: Callable[[str], None] = lambda line: None
    core: int = -1
    struck: list[Strike] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """What did not hold."""
    _turns: list[Kind] = field(default_factory=list)
    _places: int = 0
    _batches: int = 0

    def perform(self, strikes: int, until: float = float("inf")) -> None:
        """Strike so often, or until a time of the monotonic clock."""
        self._begin()
        while len(self.struck) < strikes and time.monotonic() < until:
            most = min(strikes - len(self.struck), 1 if self.stop_s else self.chance.randint(3, MOST_IN_A_RUN))
            self._one_run(most)

    def told(self) -> str:
        """How many of each kind, and how many of these went on by themselves."""
        count, on = Counter(one.kind for one in self.struck), Counter(one.kind for one in self.struck if one.went_on)
        rows = [f"{kind.name:18} {count[kind.name]:4} {on[kind.name]:4}" for kind in KINDS]
        total = f"{'all':18} {len(self.struck):4} {sum(on.values()):4}   faults: {len(self.faults)}"
        return "\n".join(["struck                    on", *rows, total, *self.faults])

    # -- a run --------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._places += 1
        self._batches = 0
        self._place = Place(self.folder / f"place-{self._places}", "", CLUSTER.replace("[-1]", f"[{self.core}]"))
        self._witness = Witness(self._place)

    def _one_run(self, most: int) -> None:
        self._batches += 1 + 2 * most // STAGES_A_BATCH
        self._place.write("study.yaml", STUDY.format(batches=list(range(1, self._batches + 1))))
        begun, running = time.monotonic(), self._place.start()
        scene, strikes = Scene(self._place, running.pid), []
        try:
            for number in range(most):
                strike = self._strike(running, scene, is_first=number == 0)
                if strike is None:
                    break
                strikes.append(strike)
                self._witness.look()
                if strike.kind == DRIVER and self.stop_s is None:
                    break
            err = self._end_of(running)
            self._judge(running, scene, strikes, err)
        except (AssertionError, subprocess.TimeoutExpired) as problem:
            running.kill()
            self.faults.append(f"{self._place.folder}: {[one.kind for one in strikes]}: {problem}"[:2000])
            self.say(self.faults[-1])
            self._begin()
        for strike in strikes:
            self.say(
                f"{len(self.struck):3} {strike.kind:18} after {strike.after:3} stages: "
                f"{'went on' if strike.went_on else 'needs another run'} ({time.monotonic() - begun:.0f} s)"
            )

    def _end_of(self, running: subprocess.Popen[str]) -> str:
        """What it said, when it has ended; it may take as long as it gets on."""
        ledger, seen, deadline = self._place.out / "ledger.jsonl", -1, time.monotonic() + LIMIT_S
        while True:
            try:
                return running.communicate(timeout=5.0)[1]
            except subprocess.TimeoutExpired:
                size = ledger.stat().st_size if ledger.exists() else 0
                if size != seen:
                    seen, deadline = size, time.monotonic() + LIMIT_S
                if time.monotonic() > deadline:
                    raise

    def _judge(self, running: subprocess.Popen[str], scene: Scene, strikes: list[Strike], err: str) -> None:
        code, was_killed = running.returncode, running.returncode == -signal.SIGKILL
        if was_killed:
            self._witness.pids.append(running.pid)
            until(scene.has_no_actor, "the end of its actors, which would write what the next run writes", ACTORS_S)
            self._witness.look()
            self._witness.assert_nothing_runs()
        else:
            assert code in (0, 1, 2), f"{code}: {err[-1500:]}"
            assert "Traceback" not in err, err[-3000:]
            if code == 0:
                self._witness.store = self._place.out / "mlflow.db"
                self._witness.assert_whole()
            else:
                self.say(err[-1500:])
                self._witness.look()
                self._witness.assert_nothing_runs()
            self._witness.pids.append(running.pid)
            left = self._place.leftovers(self._witness.pids if code == 0 else [running.pid])
            assert left == [], left
        for strike in strikes:
            strike.went_on = code == 0 or (was_killed and strike is not strikes[-1])

    def _strike(self, running: subprocess.Popen[str], scene: Scene, *, is_first: bool) -> Strike | None:
        """None where the run was quicker."""
        if is_first and self.chance.random() < EARLY:
            self._wait(running, self.chance.random() * EARLY_S)
        else:
            enough, deadline = self._place.done() + self.chance.randrange(3), time.monotonic() + LIMIT_S
            while running.poll() is None and self._place.done() < enough and time.monotonic() < deadline:
                time.sleep(0.02)
            self._wait(running, self.chance.random())
        found = self._find(running, scene)
        if found is None:
            return None
        kind, pid = found
        if not scene.is_ours(pid):
            return self._strike(running, scene, is_first=False)
        try:
            os.kill(pid, signal.SIGKILL if self.stop_s is None else signal.SIGSTOP)
        except ProcessLookupError:
            return self._strike(running, scene, is_first=False)
        strike = Strike(kind.name, self._place.done())
        self._turns.remove(kind)
        self.struck.append(strike)
        if self.stop_s is not None:
            time.sleep(self.stop_s)
            _go_on(pid)
        return strike

    def _find(self, running: subprocess.Popen[str], scene: Scene) -> tuple[Kind, int] | None:
        """A process of the kind whose turn it is, or of the next where there is none for a while."""
        if not self._turns:
            self._turns = self.chance.sample(KINDS, len(KINDS))
        for kind in list(self._turns):
            deadline, looked = time.monotonic() + FIND_S / len(self._turns), 0.0
            while running.poll() is None and time.monotonic() < deadline:
                if time.monotonic() - looked > 1.0:
                    scene.look()
                    looked = time.monotonic()
                pids = scene.of(kind)
                if pids:
                    time.sleep(self.chance.random() * 0.05)
                    return kind, self.chance.choice(pids)
                time.sleep(0.02)
        return None

    @staticmethod
    def _wait(running: subprocess.Popen[str], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while running.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)


def _go_on(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return
