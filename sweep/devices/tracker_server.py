"""The tracker's process: `python -m sweep.devices.tracker_server LISTEN_FD`, started by the warden alone.

TVM's own entry point runs the tracker in a child of its own that outlives a killed parent, and picks its port itself.
"""

from __future__ import annotations

import os
import socket
import sys

from sweep.devices.processes import die_with_parent


def main(listen_fd: int) -> None:
    """Serve the tracker on this listening socket, until killed."""
    die_with_parent(os.getppid())
    from tvm.rpc import tracker

    tracker._tracker_server(socket.socket(fileno=listen_fd), "")


if __name__ == "__main__":
    main(int(sys.argv[1]))
