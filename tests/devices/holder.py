"""A process that takes a lease or a core and gives it back when told: `python -m tests.devices.holder DIR NAME S`.

Says `held`, waits for a line on standard input, and then says what came of it. NAME: `core 0`, or a board. S: seconds
that its lease lasts.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sweep.devices.leasing import board_health, lease
from sweep.devices.leasing.cores import core_lock
from sweep.devices.leasing.register import boards_of
from sweep.errors import DeviceLost


def main(lock_dir: Path, name: str, lease_s: float) -> None:
    board_health.LEASE_S, lease.RENEW_S = lease_s, lease_s / 4
    try:
        if name.startswith("core "):
            with core_lock(lock_dir, [int(name.removeprefix("core "))]):
                print("held", flush=True)
                sys.stdin.readline()
        else:
            mine = lease.take(boards_of(lock_dir, "tracker:1", "key"), [name], lease.myself(), 60.0)
            print("held", flush=True)
            sys.stdin.readline()
            mine.release()
        print("given back", flush=True)
    except DeviceLost as error:
        print(f"DeviceLost: {error}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
