"""Tells whose process is at the other end of a connection over loopback, before a word of it is read.

TVM's RPC runs what it is sent, and speaks TCP, which knows no file permissions: every user of a host reaches every port
of its loopback. The kernel knows the owner of both ends: its answer to a question about one connection (sock_diag(7))
takes 13 us, its table of all of them (proc(5), for sandboxes that lack the first) 8 ms. Linux only.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import struct
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

__all__ = ["FURTHER_UIDS", "Caller", "PeerUnknown", "caller_between", "caller_of", "uid_of_peer"]

log = logging.getLogger(__name__)

FURTHER_UIDS = "SWEEP_FARM_UIDS"
"""Variable with numbers of further users, by commas: such as those of Ray's workers with an account of their own."""
_SOCK_DIAG, _BY_FAMILY, _REQUEST, _ERROR = 4, 20, 1, 2
_MESSAGE = struct.Struct("=IHHII")
"""Length, type, flags, sequence, port."""
_ANSWER = struct.Struct("=BBBB48xIIIII")
"""Family, state, timer, retransmissions, the connection's name, expiry, two queues, user, inode."""
_ESTABLISHED = 1
"""A socket that was closed belongs to root, whoever had it."""
_TABLE = Path("/proc/self/net/tcp")
_STATE, _UID, _INODE = 3, 7, 9
_TRIES, _PAUSE_S = 3, 0.01
"""The table is read in parts, between which entries move."""


class PeerUnknown(OSError):
    """The kernel does not tell, here."""


@dataclass(frozen=True, slots=True)
class _End:
    """One end of a connection."""

    state: int
    uid: int
    inode: int

    @property
    def owner(self) -> int | None:
        return self.uid if self.state == _ESTABLISHED and self.inode else None


class Caller(Enum):
    """Whose process is at the other end."""

    OWN = "this user's"
    """Or that of a user that SWEEP_FARM_UIDS names."""
    OTHER = "another user's"
    GONE = "nobody's any more"
    """What it has said may be read, and nothing be done for it: nobody knows whose it was."""


def caller_of(connection: socket.socket) -> Caller:
    """Whose process is at the other end. Where the kernel does not tell, all are this user's."""
    try:
        return caller_between(connection.getpeername(), connection.getsockname())
    except OSError:
        return Caller.GONE


def caller_between(theirs: tuple[str, int], ours: tuple[str, int]) -> Caller:
    """The same of a connection by the addresses of both ends."""
    try:
        uid = _owner(theirs, ours)
    except PeerUnknown as error:
        log.info("whose process a caller is cannot be told, so that all are served: %s", error)
        return Caller.OWN
    except OSError:
        return Caller.GONE
    if uid is None:
        return Caller.GONE
    if uid in {os.getuid(), *_further()}:
        return Caller.OWN
    log.info("a caller was refused: it is a process of user %s", uid)
    return Caller.OTHER


def uid_of_peer(connection: socket.socket) -> int | None:
    """Owner of the socket at the other end; None where there is none any more.

    Raises:
        PeerUnknown: the kernel does not tell.
        OSError: the connection has ended.
    """
    return _owner(connection.getpeername(), connection.getsockname())


def _owner(theirs: tuple[str, int], ours: tuple[str, int]) -> int | None:
    try:
        found = _asked(theirs, ours)
    except OSError:
        found = _in_table(theirs, ours)
    return None if found is None else found.owner


def _asked(theirs: tuple[str, int], ours: tuple[str, int]) -> _End | None:
    """By a question about this one. Raises OSError."""
    addresses = (socket.inet_aton(address).ljust(16, b"\0") for address, _ in (theirs, ours))
    name = struct.pack("!HH", theirs[1], ours[1]) + b"".join(addresses) + struct.pack("=III", 0, 2**32 - 1, 2**32 - 1)
    question = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, 2**32 - 1) + name
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
        kernel.settimeout(1.0)
        kernel.sendto(_MESSAGE.pack(_MESSAGE.size + len(question), _BY_FAMILY, _REQUEST, 1, 0) + question, (0, 0))
        answer = kernel.recv(8192)
    if _MESSAGE.unpack_from(answer)[1] == _ERROR:
        number = -int(struct.unpack_from("=i", answer, _MESSAGE.size)[0])
        if number == errno.ENOENT:
            return None
        raise OSError(number, os.strerror(number))
    _, state, _, _, _, _, _, uid, inode = _ANSWER.unpack_from(answer, _MESSAGE.size)
    return _End(state, uid, inode)


def _in_table(theirs: tuple[str, int], ours: tuple[str, int]) -> _End | None:
    """By the table of all. Raises PeerUnknown where there is none."""
    pair = f" {_written(theirs)} {_written(ours)} ".encode()
    for _ in range(_TRIES):
        try:
            before, found, after = _TABLE.read_bytes().partition(pair)
        except OSError as error:
            raise PeerUnknown(error.errno, error.strerror, str(_TABLE)) from error
        if found:
            fields = (before.rpartition(b"\n")[2] + found + after.partition(b"\n")[0]).split()
            return _End(int(fields[_STATE], 16), int(fields[_UID]), int(fields[_INODE]))
        time.sleep(_PAUSE_S)
    return None


def _further() -> set[int]:
    return {int(part) for part in os.environ.get(FURTHER_UIDS, "").split(",") if part.strip().isdecimal()}


def _written(address: tuple[str, int]) -> str:
    """As the table has it: the bytes of the address as one number of this machine."""
    (number,) = struct.unpack("=I", socket.inet_aton(address[0]))
    return f"{number:08X}:{address[1]:04X}"
