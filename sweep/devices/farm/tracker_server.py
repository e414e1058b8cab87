"""The tracker's process: `python -m sweep.devices.farm.tracker_server LISTEN_FD SUPERVISOR_PID`.

The supervisor starts it. TVM's own entry point runs the tracker in a child of its own that outlives a killed parent,
and picks its port itself.
"""

from __future__ import annotations

import secrets
import socket
import sys

from sweep.devices.processes import die_with_parent


def main(listen_fd: int, supervisor_pid: int) -> None:
    """Serve the tracker on this listening socket, until killed."""
    die_with_parent(supervisor_pid)
    from tvm.rpc import tracker

    tracker._tracker_server(socket.socket(fileno=listen_fd), secrets.token_hex())


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
