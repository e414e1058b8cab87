"""The fault campaign: all tests here, several times, each time with another seed.

    python -m tests.faults --times 20

It ends at the first failure, and says how the same is done again.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.conftest import VARIABLE

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ONE_HALF = ("test_killed_driver.py", "test_store_away.py", "test_two_drivers.py")
"""For one core, and the rest for the other: both take about as long."""


def main(arguments: Sequence[str]) -> int:
    """Run campaigns; 0 when all have passed."""
    parser = argparse.ArgumentParser("python -m tests.faults", description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=1, help="campaigns in a row")
    parser.add_argument("--seed", type=int, help="of the first; each next one's is one more")
    asked = parser.parse_args(arguments)
    first = random.SystemRandom().randrange(10**6) if asked.seed is None else asked.seed
    for number in range(asked.times):
        begun = time.monotonic()
        failures = _campaign(first + number)
        told = f"campaign {number + 1} of {asked.times}, seed {first + number}: {time.monotonic() - begun:.0f} s"
        print(f"{told}, {'FAILED' if failures else 'passed'}", flush=True)
        if failures:
            print(*failures, f"again: python -m tests.faults --seed {first + number}", sep="\n")
            return 1
    return 0


def _campaign(seed: int) -> list[str]:
    """What the halves said that failed."""
    rest = sorted(path.name for path in HERE.glob("test_*.py") if path.name not in ONE_HALF)
    with tempfile.TemporaryDirectory(prefix="sweep-faults-") as folder:
        halves = [_start(Path(folder), name, files, seed) for name, files in (("a", ONE_HALF), ("b", rest))]
        try:
            codes = [half.wait() for half in halves]
        except KeyboardInterrupt:
            for half in halves:  # pytest has been told too, and ends what it has started
                half.wait()
            raise
        logs = [(Path(folder) / f"{name}.log").read_text() for name in ("a", "b")]
    return [log for code, log in zip(codes, logs, strict=True) if code]


def _start(folder: Path, name: str, files: Sequence[str], seed: int) -> subprocess.Popen[bytes]:
    options = ["-q", "-p", "no:cacheprovider", "-m", "", "--basetemp", str(folder / name)]
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "pytest", *options, *(str(HERE / file) for file in files)],
            cwd=ROOT,
            env=os.environ | {VARIABLE: str(seed)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
