"""A sweep whose boards and servers fail under it, at a moment that the register of leases shows."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pandas as pd
import psutil

from sweep.devices.leasing.board_health import BoardHealth
from sweep.devices.leasing.register import Register, is_held, now_s
from tests.devices.parts import until
from tests.end_to_end.place import LIMIT_S, Ended, Place

__all__ = ["Begin", "Faulty", "resume", "suspend"]


class Faulty:
    """A sweep under way, and its boards."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.running = place.start()

    def boards(self) -> dict[str, BoardHealth]:
        """All boards of all keys that the sweep has worked with."""
        found: dict[str, BoardHealth] = {}
        for path in (self.place.folder / "cache" / "tvm-sweep" / "locks").glob("*/boards/*.json"):
            found |= Register(path, {}).read()
        return found

    def used(self, for_s: float) -> str:
        """Waits until a board has been under one lease for so long; gives the board."""
        held: list[str] = []

        def is_held() -> bool:
            held[:] = self._held(for_s)
            return bool(held)

        until(is_held, "a lease of a board", LIMIT_S)
        return held[0]

    def wait_for_trials(self, count: int) -> None:
        """Until its tuners have measured so many candidates."""
        until(lambda: len(self._alive().trials()) >= count, f"{count} trials", LIMIT_S)

    def _held(self, for_s: float) -> list[str]:
        self._alive()
        at_s = now_s()
        held = [entry for entry in self.boards().values() if is_held(entry, at_s)]
        return [entry.name for entry in held if time.time() - entry.since > for_s]

    def _alive(self) -> Place:
        assert self.running.poll() is None, f"ended too early: {self.running.communicate()}"
        return self.place

    def holder(self, board: str) -> psutil.Process:
        """Who measures on it: the driver, or the device's actor."""
        held = self.boards()[board].holder
        assert held is not None
        return psutil.Process(held.process.pid)

    def servers(self, board: str) -> list[psutil.Process]:
        """The server of a board that the sweep serves itself, and the worker that has its session."""
        (server,) = [process for process, port, _ in self._farm() if f"127.0.0.1:{port}" == board]
        return [server, *server.children()]

    def tracker(self) -> psutil.Process:
        (tracker,) = [process for process, _, key in self._farm() if key is None]
        return tracker

    def _farm(self) -> list[tuple[psutil.Process, int, str | None]]:
        processes = json.loads((self.place.out / "farm" / "farm.json").read_text())["processes"]
        return [(psutil.Process(one["process"]["pid"]), one["port"], one["key"]) for one in processes]

    def end(self) -> Ended:
        """Waits for the end of the sweep; whatever happened, nobody holds a board then, and no value is a wrong one."""
        out, err = self.running.communicate(timeout=LIMIT_S)
        assert "Traceback" not in err
        assert not [entry for entry in self.boards().values() if is_held(entry, now_s())]
        if (self.place.out / "measurements.parquet").exists():
            values = pd.read_parquet(self.place.out / "measurements.parquet")
            for _, cell in values[values.kind == "repeat"].groupby("cell_id"):
                assert cell.seconds.max() < 8 * cell.seconds.median(), "a pause would show in a mean of a second"
        return Ended(self.running.returncode, out, err)

    def row(self) -> Any:
        """The compiled network's."""
        rows = pd.read_parquet(self.place.out / "results.parquet")
        (row,) = [row for _, row in rows.iterrows() if row.runtime == "tvm"]
        return row

    def failures(self, kind: str = "measure") -> list[tuple[str, str]]:
        """Failed attempts at stages of one kind: class and text."""
        failed = self.place.events("attempt_failed")
        return [(event["error_class"], event["error"]) for event in failed if event["kind"] == kind]

    def kill(self) -> None:
        """For a test that failed before its sweep ended."""
        if self.running.poll() is None:
            os.killpg(self.running.pid, signal.SIGKILL)
            self.running.communicate()
        resume(self.place.processes())


Begin = Callable[[str, str], Faulty]
"""Starts a sweep of a study with a cluster; ended with the test."""


def suspend(processes: Sequence[psutil.Process]) -> None:
    """As a board does that hangs while its kernel lives."""
    for process in processes:
        process.suspend()


def resume(processes: Sequence[psutil.Process]) -> None:
    """The last one first: a server answers for its worker."""
    for process in reversed(processes):
        with suppress(psutil.NoSuchProcess):
            process.resume()
