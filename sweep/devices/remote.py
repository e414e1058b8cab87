"""One RPC session with one board: opened under a time limit, ended whatever happens, its errors in the tree's words.

Each measurement has a session of its own. Its time limit is then the measurement's, on TVM's stock servers too; a board
is given back after each; and a late answer cannot reach another candidate, because the socket it would come by is gone.
"""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.devices.tracker_client import TrackerClient
from sweep.devices.wire import WORKER_CRASHED
from sweep.errors import DeviceLost, MeasureFailed, MeasureTimeout, SweepError

if TYPE_CHECKING:
    from sweep.study.cluster import Device

__all__ = ["Remote", "remote_session"]

SERVER_GRACE_S = 3.0
"""The server ends a session at its limit and says so; the client cuts the line this much later if it said nothing."""
HANDSHAKE_TIMEOUT_S = 10.0
"""A server that the tracker calls free answers within milliseconds, one that is emulated within a second."""
PROBE_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Remote:
    """An open session."""

    rpc: Any
    """tvm.rpc.RPCSession."""
    device: Any
    """tvm.runtime.Device on the other side."""
    shares_files: bool
    """Whether the other side sees this host's files: an upload takes a second per 32 MB, even on loopback."""

    def load(self, lib: Path) -> Any:
        """The shared library as a module of the other side, where no file of ours stays behind."""
        if self.shares_files:
            return self.rpc.load_module(str(lib.resolve(strict=True)))
        self.rpc.upload(str(lib), lib.name)
        module = self.rpc.load_module(lib.name)
        self.rpc.remove(lib.name)
        return module

    def function(self, name: str) -> Any | None:
        """A global function of the other side; None when that side does not have it."""
        try:
            return self.rpc.get_function(name)
        except AttributeError:
            return None


@contextmanager
def remote_session(tracker: TrackerClient, device: Device, timeout_s: float, free_timeout_s: float) -> Iterator[Remote]:
    """A session with the next free board of the device's key, which both sides end after `timeout_s`.

    Raises DeviceLost (no tracker, no such key, none free within `free_timeout_s`, connection broken), MeasureTimeout
    (the session's time was over), MeasureFailed (the code crashed or raised on the board).
    """
    from tvm import rpc

    board = tracker.request(device.key, free_timeout_s)
    peer = (_resolve(board.host), board.port)
    line = _Line(peer)
    remote = None
    try:
        with line.cut_after(HANDSHAKE_TIMEOUT_S):
            session = rpc.connect(*peer, board.match_key, session_timeout=timeout_s)
        line.claim()
        with line.cut_after(timeout_s + SERVER_GRACE_S):
            remote = Remote(session, session.device(_device_type(device.target)), shares_files=device.managed)
            yield remote
    except Exception as error:
        # TVM raises whatever class the other side named; this mark tells its errors from a bug of ours.
        if not hasattr(error, "__tvm_ffi_error__"):
            raise
        raise _translate(error, device.key, line, remote, timeout_s) from error
    finally:
        # Handles that a traceback still holds would keep the session, and with it the board.
        line.cut()


class _Line:
    """The connection of this process to one server.

    TVM's client waits in a blocking read that only the end of the connection ends: shutting it down from outside is the
    one way to limit every call, the handshake included. TVM does not show its socket; it is found by its two ends.
    """

    def __init__(self, peer: tuple[str, int]) -> None:
        self.peer = peer
        self.was_cut = False
        self._own_ends: set[Any] | None = None

    def claim(self) -> None:
        """Know this connection from a later one to the same server, by another session of this process."""
        self._own_ends = {found.getsockname() for found in self._sockets()}

    @contextmanager
    def cut_after(self, limit_s: float) -> Iterator[None]:
        timer = threading.Timer(limit_s, self._cut_late)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def cut(self) -> None:
        for found in self._sockets():
            with suppress(OSError):
                if self._own_ends is None or found.getsockname() in self._own_ends:
                    found.shutdown(socket.SHUT_RDWR)

    def _cut_late(self) -> None:
        self.was_cut = True
        self.cut()

    def _sockets(self) -> Iterator[socket.socket]:
        """This process's sockets that are connected to the server; each a duplicate, closed after its turn."""
        for entry in Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                if not str(entry.readlink()).startswith("socket:"):
                    continue
                with socket.socket(fileno=os.dup(int(entry.name))) as found:
                    if found.family == socket.AF_INET and found.getpeername() == self.peer:
                        yield found


def _translate(error: Exception, key: str, line: _Line, remote: Remote | None, timeout_s: float) -> SweepError:
    text = str(error)
    where = f"{key} at {line.peer[0]}:{line.peer[1]}"
    if remote is None:
        return DeviceLost(f"{where} did not take the session: {one_line(error)}")
    if line.was_cut or "RPCSessionTimeoutError" in text:
        return MeasureTimeout(f"{where} did not finish within {timeout_s:g} s")
    if WORKER_CRASHED in text:
        return MeasureFailed(f"{where}: {text.partition(WORKER_CRASHED + ': ')[2].splitlines()[0]}")
    if not _answers(remote, line):
        return DeviceLost(f"the connection to {where} broke: {one_line(error)}")
    return MeasureFailed(f"{where}: {one_line(error)}")


def _answers(remote: Remote, line: _Line) -> bool:
    try:
        with line.cut_after(PROBE_TIMEOUT_S):
            remote.rpc.get_function("tvm.rpc.server.remove")
    except Exception:  # noqa: BLE001  whatever it is: no answer
        return False
    return True


def one_line(error: BaseException, limit: int = 300) -> str:
    """What the other side said, without the frames and assertions around it."""
    said = str(error).rpartition("Error caught from RPC call:")[2].partition("Stack trace:")[0]
    said = re.sub(r"Check failed: \(.*?\) is false: ", "", " ".join(said.split()))
    return said[:limit] or type(error).__name__


def _device_type(target: Mapping[str, Any]) -> str:
    """TVM's name of the kind of device that runs a kind of target: `llvm` is no device."""
    kind = str(target.get("kind", "llvm"))
    return "cpu" if kind in ("llvm", "c", "native") else kind


def _resolve(host: str) -> str:
    try:
        return str(socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise DeviceLost(f"the tracker sent us to {host!r}, which cannot be resolved: {error}") from error
