"""`python -m benchmarks [NAME ...]`: all of them, or those named."""

from __future__ import annotations

import sys
from collections.abc import Callable

from benchmarks.planner import bench_planner

BENCHMARKS: dict[str, Callable[[], None]] = {"planner": bench_planner}


def main(names: list[str]) -> int:
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    for name in names or BENCHMARKS:
        BENCHMARKS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
