"""Measures the cells that two sweeps share in turns, a block of each side at a time, on this machine's devices now."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from sweep.analysis.comparing.measured_cell import PairedBlocks
from sweep.analysis.comparing.shared_cells import SharedCell
from sweep.api.bundles.laid_out import laid_out
from sweep.api.comparing.sides import OpenSide
from sweep.api.session.engine_session import EngineSession
from sweep.api.session.single_stage import check_fit, device_of, perform_stage
from sweep.errors import StudyError, SweepError
from sweep.files.line_log import append_line
from sweep.files.maker import loads
from sweep.files.sweep_dir import SweepDir
from sweep.files.typed_json import parsed
from sweep.planning.results.compiling import COMPARED, BuildResult, ImportResult
from sweep.planning.results.measurement import Measurement
from sweep.planning.results.stage_result import StageResult
from sweep.planning.stages.measure import measure_options
from sweep.running.contract import Engine
from sweep.running.ledger.ledger import read_ledger
from sweep.running.ledger.saved_plan import read_plan
from sweep.running.policy import GiveUp, RetryPolicy
from sweep.running.resuming import damage_of
from sweep.study.cluster.cluster import Cluster, Device
from sweep.study.spec import Cell, Measure

__all__ = ["Contestants", "contestants"]

REPEATS = 3
"""A block's: their median forgives one that was interrupted. More blocks tell more than more repeats."""
_KEPT = ("run_secs", "number", "reference_before_s", "reference_after_s", "tainted", "conditions")


@dataclass(frozen=True, slots=True)
class _Contestant:
    """One side of a cell, in the folder where both are measured."""

    content: str
    """Hash of what runs: equal ones are the same code."""
    options: Mapping[str, Any]
    inputs: Mapping[str, StageResult]


@dataclass(slots=True)
class Contestants:
    """The cells that can be measured in turns, with the pairs of blocks that were taken of each."""

    cells: dict[str, tuple[_Contestant, _Contestant, Device]]
    """New one, its baseline and their device, by the id of the cell."""
    left_out: dict[str, str]
    """Why a cell cannot be measured now, by its id."""
    _engine: Engine
    _log: Path | None
    """Where pairs are kept."""
    _pairs: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for line in _lines(self._log):
            for cell_id, (new, baseline, _) in self.cells.items():
                if line.get("contents") == [new.content, baseline.content]:
                    self._pairs.setdefault(cell_id, []).append(line)

    @property
    def paired(self) -> dict[str, PairedBlocks]:
        """What has been measured of each cell: the new one's block, then its baseline's."""
        return {
            cell_id: PairedBlocks.of(({**pair, "cells": ["new", "baseline"]} for pair in pairs), "new", "baseline")
            for cell_id, pairs in self._pairs.items()
        }

    def measure(self, cell_id: str) -> None:
        """Take one more pair of a cell. Every other pair the other way round: what changes steadily favours neither."""
        *sides, device = self.cells[cell_id]
        taken = self._pairs.setdefault(cell_id, [])
        blocks: dict[int, Mapping[str, Any]] = {}
        for index in (0, 1) if len(taken) % 2 == 0 else (1, 0):
            result = self._block(sides[index], device).to_json()
            blocks[index] = {name: result[name] for name in _KEPT}
        line = {
            "t": time.time(),
            "cell_id": cell_id,
            "contents": [side.content for side in sides],
            "blocks": [blocks[0], blocks[1]],
        }
        taken.append(line)
        if self._log is not None:
            append_line(self._log, json.dumps(line))

    def _block(self, side: _Contestant, device: Device) -> Measurement:
        for failures in count(1):  # what a run would try again is tried again
            try:
                return perform_stage(self._engine, "measure", Measurement, side.options, side.inputs, device)
            except SweepError as error:
                decision = RetryPolicy().decide(type(error).__name__, failures)
                if isinstance(decision, GiveUp):
                    raise
                time.sleep(decision.delay_s)
        raise AssertionError("counting ends nowhere")


@contextmanager
def contestants(
    baseline: OpenSide,
    new: OpenSide,
    cells: Sequence[SharedCell],
    cluster: Cluster,
    say: Callable[[str], None] = lambda text: None,
) -> Iterator[Contestants]:
    """Both sides of these cells, ready to be measured on the devices of a cluster file; `say` is told what is loaded.

    Raises:
        StudyError: none of them can be measured here.
        DeviceLost: the farm does not come up.
    """
    with tempfile.TemporaryDirectory(prefix="sweep-turns-") as scratch:
        folder, ready, left_out = Path(scratch), {}, {}
        for cell in cells:
            try:
                device = device_of(cluster, str(cell.new["device"]), "--cluster")
                sides = [
                    _entered(side, cell.cell_id, mark, folder, device)
                    for side, mark in ((new, "new"), (baseline, "baseline"))
                ]
                ready[cell.cell_id] = (sides[0], sides[1], device)
            except StudyError as error:
                left_out[cell.cell_id] = str(error)
        if cells and not ready:
            raise StudyError(
                f"cannot be measured again: {next(iter(left_out.values()))}",
                key="--measure-more",
                allowed="sweeps with their artifacts, and the devices that they were measured on",
            )
        for side in (baseline, new):
            say(_loads(side))
        devices = {device.key: device for *_, device in ready.values()}
        alone = replace(cluster, devices=tuple(devices.values()), engine="inline", replay=None)
        with EngineSession(alone, folder) as engine:
            yield Contestants(ready, left_out, engine, _log_of(new))


def _entered(side: OpenSide, cell_id: str, mark: str, folder: Path, device: Device) -> _Contestant:
    """One side of a cell, with what it takes in the common folder. Raises StudyError where a file is not there."""
    if side.is_bundle:
        with laid_out(side.folder) as bundle:
            cell = Cell.of(bundle.manifest["axes"])
            results = [_brought(result, bundle.sweep_dir, folder, mark) for result in (bundle.imported, bundle.built)]
            number, threshold = None, {"threshold": bundle.manifest["tolerance"]}
    else:
        cell, made, number = _made(side.folder, cell_id)
        results, threshold = [_brought(result, side.folder, folder, mark) for result in made], {}
    for result in results:
        if isinstance(result, BuildResult):
            check_fit(json.loads(result.target_json or "{}"), device, "--cluster")
    kinds = {"build" if isinstance(result, BuildResult) else "import": result for result in results}
    measure = Measure(repeat=REPEATS, max_repeat=REPEATS, rounds=1, relative_interval=0.0, number=number)
    options = measure_options(cell.runtime, cell.precision, device, measure.options) | threshold
    content = side.side.libraries.get(cell_id) or f"{cell.runtime} {side.side.networks.get(cell.model, mark)}"
    return _Contestant(content, options, kinds)


def _made(folder: Path, cell_id: str) -> tuple[Cell, list[StageResult], int | None]:
    """A cell of a sweep, what it is measured with, and the calls of a repeat that it took then."""
    planned = next(entry for entry in read_plan(folder)["cells"] if entry["id"] == cell_id)
    cell, done = Cell.from_json(planned), read_ledger(folder).done
    results = [done[stage].result for stage in planned["stages"] if stage in done]
    wanted = (ImportResult, BuildResult) if cell.is_compiled else (ImportResult,)
    made: list[StageResult] = []
    for kind in wanted:
        result = next((one for one in results if isinstance(one, kind)), None)
        allowed = f"a cell whose {'library' if kind is BuildResult else 'network'} is still there"
        if result is None or not (folder / result.folder()).is_dir():
            raise StudyError("has not what was measured", key="CELL", value=planned["name"], allowed=allowed)
        names = COMPARED if kind is ImportResult and cell.is_compiled else None
        if (reason := damage_of(result, folder, is_read=True, names=names)) is not None:
            raise StudyError(f"rests on a damaged file: {reason}", key="CELL", value=planned["name"], allowed=allowed)
        made.append(result)
    measured = next((one for one in results if isinstance(one, Measurement)), None)
    return cell, made, None if measured is None else measured.number


def _brought(result: StageResult, source: Path, folder: Path, mark: str) -> StageResult:
    """The same result with its files in the common folder; they were looked at where they came from."""
    of = result.folder()
    place = Path(of).parent / f"{mark}-{Path(of).name}"
    if not (folder / place).is_dir():
        shutil.copytree(source / of, folder / place, copy_function=_linked)
    return replace(result, dir=place.as_posix(), files=None)


def _linked(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)
    return target


def _loads(side: OpenSide) -> str:
    if side.is_bundle:
        return f"loads the library of the bundle {side.side.name}; SHA-256 as in its manifest"
    state = read_ledger(side.folder)
    has_checksums = all(one.result.files is not None for one in state.done.values() if one.result.dir is not None)
    what = f"libraries of {side.side.name}"
    return loads(what, side.folder, state.conditions.get("host"), has_checksums=has_checksums)


def _log_of(new: OpenSide) -> Path | None:
    """The file of the new sweep that keeps the pairs; none of a copy, of a bundle, or where nothing can be written."""
    is_kept = not new.is_bundle and not new.is_copy and os.access(new.folder, os.W_OK)
    return SweepDir(new.folder).turns if is_kept else None


def _lines(log: Path | None) -> Iterator[Mapping[str, Any]]:
    if log is None or not log.is_file():
        return
    for line in log.read_bytes().splitlines():
        with suppress(ValueError):  # torn by a crash
            found = parsed(line)
            if isinstance(found, Mapping) and isinstance(found.get("blocks"), list):
                yield found
