"""Bringing a sweep into MLflow: the process that does so while it runs, and the whole of a finished one at once."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import filelock

from sweep.analysis.outcome import SweepOutcome
from sweep.analysis.results import Results, derive
from sweep.api.session.connectivity import check_store
from sweep.errors import LedgerError, RecordError
from sweep.files.sweep_dir import SweepDir
from sweep.running.ledger.ledger import is_held, read_ledger
from sweep.running.ledger.sweep_outcome import sweep_outcome

if TYPE_CHECKING:
    from sweep.record.mlflow.ledger_mirror import LedgerMirror
    from sweep.record.mlflow.mirror_process import MirrorOrder

__all__ = ["MirrorProcess", "Mirrored", "mirror", "order_for", "write_results"]

_TELL_EVERY_S = 5.0
_SILENCE_S = 120.0
"""In which the mirror may say nothing at all, neither of cells nor of trouble: one large upload, a slow start."""
_TRIES = 3
Say = Callable[[str], None]


def order_for(sweep_dir: Path, study: str, tracking_uri: str | None) -> MirrorOrder:
    """What a mirror is told; `tracking_uri` None: a store in the sweep directory."""
    from sweep.record.mlflow.mirror_process import MirrorOrder

    # The embedded store is this sweep's alone and moves with it; elsewhere a folder is known by its place
    place = hashlib.sha256(f"{platform.node()}:{sweep_dir}".encode()).hexdigest()[:16]
    return MirrorOrder(str(sweep_dir), tracking_uri, study if tracking_uri is None else place, sweep_dir.name)


class MirrorProcess:
    """A context: the mirror process beside a run. Only `settle` and `finish` wait for the store."""

    def __init__(self, order: MirrorOrder, say: Say | None = None) -> None:
        """`say` is told how far it is while a run waits for it."""
        self._order, self._say = order, say or (lambda line: None)
        self.patience_s = 20.0
        """`settle` and `finish` wait as long as cells are written, and this long where the store refuses."""
        self.limit_s = math.inf
        """Longer than this neither of them waits, also while cells are written."""
        self._child: subprocess.Popen[str] | None = None
        self._news = threading.Condition()
        self._runs: dict[str, str] = {}
        self._left = 0
        self._trouble: str | None = None
        self._has_settled = self._has_finished = self._has_ended = False

    @property
    def tracking_uri(self) -> str | None:
        """None: a store in the sweep directory."""
        return self._order.tracking_uri

    @property
    def run_ids(self) -> Mapping[str, str]:
        """Run of each cell that is in MLflow, by the cell's id."""
        with self._news:
            return dict(self._runs)

    def start(self) -> None:
        """Begin; the child has the cores that this process has now."""
        self._child = subprocess.Popen(
            [sys.executable, "-m", "sweep.record.mlflow.mirror_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C in a terminal is the driver's
        )
        self._listener = threading.Thread(target=self._listen, args=(self._child,), daemon=True)
        self._listener.start()
        self._tell(self._order.to_json())

    def settle(self) -> bool:
        """After the last event: wait until every cell is in MLflow. False where it does not get on."""
        self._tell("settle")
        return self._wait(lambda: self._has_settled)

    def finish(self, status: str) -> bool:
        """After the tables: wait until they are in MLflow too. False where it does not get on."""
        self._tell(f"finish {status}")
        return self._wait(lambda: self._has_finished)

    @property
    def trouble(self) -> str:
        """Why it does not get on."""
        with self._news:
            return self._trouble or ("its process ended" if self._has_ended else "it takes too long")

    def __enter__(self) -> MirrorProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is None:
            return
        if not self._has_finished:
            self._child.kill()
        with self._child:  # closes its pipes, and waits for it
            self._listener.join()

    def _tell(self, word: str) -> None:
        assert self._child is not None
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(word + "\n")
            self._child.stdin.flush()
        except OSError:  # it has ended, as `_listen` notes
            pass

    def _listen(self, child: subprocess.Popen[str]) -> None:
        assert child.stdout is not None
        for line in child.stdout:
            told = json.loads(line)
            with self._news:
                self._runs.update(told.get("runs", {}))
                self._left = told.get("left", self._left)
                self._has_settled |= "settled" in told
                self._has_finished |= "finished" in told
                if "trouble" in told:
                    self._note(told["trouble"])
                self._news.notify_all()
        with self._news:
            self._has_ended = True
            self._news.notify_all()

    def _note(self, trouble: str | None) -> None:
        if trouble is not None and self._trouble is None:
            logging.getLogger(__name__).warning("MLflow takes nothing now and is tried again: %s", trouble)
        self._trouble = trouble

    def _wait(self, is_done: Callable[[], bool]) -> bool:
        """Until it is done, or the store has taken nothing for a while."""
        seen, got_on = -1, time.monotonic()
        begun = told = got_on
        with self._news:
            while not is_done() and not self._has_ended:
                now = time.monotonic()
                if len(self._runs) != seen:
                    seen, got_on = len(self._runs), now
                patience_s = _SILENCE_S if self._trouble is None else self.patience_s
                if now - got_on > patience_s or now - begun > self.limit_s:
                    return False
                if now - told > _TELL_EVERY_S:
                    told = now
                    self._say(f"MLflow: {self._left:,} cells left to write")
                self._news.wait(0.5)
            return is_done()


@dataclass(frozen=True, slots=True)
class Mirrored:
    """A sweep that was brought into MLflow."""

    sweep_dir: Path
    tracking_uri: str
    run_ids: Mapping[str, str]
    """Run of each cell, by the cell's id."""


def mirror(sweep_dir: Path | str, to: str | None = None, say: Say | None = None) -> Mirrored:
    """Write what is missing of a sweep into an MLflow store, and the names of its runs into its tables and report.

    `to`: a tracking server or database; None: the store in the sweep directory. A store that was lost is made anew.

    Raises:
        StudyError: `to` is no store, or nobody answers there.
        LedgerError: the folder is not a sweep directory, or is being run, which mirrors it already.
        RecordError: the store cannot be read or written.
    """
    from sweep.record.mlflow.mirror_process import finish
    from sweep.record.mlflow.tracking_store import without_password
    from sweep.running.ledger.saved_plan import restore

    if to is not None:
        check_store(to, "--to")
    state = read_ledger(Path(sweep_dir))
    folder = Path(sweep_dir).absolute()
    if is_held(folder):
        raise LedgerError(f"{folder} is being run, and its run mirrors it")
    sweep = restore(folder)
    following = order_for(folder, sweep.study, to).following(sweep)
    try:
        with filelock.FileLock(SweepDir(folder).mlflow_lock, timeout=0):
            _step_until_all_in(following, say or (lambda line: None))
            run_ids = following.mirror.run_ids
            write_results(sweep_outcome(sweep.plan, sweep.question, state, folder), run_ids, to)
            finish(following, folder, state.last_status or "interrupted")
    except filelock.Timeout as error:
        raise LedgerError(f"{folder} is being mirrored by another process") from error
    return Mirrored(folder, without_password(following.mirror.tracking_uri), run_ids)


def write_results(outcome: SweepOutcome, run_ids: Mapping[str, str], tracking_uri: str | None) -> Results:
    """Tables and report, with the names of the MLflow runs and where they are."""
    from sweep.record.parquet_tables import write_tables
    from sweep.record.table_source import source_of
    from sweep.report.writing import write_report

    source = source_of(outcome.sweep_dir)
    results = derive(outcome, run_ids, tracking_uri)
    write_tables(results, outcome.sweep_dir, source)
    write_report(results, outcome.sweep_dir)
    return results


def _step_until_all_in(following: LedgerMirror, say: Say) -> None:
    tries, told = 0, time.monotonic()
    while following.left or not following.is_open:
        _, pause_s = following.step()
        tries = tries + 1 if following.trouble else 0
        if following.trouble and tries == _TRIES:
            raise RecordError(following.trouble)
        if time.monotonic() - told > _TELL_EVERY_S:
            told = time.monotonic()
            say(f"MLflow: {following.left:,} cells left to look at")
        time.sleep(pause_s)
