"""One device's RPC server: `python -m sweep.devices.farm.device_server`, started by the supervisor alone.

Speaks to TVM's tracker and TVM's clients as TVM's own server does (tvm/rpc/server.py), with a limit on every wait: a
caller that connects and says nothing, a tracker that restarts, a match key that was given out and never used. Another
user's process is refused before it is listened to: RPC runs what it is sent.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import logging
import os
import secrets
import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sweep.devices.farm.board_worker import serve_session
from sweep.devices.farm.peer import Caller, caller_of
from sweep.devices.measuring import conditions
from sweep.devices.processes import die_with_parent
from sweep.devices.rpc.wire import (
    RPC_MAGIC,
    RPC_MISMATCH,
    TRACKER_MAGIC,
    Code,
    ask,
    receive_exactly,
    receive_int,
    send_int,
)
from sweep.installation import torch_left_out

log = logging.getLogger(__name__)

HANDSHAKE_TIMEOUT_S = 2.0
"""For a caller to say who it is; as long as one may keep others from the device by saying nothing."""
TRACKER_TIMEOUT_S = 5.0
PING_INTERVAL_S = 2.0
UNUSED_KEY_PINGS = 4
"""A match key that a client fetched and did not use in this many pings is replaced, else the device would be lost."""
RECONNECT_INTERVAL_S = 0.2
MAX_KEY_BYTES = 4096


def main() -> None:
    """Serve the device that the command line names, until killed."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser()
    parser.add_argument("--key", required=True)
    parser.add_argument("--listen-fd", type=int, required=True)
    parser.add_argument("--supervisor-pid", type=int, required=True)
    parser.add_argument("--tracker", required=True, help="host:port")
    parser.add_argument("--cores", required=True, help="comma-separated; empty: any")
    arguments = parser.parse_args()
    die_with_parent(arguments.supervisor_pid)
    if arguments.cores:
        # Before TVM is loaded: every thread that starts later inherits it.
        os.sched_setaffinity(0, {int(core) for core in arguments.cores.split(",")})
    _load_tvm()
    host, _, port = arguments.tracker.rpartition(":")
    serve(socket.socket(fileno=arguments.listen_fd), arguments.key, (host, int(port)))


def serve(listening: socket.socket, key: str, tracker: tuple[str, int]) -> None:
    """Register at the tracker and serve one session after the other, for ever."""
    while True:
        try:
            with _registered(listening, key, tracker) as connection:
                while True:
                    match_key = _offer(connection, listening, key)
                    _serve_next(connection, listening, key, match_key)
        except (OSError, ValueError) as error:
            log.info("the tracker is away, trying again: %s", error)
            time.sleep(RECONNECT_INTERVAL_S)


@contextmanager
def _registered(listening: socket.socket, key: str, tracker: tuple[str, int]) -> Iterator[socket.socket]:
    with socket.create_connection(tracker, timeout=TRACKER_TIMEOUT_S) as connection:
        send_int(connection, TRACKER_MAGIC)
        if receive_int(connection) != TRACKER_MAGIC:
            raise ValueError("not a TVM tracker")
        ask(connection, [Code.UPDATE_INFO, {"key": f"server:{key}", "addr": listening.getsockname()}])
        yield connection


def _offer(tracker: socket.socket, listening: socket.socket, key: str) -> str:
    """Tell the tracker that this device is free, under a new match key."""
    host, port = listening.getsockname()
    match_key = f"{key}:{secrets.token_hex(16)}"
    ask(tracker, [Code.PUT, key, (port, match_key), host])
    return match_key


def _serve_next(tracker: socket.socket, listening: socket.socket, key: str, match_key: str) -> None:
    """Serve the one client that knows `match_key`; return too when somebody fetched it and never came."""
    unused_pings = 0
    while unused_pings < UNUSED_KEY_PINGS:
        ready, _, _ = select.select([listening, tracker], [], [], PING_INTERVAL_S)
        if tracker in ready:
            raise ConnectionError("it closed the connection")
        if listening in ready:
            connection, _ = listening.accept()
            with connection:
                if _serve_caller(connection, key, match_key):
                    return
        else:
            unused_pings = 0 if match_key in ask(tracker, [Code.PENDING_MATCH_KEYS]) else unused_pings + 1


def _serve_caller(connection: socket.socket, key: str, match_key: str) -> bool:
    """Whether this caller had the match key, which is then used up, even if it was served no more."""
    caller = caller_of(connection)
    if caller is Caller.OTHER:
        return False
    try:
        connection.settimeout(HANDSHAKE_TIMEOUT_S)
        name, options = _listen_to(connection)
        if name != f"client:{match_key}":
            send_int(connection, RPC_MISMATCH)
            return False
    except (OSError, ValueError) as error:
        log.info("a caller was refused: %s", error)
        return False
    if caller is Caller.GONE:
        return True
    try:
        own_name = f"server:{key}".encode()
        send_int(connection, RPC_MAGIC)
        send_int(connection, len(own_name))
        connection.sendall(own_name)
    except OSError as error:
        log.info("the client went away: %s", error)
        return True
    connection.settimeout(None)
    serve_session(connection, options.get("timeout"))
    return True


def _listen_to(connection: socket.socket) -> tuple[str, dict[str, float]]:
    """What a client calls itself, and its options (`timeout`, in seconds). Raises OSError, ValueError."""
    magic = receive_int(connection)
    if magic != RPC_MAGIC:
        raise ValueError(f"it began with {magic:#x}")
    size_bytes = receive_int(connection)
    if not 0 < size_bytes <= MAX_KEY_BYTES:
        raise ValueError(f"its name has {size_bytes} bytes")
    name, *options = receive_exactly(connection, size_bytes).decode().split()
    pairs = [option.removeprefix("-").partition("=") for option in options]
    return name, {option: float(value) for option, _, value in pairs}


def _load_tvm() -> None:
    """TVM, the library with MetaSchedule's random fill (a runtime-only TVM does not load it), and our observers."""
    with torch_left_out():
        import tvm
        import tvm.rpc.server
        import tvm_ffi

    extra = Path(tvm.__file__).parent / "lib" / "libtvm_runtime_extra.so"
    if extra.exists():
        ctypes.CDLL(str(extra), ctypes.RTLD_GLOBAL)
    tvm.rpc.server.logger.setLevel("WARNING")
    tvm_ffi.register_global_func("sweep.observe", lambda: json.dumps(conditions.observe()), override=True)
    tvm_ffi.register_global_func("sweep.reset_peak", lambda: conditions.reset_peak() or 0, override=True)
    tvm_ffi.register_global_func("sweep.peak_bytes", lambda: conditions.peak_bytes() or 0, override=True)


if __name__ == "__main__":
    main()
