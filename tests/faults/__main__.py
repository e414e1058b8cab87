"""The fault campaign: all tests here, several times, each time with another seed.

    python -m tests.faults --times 20
    python -m tests.faults --kills 100    # of any process of runs on Ray, and nothing else
    python -m tests.faults --stops 15     # the same, each stopped for a minute

It ends at the first failure, says how the same is done again, and leaves the folders of the tests that failed.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.faults.conftest import VARIABLE
from tests.faults.strikes import Strikes

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LANES = (
    ("test_killed_driver.py",),
    ("test_store_away.py", "test_lost_node.py", "test_two_drivers.py", "test_killed_processes.py"),
    ("test_killed_actors.py", "test_disk_full.py", "test_clock.py", "test_damaged_ledger.py"),
)
"""At the same time: all take about as long, and much of it waiting, so that they are more than cores."""
STOP_S = 60.0
WENT_ON = 0.9
"""A killed driver alone needs the same command again."""
LEFT_OUT = "not test_a_few_kills"
"""Fifty do more."""


def main(arguments: Sequence[str]) -> int:
    """Run campaigns; 0 when all have passed."""
    parser = argparse.ArgumentParser("python -m tests.faults", description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=1, help="campaigns in a row")
    parser.add_argument("--seed", type=int, help="of the first; each next one's is one more")
    parser.add_argument("--kills", type=int, default=0, help="kill any process of runs on Ray so often")
    parser.add_argument("--stops", type=int, default=0, help="stop any process of runs on Ray for a minute so often")
    parser.add_argument("--minutes", type=float, default=math.inf, help="end kills or stops after so long")
    parser.add_argument("--core", type=int, default=-1, help="of the device, for kills or stops")
    asked = parser.parse_args(arguments)
    _check_lanes()
    first = random.SystemRandom().randrange(10**6) if asked.seed is None else asked.seed
    if asked.kills or asked.stops:
        return _strike(asked, first)
    for number in range(asked.times):
        begun, folder = time.monotonic(), Path(tempfile.mkdtemp(prefix="sweep-faults-"))
        logs, failures = _campaign(first + number, folder)
        told = f"campaign {number + 1} of {asked.times}, seed {first + number}: {time.monotonic() - begun:.0f} s"
        print(f"{told}, {'FAILED: ' if failures else ''}{_counted(logs)}", flush=True)
        if failures:
            print(*failures, f"again: python -m tests.faults --seed {first + number}; see {folder}", sep="\n")
            return 1
        shutil.rmtree(folder)
    return 0


def _strike(asked: argparse.Namespace, seed: int) -> int:
    """Kills, or stops: 0 where nothing was lost and nine of ten runs went on by themselves."""
    folder = Path(tempfile.mkdtemp(prefix="sweep-strikes-"))
    stop_s = STOP_S if asked.stops else None
    strikes = Strikes(folder, random.Random(seed), stop_s, lambda line: print(line, flush=True), asked.core)
    begun = time.monotonic()
    strikes.perform(asked.kills or asked.stops, begun + 60 * asked.minutes)
    print(f"seed {seed}: {time.monotonic() - begun:.0f} s", strikes.told(), sep="\n", flush=True)
    if strikes.faults:
        print(f"see {folder}")
        return 1
    shutil.rmtree(folder)
    return int(sum(one.went_on for one in strikes.struck) < WENT_ON * len(strikes.struck))


def _check_lanes() -> None:
    there, named = {path.name for path in HERE.glob("test_*.py")}, {name for lane in LANES for name in lane}
    if there != named:
        raise SystemExit(f"in no lane, or not there: {', '.join(sorted(there ^ named))}")


def _counted(logs: Sequence[str]) -> str:
    """Tests by what became of them, as in `26 passed, 1 skipped`: a skipped one has shown nothing."""
    counts: Counter[str] = Counter()
    for log in logs:
        for count, outcome in re.findall(r"(\d+) (passed|failed|errors?|skipped)", log.rstrip().rpartition("\n")[2]):
            counts[outcome] += int(count)
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items())


def _campaign(seed: int, folder: Path) -> tuple[list[str], list[str]]:
    """What all lanes said, and what those said that failed."""
    running = [_start(folder / f"lane-{number}", lane, seed) for number, lane in enumerate(LANES)]
    try:
        codes = [lane.wait() for lane in running]
    except KeyboardInterrupt:
        for lane in running:  # pytest has been told too, and ends what it has started
            lane.wait()
        raise
    logs = [(folder / f"lane-{number}.log").read_text() for number in range(len(LANES))]
    return logs, [log for log, code in zip(logs, codes, strict=True) if code]


def _start(folder: Path, files: Sequence[str], seed: int) -> subprocess.Popen[bytes]:
    options = ["-qx", "-p", "no:cacheprovider", "-m", "", "-k", LEFT_OUT, "--durations=0", "--basetemp", str(folder)]
    with folder.with_suffix(".log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "pytest", *options, *(str(HERE / file) for file in files)],
            cwd=ROOT,
            env=os.environ | {VARIABLE: str(seed)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
