"""The configuration of each layer that is best over several devices: asked for, measured, and written as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.analysis.overlay.metric import Criterion
from sweep.analysis.overlay.overlay import Overlay
from sweep.api.overlay.chosen_cells import Asked
from sweep.api.overlay.mlflow_run import record
from sweep.api.overlay.overlay import Question, look, write
from sweep.files.sweep_dir import SweepDir

if TYPE_CHECKING:
    from sweep.api.overlay.stage_runner import Watcher
    from sweep.study.cluster.cluster import Cluster

__all__ = ["WrittenOverlay", "measure_overlay", "overlay", "overlay_question", "write_overlay"]


class _Unwatched:
    """A watcher that shows nothing."""

    def begin(self, what: str, total: Mapping[str, int]) -> None:
        """Take no note."""

    def done(self, device: str, failed: str | None = None) -> None:
        """Take no note."""

    def tick(self) -> None:
        """Take no note."""


@dataclass(frozen=True, slots=True)
class WrittenOverlay:
    """An overlay and its files."""

    overlay: Overlay
    folder: Path
    files: Sequence[Path]
    mlflow_run: str | None
    """Says which run in MLflow it is; None for imported logs, for a single layer, and where the store is away."""

    @property
    def has_failed(self) -> bool:
        """Whether a device's network could not be measured."""
        return any(network.reason for network in self.overlay.networks)


def overlay_question(
    keys: Sequence[str] | None = None,
    model: str | None = None,
    opt_level: int | None = None,
    only: str | None = None,
    layer: str | None = None,
    best: int | None = None,
    weights: Mapping[str, float] | None = None,
    *,
    minimax: bool = False,
) -> Question:
    """What `measure_overlay` shall measure; the arguments are those of `overlay`.

    Raises nothing: what is not there is refused when it is measured.
    """
    criterion = Criterion.WORST if minimax else Criterion.SUM
    return Question(Asked(keys, model, opt_level, only), layer, best, weights, criterion)


def overlay(
    folder: Path | str,
    *,
    keys: Sequence[str] | None = None,
    model: str | None = None,
    opt_level: int | None = None,
    only: str | None = None,
    layer: str | None = None,
    best: int | None = None,
    weights: Mapping[str, float] | None = None,
    minimax: bool = False,
) -> Overlay:
    """Overlay the records of a sweep, or of imported logs.

    keys: devices, in the order in which they are shown; by default all that have records. model, opt_level, only:
    whose layers, where the folder has several; `only` takes cells by globs, as `sweep run --only`. layer: one layer
    alone, by its name or its number from 1. best: candidates are the union of so many of each device's fastest.
    weights: of devices, by default equal. minimax: choose by the largest regret.

    Raises:
        StudyError: what is asked for is not there.
        RecordError: the folder has no tuning records, or they cannot be told apart.
    """
    question = overlay_question(keys, model, opt_level, only, layer, best, weights, minimax=minimax)
    return look(Path(folder), question).overlay


def measure_overlay(
    folder: Path | str,
    cluster: Cluster,
    question: Question | None = None,
    *,
    network: bool = True,
    out: Path | str | None = None,
) -> WrittenOverlay:
    """Measure what an overlay of a sweep lacks, each candidate on every device and then the network, and write it.

    Devices that were tuned apart have few configurations in common: each device's candidates are built for the others
    and measured there. What was measured before is not measured again. question: of `overlay_question`; by default all
    that was tuned. network: whether the whole network is measured too. out: folder of the files, by default `overlay`
    in the sweep directory.

    Raises:
        StudyError: what is asked for is not there, or cannot be measured.
        LedgerError: a run has the folder, or an earlier version wrote its plan.
        DeviceLost: a device does not come up, or stays away; what was measured is kept.
        RecordError: the folder has no tuning records, or the files cannot be written.
    """
    files = None if out is None else Path(out)
    return write_overlay(Path(folder), question or Question(), measured_on=cluster, network=network, out=files)


def write_overlay(
    folder: Path,
    question: Question,
    *,
    measured_on: Cluster | None = None,
    network: bool = True,
    watcher: Watcher | None = None,
    out: Path | None = None,
    title: str | None = None,
) -> WrittenOverlay:
    """Write an overlay's tables, page, merged log and MLflow run.

    measured_on: the cluster on whose devices what is missing is measured first; None: the records are taken as they
    are. network: whether the network is measured too. watcher: is told of the measurements. out: folder of the files,
    by default `overlay` in `folder`. title: of the page.

    Raises:
        StudyError: what is asked for is not there, or cannot be measured.
        LedgerError: a run has the folder, or an earlier version wrote its plan.
        DeviceLost: a device does not come up, or stays away; what was measured is kept.
        RecordError: the folder has no tuning records, or the files cannot be written.
    """
    files = out or SweepDir(folder).overlay
    if measured_on is None:
        found = look(folder, question).overlay
    else:
        from sweep.api.overlay.measure import measure_missing

        watcher = watcher or _Unwatched()
        found = measure_missing(folder, measured_on, question, out=files, watcher=watcher, network=network)
    paths = write(found, files, title or f"Overlay of {folder}", folder)
    uri = None if measured_on is None else measured_on.mlflow_uri
    return WrittenOverlay(found, files, paths, record(found, folder, files, question, uri))
