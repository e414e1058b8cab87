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
from pathlib import Path
from typing import Any

from sweep.analysis.comparing.measured_cell import PairedBlocks
from sweep.analysis.comparing.shared_cells import SharedCell
from sweep.api.bundles.laid_out import laid_out
from sweep.api.comparing.block_pairs import MeasuredSide, take_pair
from sweep.api.comparing.sides import OpenSide
from sweep.api.session.engine_session import EngineSession
from sweep.api.session.single_stage import check_fit, device_of
from sweep.errors import StudyError
from sweep.files.line_log import append_line
from sweep.files.maker import loads
from sweep.files.sweep_dir import SweepDir
from sweep.files.typed_json import parsed
from sweep.planning.results.compiling import COMPARED, BuildResult, ImportResult
from sweep.planning.results.measurement import Measurement
from sweep.planning.results.quantising import QuantiseResult
from sweep.planning.results.stage_result import StageResult
from sweep.running.contract import Engine
from sweep.running.ledger.ledger import read_ledger
from sweep.running.ledger.saved_plan import described_in, read_plan
from sweep.running.resuming import damage_of
from sweep.study.axes import axis_of
from sweep.study.axis import DescribedValues
from sweep.study.cluster.cluster import Cluster, Device
from sweep.study.precisions import Precision, precision_of
from sweep.study.spec import Cell

__all__ = ["Contestant", "Contestants", "contestants"]


@dataclass(frozen=True, slots=True)
class Contestant:
    """One side of a cell, in the folder where both are measured."""

    content: str
    """Hash of what runs: equal ones are the same code."""
    side: MeasuredSide


@dataclass(slots=True)
class Contestants:
    """The cells that can be measured in turns, with the pairs of blocks that were taken of each."""

    cells: dict[str, tuple[Contestant, Contestant]]
    """New one and its baseline, by the id of the cell."""
    left_out: dict[str, str]
    """Why a cell cannot be measured now, by its id."""
    _engine: Engine
    _log: Path | None
    """Where pairs are kept."""
    _pairs: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for line in _lines(self._log):
            # Of the same cell, too: the same code on another device is another pair
            cell_id = str(line.get("cell_id"))
            if line.get("contents") == [one.content for one in self.cells.get(cell_id, ())]:
                self._pairs.setdefault(cell_id, []).append(line)

    @property
    def paired(self) -> dict[str, PairedBlocks]:
        """What has been measured of each cell: the new one's block, then its baseline's."""
        return {
            cell_id: PairedBlocks.of(({**pair, "cells": ["new", "baseline"]} for pair in pairs), "new", "baseline")
            for cell_id, pairs in self._pairs.items()
        }

    def measure(self, cell_id: str) -> None:
        """Take one more pair of a cell."""
        contestants = self.cells[cell_id]
        taken = self._pairs.setdefault(cell_id, [])
        line = {
            "t": time.time(),
            "cell_id": cell_id,
            "contents": [one.content for one in contestants],
            "blocks": take_pair(self._engine, [one.side for one in contestants], taken=len(taken)),
        }
        taken.append(line)
        if self._log is not None:
            append_line(self._log, json.dumps(line))


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
                ours, theirs = (
                    _entered(side, cell.cell_id, mark, folder, device)
                    for side, mark in ((new, "new"), (baseline, "baseline"))
                )
                if ours.side.is_flushed != theirs.side.is_flushed:
                    problem = "was measured with caches emptied in one sweep alone"
                    raise StudyError(problem, key="CELL", value=cell.name, allowed="sweeps of one `cache_flush`")
                ready[cell.cell_id] = (ours, theirs)
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
        devices = {one.side.device.key: one.side.device for one, _ in ready.values()}
        alone = replace(cluster, devices=tuple(devices.values()), engine="inline", replay=None)
        with EngineSession(alone, folder) as engine:
            yield Contestants(ready, left_out, engine, _log_of(new))


def _entered(side: OpenSide, cell_id: str, mark: str, folder: Path, device: Device) -> Contestant:
    """One side of a cell, with what it takes in the common folder. Raises StudyError where a file is not there."""
    if side.is_bundle:
        with laid_out(side.folder) as bundle:
            cell = Cell.of(bundle.manifest["axes"])
            results = [_brought(result, bundle.sweep_dir, folder, mark) for result in (bundle.imported, bundle.built)]
            conditions, number = bundle.manifest["latency"].get("conditions", {}), None
            threshold = {"threshold": bundle.manifest["tolerance"]}
            described: DescribedValues = {
                "precision": {cell.precision: _usual()}
            }  # a bundle tells its tolerance itself
    else:
        cell, made, earlier = _made(side.folder, cell_id)
        results, threshold = [_brought(result, side.folder, folder, mark) for result in made], {}
        conditions, number = earlier.conditions, earlier.number
        described = described_in(read_plan(side.folder))
    for result in results:
        if isinstance(result, BuildResult):
            check_fit(json.loads(result.target_json or "{}"), device, "--cluster")
    kinds = {"build" if isinstance(result, BuildResult) else "import": result for result in results}
    measured = MeasuredSide.of(cell, device, kinds, conditions, number, described)
    network = f"{side.side.networks.get(cell.model, mark)} {cell.precision}"
    content = side.side.libraries.get(cell_id) or f"{cell.runtime} {network}"
    return Contestant(content, replace(measured, options={**measured.options, **threshold}))


def _usual() -> Precision:
    return precision_of(str(axis_of("precision").default))


def _made(folder: Path, cell_id: str) -> tuple[Cell, list[StageResult], Measurement]:
    """A cell of a sweep, what it is measured with, and how it was measured then."""
    planned = next(entry for entry in read_plan(folder)["cells"] if entry["id"] == cell_id)
    cell, done = Cell.from_json(planned), read_ledger(folder).done
    results = [done[stage].result for stage in planned["stages"] if stage in done]
    network = QuantiseResult if any(isinstance(one, QuantiseResult) for one in results) else ImportResult
    wanted = (ImportResult, BuildResult) if cell.is_compiled else (network,)
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
    return cell, made, next(one for one in results if isinstance(one, Measurement))


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
