"""Latencies of a sweep's cells as they are where the machine is as usual, from the blocks of cells that took turns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING

from sweep.planning.results.condition_numbers import number_in
from sweep.planning.results.measurement import MeasuredBlock, Measurement

if TYPE_CHECKING:
    from sweep.analysis.outcome import CellOutcome
    from sweep.analysis.round_model import Estimate

__all__ = ["adjusted"]

TOGETHER = 8
"""Cells that are estimated at once: so many take turns on a board."""


@dataclass(frozen=True, slots=True)
class _Visit:
    cell: int
    t: float
    median_s: float
    kernel_s: float | None


def adjusted(cells: Iterable[CellOutcome]) -> Mapping[str, Estimate]:
    """An estimate for each cell, by its id, that was measured in rounds on a known device."""
    by_device: dict[str, list[tuple[str, list[_Visit]]]] = {}
    for outcome in cells:
        measured = outcome.result(Measurement)
        visits = [] if measured is None else list(_visits(measured))
        if len(visits) > 1:
            by_device.setdefault(outcome.cell.device, []).append((outcome.cell.id, visits))
    if not by_device:
        return {}
    found: dict[str, Estimate] = {}
    for measured_there in by_device.values():
        measured_there.sort(key=lambda one: one[1][0].t)
        usual_s = _usual_s(each.kernel_s for _, own in measured_there for each in own)
        for begin in range(0, len(measured_there), TOGETHER):
            found |= _estimated(measured_there[begin : begin + TOGETHER], usual_s)
    return found


def _usual_s(kernel_s: Iterable[float | None]) -> float | None:
    """Of a device in this sweep, for all that are estimated there: the machine may be slow for as long as some take."""
    known = [seconds for seconds in kernel_s if seconds]
    return quantiles(known, n=4, method="inclusive")[0] if len(known) > 1 else None


def _estimated(cells: Sequence[tuple[str, list[_Visit]]], usual_s: float | None) -> dict[str, Estimate]:
    from sweep.analysis.round_model import RoundBlock, estimates  # numpy, which a plan need not wait for

    visits = sorted(
        (_Visit(number, each.t, each.median_s, each.kernel_s) for number, (_, own) in enumerate(cells) for each in own),
        key=lambda each: each.t,
    )
    blocks, seen, number = [], set[int](), 0
    for each in visits:
        if each.cell in seen:  # it comes to its next visit: another round has begun
            number, seen = number + 1, set()
        seen.add(each.cell)
        blocks.append(RoundBlock(each.cell, number, each.median_s, each.kernel_s))
    return {cells[index][0]: estimate for index, estimate in estimates(blocks, usual_s).items()}


def _visits(measured: Measurement) -> Iterator[_Visit]:
    """Disturbed blocks too: the sentinel kernel tells what of it was the machine's."""
    for block in (*measured.blocks_that_count, *measured.set_aside):
        t = number_in({**measured.conditions, **block.conditions}, "at_before")
        if block.run_secs and t is not None:
            yield _Visit(0, t, median(block.run_secs), _kernel_s(block))


def _kernel_s(block: MeasuredBlock) -> float | None:
    if not block.reference_before_s or not block.reference_after_s:
        return None
    return (median(block.reference_before_s) + median(block.reference_after_s)) / 2
