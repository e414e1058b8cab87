"""Speaks TVM's tracker protocol with a time limit on every word.

TVM's own client sleeps 5 s per refused connection and waits for a free device for ever; neither is acceptable to a run
that has other devices to use.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sweep.devices.rpc.wire import TRACKER_MAGIC, Code, ask, receive_int, send_int
from sweep.errors import DeviceLost

__all__ = ["Board", "KeyState", "TrackerClient"]

ANSWER_TIMEOUT_S = 5.0
"""A tracker answers within milliseconds; one that is being restarted within a second."""
POLL_INTERVAL_S = 0.05


@dataclass(frozen=True, slots=True)
class Board:
    """One server that the tracker handed to us, for one connection."""

    host: str
    port: int
    match_key: str
    """Proves to the server that the tracker sent us; good once."""

    @property
    def address(self) -> str:
        """host:port, by which boards of one key are told apart."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class KeyState:
    """The tracker's counts for one key: servers in all, free ones, and requests that wait."""

    total: int
    """Servers that hold a connection to the tracker, busy ones included."""
    free: int
    waiting: int
    """Requests in the queue."""
    ports: tuple[int, ...]
    boards: tuple[str, ...] = ()
    """Their addresses, host:port."""


@dataclass(frozen=True, slots=True)
class TrackerClient:
    """A tracker's address; each question is a connection of its own, so a restarted tracker needs no reconnect."""

    host: str
    port: int

    def keys(self) -> dict[str, KeyState]:
        """Every key that a server registered. Raises DeviceLost when no tracker answers."""
        with self._connection(ANSWER_TIMEOUT_S) as connection:
            code, summary = ask(connection, [Code.SUMMARY])
        if code != Code.SUCCESS:
            raise DeviceLost(f"the tracker at {self.host}:{self.port} refused to sum up its devices")
        servers: dict[str, list[tuple[int, str]]] = {}
        for server in summary["server_info"]:
            host, port = server["addr"]
            servers.setdefault(server["key"].removeprefix("server:"), []).append((int(port), str(host)))
        queues = summary["queue_info"]
        return {
            key: KeyState(
                total=len(of_key),
                free=queues.get(key, {}).get("free", 0),
                waiting=queues.get(key, {}).get("pending", 0),
                ports=tuple(port for port, _ in sorted(of_key)),
                boards=tuple(f"{host}:{port}" for port, host in sorted(of_key)),
            )
            for key, of_key in sorted(servers.items())
        }

    def wait_for(self, key: str, timeout_s: float) -> KeyState:
        """The state of a key that may appear only now.

        Raises DeviceLost when no tracker answers, or the key is not there in time (with those that are).
        """
        deadline = time.monotonic() + timeout_s
        while key not in (there := self.keys()):
            if time.monotonic() >= deadline:
                known = ", ".join(there) or "none"
                raise DeviceLost(f"the tracker at {self.host}:{self.port} has no device {key!r}; keys there: {known}")
            time.sleep(POLL_INTERVAL_S)
        return there[key]

    def request(self, key: str, timeout_s: float) -> Board | None:
        """The next free server of `key`; None when all were busy for `timeout_s`. Raises DeviceLost.

        A server that is not connected to then offers itself again after 8 s.
        """
        with self._connection(max(0.1, timeout_s)) as connection:
            # Closing the connection withdraws the request: the tracker offers the server to the next in the queue.
            try:
                code, answer = ask(connection, [Code.REQUEST, key, "", 1])
            except TimeoutError:
                return None
        if code != Code.SUCCESS:
            raise DeviceLost(f"the tracker at {self.host}:{self.port} refused the request for {key!r}")
        host, port, match_key = answer
        return Board(host, int(port), match_key)

    @contextmanager
    def _connection(self, timeout_s: float) -> Iterator[socket.socket]:
        where = f"{self.host}:{self.port}"
        try:
            with socket.create_connection(
                (self.host, self.port), timeout=min(timeout_s, ANSWER_TIMEOUT_S)
            ) as connection:
                send_int(connection, TRACKER_MAGIC)
                if receive_int(connection) != TRACKER_MAGIC:
                    raise DeviceLost(f"what answers at {where} is not a TVM tracker")
                connection.settimeout(timeout_s)
                yield connection
        except OSError as error:
            raise DeviceLost(f"no tracker answers at {where}: {error}") from error
        except ValueError as error:
            raise DeviceLost(f"what answers at {where} is not a TVM tracker: {error}") from error
