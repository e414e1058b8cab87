"""Changes files of finished sweeps, studies, clusters and models at random, and runs the commands that read them.

    python -m tests.fuzz --mutations 10000 --seconds 3600     # a night
    python -m tests.fuzz --seconds 120                        # two minutes

A case is its seed. It fails where a command ends in a traceback, in a signal, after its time limit, or writes outside
its folder; then it says how the same is done again, and where the files are.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.campaign import Campaign, Failure


def main(arguments: Sequence[str]) -> int:
    """Run cases until their number or the time is over; 0 when none has failed."""
    parser = argparse.ArgumentParser("python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--mutations", type=int, default=10_000, help="cases at most")
    parser.add_argument("--seconds", type=float, default=3600.0, help="time at most")
    parser.add_argument("--seed", type=int, help="of the first case; each next one's is one more")
    parser.add_argument("--imports", type=float, default=0.02, help="share of cases that import a model with TVM")
    parser.add_argument("--jobs", type=int, default=1, help="cases at a time")
    parser.add_argument("--keep-going", action="store_true", help="do not end at the tenth failure")
    asked = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(10**9) if asked.seed is None else asked.seed
    home = Path(tempfile.mkdtemp(prefix="sweep-fuzz-"))

    def say(failure: Failure) -> None:
        changed = ", ".join(failure.changed)
        print(f"seed {failure.seed}: {failure.what}\n  files: {failure.folder} (changed: {changed})")
        print(
            f"  again: python -m tests.fuzz --seed {failure.seed} --mutations 1 --imports {asked.imports}", flush=True
        )

    with Campaign(home, seed, asked.jobs, asked.imports, say) as campaign:
        ended = campaign.run(asked.mutations, asked.seconds, most_failures=None if asked.keep_going else 10)
    print(ended.line)
    if not ended.failures:
        shutil.rmtree(home)
    return 1 if ended.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
