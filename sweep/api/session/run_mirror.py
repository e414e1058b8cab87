"""The process beside a run that brings its sweep into MLflow, as the run sees it."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import platform
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.analysis.formatting import plural
from sweep.errors import killed_by
from sweep.installation import child_environment, python_command
from sweep.running.observer import Observers

if TYPE_CHECKING:
    from sweep.record.mlflow.mirror_process import MirrorOrder

__all__ = ["TELL_EVERY_S", "MirrorProcess", "MirrorStarter", "Say", "order_for"]

TELL_EVERY_S = 5.0
"""How often somebody who waits for MLflow is told how much is left."""
_SILENCE_S = 120.0
"""In which the mirror may say nothing at all, neither of cells nor of trouble: one large upload, a slow start."""
_LIVES = 3
"""Processes that may take the place of killed ones."""
Say = Callable[[str], None]


def order_for(sweep_dir: Path, study: str, tracking_uri: str | None, register: str | None = None) -> MirrorOrder:
    """What a mirror is told; `tracking_uri` None: a store in the sweep directory. `register`: of the best cells.

    A store there that is damaged makes room for a new one. Raises RecordError where it cannot.
    """
    from sweep.record.mlflow.damaged_store import set_damaged_aside
    from sweep.record.mlflow.mirror_process import MirrorOrder

    if tracking_uri is None:
        set_damaged_aside(sweep_dir)
    # The embedded store is this sweep's alone and moves with it; elsewhere a folder is known by its host and path
    sweep_id = hashlib.sha256(f"{platform.node()}:{sweep_dir}".encode()).hexdigest()[:16]
    own_id = study if tracking_uri is None else sweep_id
    return MirrorOrder(str(sweep_dir), tracking_uri, own_id, sweep_dir.name, register)


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
        self._lives = _LIVES

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
            python_command("sweep.record.mlflow.mirror_process"),
            env=child_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C in a terminal is the driver's
        )
        self._listener = threading.Thread(target=self._listen, args=(self._child,), daemon=True)
        self._listener.start()
        self._tell(self._order.to_json())

    def begin(self) -> None:
        """Start it, where that has not been done yet."""
        if self._child is None:
            self.start()

    def settle(self) -> bool:
        """After the last event: wait until every cell is in MLflow. False where it does not get on."""
        return self._ask("settle", lambda: self._has_settled)

    def finish(self, status: str) -> bool:
        """After the tables: wait until they are in MLflow too. False where it does not get on."""
        return self._ask(f"finish {status}", lambda: self._has_finished)

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
        self._see_off(self._child)

    def _see_off(self, child: subprocess.Popen[str]) -> None:
        """Close its pipes, and wait for it."""
        assert child.stdin is not None
        with suppress(OSError):  # a word that it did not live to hear
            child.stdin.close()
        with child:
            self._listener.join()

    def _ask(self, word: str, is_done: Callable[[], bool]) -> bool:
        self._tell(word)
        while not self._wait(is_done):
            if not self._is_revived():
                return False
            self._tell(word)
        return True

    def _is_revived(self) -> bool:
        """Another process takes the place of one that was killed: ledger and store say what is missing."""
        with self._news:
            has_ended = self._has_ended
        if self._child is None or not has_ended or killed_by(self._child.wait()) is None or not self._lives:
            return False
        self._see_off(self._child)
        logging.getLogger(__name__).warning("what writes to MLflow was killed: it is started again")
        self._lives -= 1
        self._has_ended = False
        self.start()
        return True

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
            message = json.loads(line)
            with self._news:
                self._runs.update(message.get("runs", {}))
                self._left = message.get("left", self._left)
                self._has_settled |= "settled" in message
                self._has_finished |= "finished" in message
                if "trouble" in message:
                    self._note(message["trouble"])
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
        begun = told_at = got_on
        with self._news:
            while not is_done() and not self._has_ended:
                now = time.monotonic()
                if len(self._runs) != seen:
                    seen, got_on = len(self._runs), now
                patience_s = _SILENCE_S if self._trouble is None else self.patience_s
                if now - got_on > patience_s or now - begun > self.limit_s:
                    return False
                if now - told_at > TELL_EVERY_S:
                    told_at = now
                    self._say(f"MLflow: {plural(self._left, 'cell')} left to write")
                self._news.wait(0.5)
            return is_done()


class MirrorStarter(Observers):
    """Starts the mirror when the first cell has its answer: until then there is nothing to write, and to load MLflow
    takes seconds of the cores that this answer waits for.
    """

    def __init__(self, mirror: MirrorProcess) -> None:
        super().__init__(())
        self._mirror = mirror

    def cell_settled(self, cell: int, from_earlier_run: bool) -> None:
        self._mirror.begin()
