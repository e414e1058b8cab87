"""Brings the whole of a finished sweep into MLflow at once."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import filelock

from sweep.analysis.formatting import plural
from sweep.api.bundles.best_bundles import laid_out
from sweep.api.session.connectivity import check_store
from sweep.api.session.reporting import write_results
from sweep.api.session.run_mirror import TELL_EVERY_S, Say, order_for
from sweep.errors import LedgerError, RecordError
from sweep.files.sweep_dir import SweepDir
from sweep.redaction import redacted_uri
from sweep.running.ledger.ledger import is_held, read_ledger
from sweep.running.ledger.sweep_outcome import sweep_outcome

if TYPE_CHECKING:
    from sweep.record.mlflow.ledger_mirror import LedgerMirror

__all__ = ["Mirrored", "mirror"]

_TRIES = 3
"""Times that a store may refuse in a row."""


@dataclass(frozen=True, slots=True)
class Mirrored:
    """A sweep that was brought into MLflow."""

    sweep_dir: Path
    tracking_uri: str
    run_ids: Mapping[str, str]
    """Run of each cell, by the cell's id."""
    models: Sequence[str] = ()
    """URIs of the models of the best cells: `models:/...`, for `mlflow.pyfunc.load_model`."""


def mirror(
    sweep_dir: Path | str, to: str | None = None, say: Say | None = None, *, register: str | None = None
) -> Mirrored:
    """Write what is missing of a sweep into an MLflow store, and the names of its runs into its tables and report.

    `to`: a tracking server or database; None: the store in the sweep directory. A store that was lost is made anew.
    `register`: a registered model of which the best cell becomes a version; of several networks and devices each has a
    model of its own whose name begins so.

    Raises:
        StudyError: `to` is no store, or nobody answers there.
        LedgerError: the folder is not a sweep directory, or is being run, which mirrors it already.
        RecordError: the store cannot be read or written.
    """
    from sweep.record.mlflow.mirror_process import finish
    from sweep.running.ledger.saved_plan import restore

    if to is not None:
        check_store(to, "--to")
    state = read_ledger(Path(sweep_dir))
    folder = Path(sweep_dir).absolute()
    if is_held(folder):
        raise LedgerError(f"{folder} is being run, and its run mirrors it")
    sweep = restore(folder)
    following = order_for(folder, sweep.study, to, register).following(sweep)
    try:
        with filelock.FileLock(SweepDir(folder).mlflow_lock, timeout=0):
            _step_until_all_in(following, say or (lambda line: None))
            run_ids = following.mirror.run_ids
            results = write_results(sweep_outcome(sweep.plan, sweep.question, state, folder), run_ids, to)
            with laid_out(folder, results.cells):
                models = finish(following, folder, state.last_status or "interrupted", register)
    except filelock.Timeout as error:
        raise LedgerError(f"{folder} is being mirrored by another process") from error
    return Mirrored(folder, redacted_uri(following.mirror.tracking_uri), run_ids, models)


def _step_until_all_in(following: LedgerMirror, say: Say) -> None:
    tries, told_at = 0, time.monotonic()
    while following.left or not following.is_open:
        _, pause_s = following.step()
        tries = tries + 1 if following.trouble else 0
        if following.trouble and tries == _TRIES:
            raise RecordError(following.trouble)
        if following.left and time.monotonic() - told_at > TELL_EVERY_S:
            told_at = time.monotonic()
            say(f"MLflow: {plural(following.left, 'cell')} left to look at")
        time.sleep(pause_s)
