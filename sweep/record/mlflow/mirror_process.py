"""The process that writes a running sweep into MLflow: `python -m sweep.record.mlflow.mirror_process`.

A process and not a thread of the driver: MLflow takes milliseconds of Python for a cell, during which the driver would
wait for the interpreter's lock at every line of its ledger; and it holds 150 MB.

The first line of its input names its sweep (`MirrorOrder`); single words follow: `settle` (nothing more will
happen: bring all in, and say so) and `finish STATUS` (the tables are written: add what they have, and end the parent
run). It answers with JSON lines: `runs` (by cell id) with `left`, `trouble` (text, or null when it is over), `settled`,
`finished`. It ends with its input: whoever started it is gone then.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import sys
import threading
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import filelock

from sweep.analysis.rows.saved import read_saved
from sweep.errors import SweepError
from sweep.files.sweep_dir import SELDOM_TABLES, TABLES, SweepDir
from sweep.record.mlflow.ledger_mirror import LedgerMirror
from sweep.record.mlflow.sweep_mirror import MlflowMirror
from sweep.record.mlflow.ui_view import experiment_tags, shown_axes
from sweep.running.ledger.saved_plan import SavedSweep, restore

__all__ = ["MirrorOrder", "finish", "main"]

_IDLE_S = 0.5
"""Between two looks at the ledger."""
_NICENESS = 5


class _Answers:
    file: TextIO = sys.stdout


@dataclass(frozen=True, slots=True)
class MirrorOrder:
    """The first line of the process's input: the sweep that is mirrored, and the store that it is mirrored into."""

    sweep_dir: str
    tracking_uri: str | None
    id: str
    """Of the parent run."""
    name: str
    register: str | None = None
    """The name in the registry of the best cells' models; None: they are logged and not registered."""

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    def following(self, sweep: SavedSweep | None = None) -> LedgerMirror:
        """The mirror, not opened yet. Raises LedgerError where the folder has no plan."""
        folder = Path(self.sweep_dir)
        sweep = sweep or restore(folder)
        tags = experiment_tags(sweep.question, shown_axes(planned.cell for planned in sweep.plan.cells))
        mirror = MlflowMirror.at(self.tracking_uri, folder, sweep.study, tags)
        return LedgerMirror(mirror, sweep, self.id, self.name, folder)


def finish(following: LedgerMirror, sweep_dir: Path, status: str, register: str | None = None) -> list[str]:
    """Add the tables, the report and the tuning logs to the parent run, log the bundles that are laid out as models,
    and end the run; gives the models' URIs. Raises RecordError.
    """
    # Hidden files there are the run's own notes
    home = SweepDir(sweep_dir)
    report = sorted(path for path in home.report.glob("[!.]*") if path.is_file())
    logs = sorted(path for path in home.records.glob("*/*") if path.is_dir())
    tables = [path for path in map(home.table, [*TABLES, *SELDOM_TABLES]) if path.is_file()]
    files = {"results": tables, "report": report, "tuning_logs": logs}
    following.mirror.record_results(read_saved(sweep_dir), files)
    bundles = sorted(path.parent for path in home.mlflow_bundles.glob("*/manifest.json"))
    models = following.mirror.record_models(bundles, register) if bundles else []
    following.mirror.close(status, following.state.last_t)
    return models


def main() -> int:
    """Follow a sweep until the input ends or the work is done."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's, which lets this one catch up
    _keep_answers_apart()
    os.nice(_NICENESS)
    # What goes wrong is told by `trouble`; MLflow and SQLAlchemy would add pages
    logging.disable(logging.CRITICAL)
    order = MirrorOrder(**json.loads(sys.stdin.readline()))
    words: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(words,), daemon=True).start()
    try:
        with filelock.FileLock(SweepDir(Path(order.sweep_dir)).mlflow_lock, timeout=0):
            _follow(order, words)
    except filelock.Timeout:
        _say(trouble="another process mirrors this sweep")
        return 1
    except (SweepError, OSError) as error:
        _say(trouble=str(error))
        return 1
    return 0


def _follow(order: MirrorOrder, words: queue.Queue[str]) -> None:
    following = order.following()
    said: str | None = None
    is_settling = False
    status = ""
    pause_s = 0.0
    while True:
        try:
            word = words.get(timeout=pause_s) if pause_s else words.get_nowait()
        except queue.Empty:
            word = ""
        if word == "settle":
            following.look_again()
            is_settling = True
        elif word.startswith("finish "):
            status = word.removeprefix("finish ")
        runs, pause_s = following.step()
        if following.trouble != said:
            said = following.trouble
            _say(trouble=said)
        if runs:
            _say(runs=runs, left=following.left)
        is_in = following.trouble is None and not following.left
        if is_settling and is_in:
            is_settling = False
            _say(settled=True)
        if status and is_in:
            done, pause_s = following.try_to(partial(finish, following, Path(order.sweep_dir), status, order.register))
            if done:
                _say(finished=True)
                return
        if not pause_s and not following.left:
            pause_s = _IDLE_S


def _listen(words: queue.Queue[str]) -> None:
    for line in sys.stdin:
        words.put(line.strip())
    os._exit(1)  # also out of a call to a store that is away; half a run is replaced by whoever comes next


def _keep_answers_apart() -> None:
    """What a library prints is not an answer."""
    _Answers.file = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)


def _say(**told: Any) -> None:
    _Answers.file.write(json.dumps(told) + "\n")
    _Answers.file.flush()


if __name__ == "__main__":
    os._exit(main())  # all is written; to unload MLflow takes seconds on a busy machine, which the driver waits for
