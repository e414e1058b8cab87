"""Loops that keep cores busy half of the time, in random bursts."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["beside_bursts"]

SHORTEST_S, LONGEST_S = 0.1, 3.0


@contextmanager
def beside_bursts(seed: int) -> Iterator[None]:
    """One loop on each core of this process, until the block ends."""
    loops = [
        subprocess.Popen([sys.executable, "-m", "tests.noise.bursts", str(core), str(seed + core), str(os.getpid())])
        for core in sorted(os.sched_getaffinity(0))
    ]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def _loop(core: int, seed: int, parent: int) -> None:
    os.sched_setaffinity(0, [core])
    draw = random.Random(seed)
    while os.getppid() == parent:
        ends_s = time.monotonic() + draw.uniform(SHORTEST_S, LONGEST_S)
        while time.monotonic() < ends_s:
            pass
        time.sleep(draw.uniform(SHORTEST_S, LONGEST_S))


if __name__ == "__main__":
    _loop(*map(int, sys.argv[1:4]))
