"""The tracker's process: `python -m sweep.devices.farm.tracker_server LISTEN_FD SUPERVISOR_PID`.

The supervisor starts it. TVM's own entry point runs the tracker in a child of its own that outlives a killed parent,
and picks its port itself. It serves this user's processes alone: whoever may ask it for a board is let in there, and
whoever may register is sent what others measure.
"""

from __future__ import annotations

import importlib.util
import logging
import secrets
import socket
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from sweep.devices.farm.peer import Caller, caller_of
from sweep.devices.processes import die_with_parent

_PACKAGES = ("tvm", "tvm.rpc", "tvm.support")


def main(listen_fd: int, supervisor_pid: int) -> None:
    """Serve the tracker on this listening socket, until killed."""
    die_with_parent(supervisor_pid)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    tracker = _tracker_of_tvm()
    handler = tracker.TCPEventHandler

    def serve_own(server: Any, connection: socket.socket, address: Any) -> None:
        if caller_of(connection) is Caller.OWN:
            handler(server, connection, address)
        else:
            connection.close()

    tracker.TCPEventHandler = serve_own  # TVM's server makes one for each connection, by this name
    tracker._tracker_server(socket.socket(fileno=listen_fd), secrets.token_hex())


def _tracker_of_tvm() -> Any:
    """Its module, with empty packages around it: to import TVM takes 2 s of CPU and 250 MB, and it uses none of it."""
    if (found := importlib.util.find_spec("tvm")) is not None and found.origin is not None:
        for name in _PACKAGES:
            package = ModuleType(name)
            package.__path__ = [str(Path(found.origin).parent.joinpath(*name.split(".")[1:]))]
            sys.modules[name] = package
        try:
            return importlib.import_module("tvm.rpc.tracker")
        except ImportError:  # that of another version may use more of it
            for name in [name for name in sys.modules if name.partition(".")[0] == "tvm"]:
                del sys.modules[name]
    return importlib.import_module("tvm.rpc.tracker")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
