"""One RPC session with one board: opened under a time limit, ended whatever happens, its errors in the tree's words.

Each measurement has a session of its own. Its time limit is then the measurement's, on TVM's stock servers too; a board
is given back after each; and a late answer cannot reach another candidate, because the socket it would come by is gone.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.devices.rpc.wire import RPC_MAGIC, WORKER_CRASHED, WORKER_KILLED
from sweep.errors import DeviceLost, MeasureFailed, MeasureTimeout, SweepError, WorkerKilled
from sweep.installation import bind_submodules, torch_left_out

if TYPE_CHECKING:
    from sweep.devices.rpc.tracker_client import Board
    from sweep.study.cluster.cluster import Device

__all__ = ["Connection", "Remote", "decline", "device_type", "load_client"]

SERVER_GRACE_S = 3.0
"""The server ends a session at its limit and says so; the client cuts the line this much later if it said nothing."""
HANDSHAKE_TIMEOUT_S = 10.0
"""A server that the tracker calls free answers within milliseconds, one that is emulated within a second."""
PROBE_TIMEOUT_S = 2.0
ALIVE_IDLE_S, ALIVE_INTERVAL_S, ALIVE_PROBES = 10, 5, 4
"""The kernel of a board answers its probes while the board computes; where none does for 30 s, it is gone. The same
where what we send is not acknowledged, or not read, for as long: our kernel would try again for a quarter of an hour.
"""


@dataclass(frozen=True, slots=True)
class Remote:
    """An open RPC session with one board."""

    rpc: Any
    """tvm.rpc.RPCSession."""
    device: Any
    """tvm.runtime.Device on the other side."""
    shares_files: bool
    """Whether the other side sees this host's files: an upload takes a second per 32 MB, even on loopback."""
    board: str
    """The server's address, host:port."""

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


class Connection:
    """The connection to a board that has accepted the handshake; `serving` gives its session for a block."""

    def __init__(self, board: Board, device: Device, timeout_s: float) -> None:
        """Shake hands; both sides end the session after `timeout_s`. Raises DeviceLost where the board does not."""
        rpc = load_client()
        self._board, self._device, self._timeout_s = board, device, timeout_s
        self._line = _Line((_resolve(board.host), board.port))
        try:
            with self._line.cut_after(HANDSHAKE_TIMEOUT_S):
                self._session = rpc.connect(*self._line.peer, board.match_key, session_timeout=timeout_s)
            self._line.claim()
        except Exception as error:
            self._line.cut()
            if not hasattr(error, "__tvm_ffi_error__"):
                raise
            raise DeviceLost(f"{self._where} did not take the session: {one_line(error)}") from error

    @contextmanager
    def serving(self) -> Iterator[Remote]:
        """The other side, for the time of the block; the session ends with it.

        Raises MeasureTimeout (the board says that the session's time is over), MeasureFailed (the code crashed or
        raised there), DeviceLost (the connection broke, or the board said nothing when the time was over).
        """
        remote = None
        try:
            with self._line.cut_after(self._timeout_s + SERVER_GRACE_S):
                device = self._session.device(device_type(self._device.target))
                remote = Remote(self._session, device, self._device.managed, self._board.address)
                yield remote
        except Exception as error:
            # TVM raises whatever class the other side named; this mark tells its errors from a bug of ours.
            if not hasattr(error, "__tvm_ffi_error__"):
                raise
            raise self._translate(error, remote) from error
        finally:
            # Handles that a traceback still holds would keep the session, and with it the board.
            self._line.cut()

    @property
    def _where(self) -> str:
        return f"{self._device.key} at {self._line.peer[0]}:{self._line.peer[1]}"

    def _translate(self, error: Exception, remote: Remote | None) -> SweepError:
        text = str(error)
        if self._line.was_cut:
            # A server ends a session at its limit and says so, whatever the code does: this one hangs.
            return DeviceLost(
                f"{self._where} said nothing for {SERVER_GRACE_S:g} s after {self._timeout_s:g} s were over"
            )
        if "RPCSessionTimeoutError" in text:
            return MeasureTimeout(f"{self._where} did not finish within {self._timeout_s:g} s")
        if WORKER_CRASHED in text:
            how = text.partition(WORKER_CRASHED + ": ")[2].splitlines()[0]
            return (WorkerKilled if WORKER_KILLED in how else MeasureFailed)(f"{self._where}: {how}")
        if remote is None or not self._answers():
            return DeviceLost(f"the connection to {self._where} broke: {one_line(error)}")
        return MeasureFailed(f"{self._where}: {one_line(error)}")

    def _answers(self) -> bool:
        try:
            with self._line.cut_after(PROBE_TIMEOUT_S):
                self._session.get_function("tvm.rpc.server.remove")
        except Exception:  # noqa: BLE001  whatever it is: no answer
            return False
        return True


@cache
def load_client() -> Any:
    """Load TVM, which takes seconds once: before a board is held, not while. Gives its module of clients."""
    with torch_left_out():
        from tvm import rpc

    bind_submodules(rpc.__name__.partition(".")[0])
    return rpc


def decline(board: Board) -> None:
    """Let a board that was handed to us offer itself again at once, and not when it has waited for us."""
    name = f"client:{board.match_key}".encode()
    with suppress(OSError), socket.create_connection((board.host, board.port), timeout=PROBE_TIMEOUT_S) as caller:
        caller.sendall(struct.pack("<ii", RPC_MAGIC, len(name)) + name)


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
        self._own_ends = {_kept_alive(found).getsockname() for found in self._sockets()}

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


def _kept_alive(connection: socket.socket) -> socket.socket:
    """A board that lost its power or its network ends the session in this many seconds, not at the session's limit."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, ALIVE_IDLE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, ALIVE_INTERVAL_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, ALIVE_PROBES)
    silence_ms = 1000 * (ALIVE_IDLE_S + ALIVE_INTERVAL_S * ALIVE_PROBES)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, silence_ms)
    return connection


def one_line(error: BaseException, limit: int = 300) -> str:
    """What the other side said, without the frames and assertions around it."""
    said = str(error).rpartition("Error caught from RPC call:")[2].partition("Stack trace:")[0]
    said = re.sub(r"Check failed: \(.*?\) is false: ", "", " ".join(said.split()))
    return said[:limit] or type(error).__name__


def device_type(target: Mapping[str, Any]) -> str:
    """TVM's name of the kind of device that runs a kind of target: `llvm` is no device."""
    kind = str(target.get("kind", "llvm"))
    return "cpu" if kind in ("llvm", "c", "native") else kind


def _resolve(host: str) -> str:
    try:
        return str(socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise DeviceLost(f"the tracker sent us to {host!r}, which cannot be resolved: {error}") from error
