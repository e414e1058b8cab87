"""The tracker's process: `python -m sweep.devices.farm.tracker_server LISTEN_FD SUPERVISOR_PID`.

The supervisor starts it. TVM's own entry point runs the tracker in a child of its own that outlives a killed parent,
and picks its port itself. It serves this user's processes alone: whoever may ask it for a board is let in there, and
whoever may register is sent what others measure.
"""

from __future__ import annotations

import logging
import secrets
import socket
import sys
from typing import Any

from sweep.devices.farm.peer import Caller, caller_of
from sweep.devices.processes import die_with_parent


def main(listen_fd: int, supervisor_pid: int) -> None:
    """Serve the tracker on this listening socket, until killed."""
    die_with_parent(supervisor_pid)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    from tvm.rpc import tracker

    handler = tracker.TCPEventHandler

    def serve_own(server: Any, connection: socket.socket, address: Any) -> None:
        if caller_of(connection) is Caller.OWN:
            handler(server, connection, address)
        else:
            connection.close()

    tracker.TCPEventHandler = serve_own  # TVM's server makes one for each connection, by this name
    tracker._tracker_server(socket.socket(fileno=listen_fd), secrets.token_hex())


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
