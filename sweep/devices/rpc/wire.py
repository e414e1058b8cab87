"""The words of TVM's RPC handshake and tracker (tvm/rpc/base.py, tracker.py): 4-byte integers, JSON after its length.

Written here so that a wait can have a limit and a message goes out in one piece: TVM sends length and text apart, and
the delayed acknowledgement between them costs 44 ms a message, twice for each session and once for each return.
"""

from __future__ import annotations

import json
import socket
import struct
from enum import IntEnum
from typing import Any

__all__ = [
    "RPC_MAGIC",
    "RPC_MISMATCH",
    "TRACKER_MAGIC",
    "WORKER_CRASHED",
    "WORKER_KILLED",
    "Code",
    "ask",
    "receive_exactly",
    "receive_int",
    "send_int",
]

RPC_MAGIC = 0xFF271
RPC_MISMATCH = RPC_MAGIC + 2
TRACKER_MAGIC = 0x2F271
WORKER_CRASHED = "SweepWorkerCrashed"
"""Ours: marks the exception that a client gets when its worker ended under it. The code's fault, the device is well."""
WORKER_KILLED = "its worker was killed"
"""What follows the mark where somebody else ended the worker: that is not the code's fault either."""
MAX_MESSAGE_BYTES = 1 << 24
"""A summary of a thousand devices is under 100 KB; more is not a tracker."""


class Code(IntEnum):
    """The codes of the tracker's protocol, as in tvm.rpc.base.TrackerCode."""

    SUCCESS = 0
    PUT = 3
    REQUEST = 4
    UPDATE_INFO = 5
    SUMMARY = 6
    PENDING_MATCH_KEYS = 7


def ask(connection: socket.socket, message: list[Any]) -> Any:
    """One question to the tracker and its answer. Raises OSError, or ValueError when the answer is not a tracker's."""
    text = json.dumps(message).encode()
    connection.sendall(struct.pack("<i", len(text)) + text)
    size_bytes = receive_int(connection)
    if not 0 < size_bytes <= MAX_MESSAGE_BYTES:
        raise ValueError(f"a message of {size_bytes} bytes")
    return json.loads(receive_exactly(connection, size_bytes))


def send_int(connection: socket.socket, value: int) -> None:
    """One 4-byte word."""
    connection.sendall(struct.pack("<i", value))


def receive_int(connection: socket.socket) -> int:
    """One 4-byte word. Raises OSError."""
    return int(struct.unpack("<i", receive_exactly(connection, 4))[0])


def receive_exactly(connection: socket.socket, count: int) -> bytes:
    """All of `count` bytes. Raises OSError, also when the other side closes before."""
    parts = []
    while count > 0:
        # A tracker that sends length and text apart waits for the acknowledgement of the first: give it at once.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        part = connection.recv(min(count, 1 << 16))
        if not part:
            raise ConnectionError("the connection was closed")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
