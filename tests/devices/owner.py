"""A process that owns a farm and measures something endless, to be killed: `python -m tests.devices.owner DIR LIB`."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from sweep.devices.device_session import DeviceSession
from sweep.devices.farm.farm import Farm
from tests.devices.parts import make_cluster, make_device


def main(state_dir: Path, endless: Path) -> None:
    device = make_device("one")
    with Farm(make_cluster(device), state_dir) as farm:
        address = farm.status().address
        assert address is not None
        session = DeviceSession(device, address.tracker_host, address.tracker_port, state_dir / "locks")
        session.open()
        threading.Thread(target=session.measure_candidate, args=(endless, []), daemon=True).start()
        print("up", flush=True)
        time.sleep(600)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
