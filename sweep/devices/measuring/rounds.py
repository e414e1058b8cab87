"""Plans one measurement in rounds: a block of repeats at each visit to the device, with other cells' visits between.

Drift of the machine then hits all cells that are measured at the time alike, and properties of a session (load address,
pages) are drawn anew each time, so that they are part of the spread. This module decides what the next visit takes and
when there are enough blocks; it knows no clock, no device and no other cell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import median
from typing import Any

from sweep.analysis.statistics import relative_interval
from sweep.analysis.taint import BlockConditions, least_tainted, summed_up, taints
from sweep.devices.measuring.blocks import FIT, WAITS_S
from sweep.devices.measuring.timing import FEWEST_REPEATS, Sampling, StoppedBy
from sweep.planning.results.disturbance import Disturbance

__all__ = ["Rounds"]

ROUNDS = 5
"""By default. The spread of fewer blocks is known so badly that intervals become useless (Student's factor is 12.7 for
two, 4.3 for three, 2.8 for five), and by luck it looks small too often."""
SHARE = 4
"""Beyond the rounds asked for, the interval is looked at after every quarter more, two at least: each look is a chance
to stop while it is narrow by luck."""
GROWTH = 2
"""After each look that was not the last the blocks are so much larger. A visit costs up to two seconds beside its
values (a session, a process, the output check), and blocks of three values took 17 visits to the most."""


@dataclass(frozen=True, slots=True)
class _Visit:
    index: int
    payload: Mapping[str, Any]
    """As `measure_blocks` tells it, with what comes with the measurement of a cell."""
    reasons: Sequence[Disturbance]
    """Why not to trust it, as one knows by now."""

    @property
    def run_secs(self) -> list[float]:
        return list(self.payload["run_secs"])


class Rounds:
    """Decides about the visits of one cell from the blocks that it has so far."""

    def __init__(self, measure: Mapping[str, Any], cores: Sequence[int], threads: int) -> None:
        """measure: the options of a study. cores, threads: where and how it should run; no cores: not known."""
        self._measure, self._cores, self._threads = measure, cores, threads
        self._sampling = sampling = Sampling.of(measure)
        self._rounds = min(int(measure.get("rounds", 1)), max(1, sampling.max_repeat // FEWEST_REPEATS))
        self._size = min(sampling.max_repeat, max(FEWEST_REPEATS, math.ceil(sampling.repeat / self._rounds)))
        self._next_look = self._rounds
        self._looks = 0
        self._payloads: list[Mapping[str, Any]] = []
        self._spent_s = 0.0
        self._visit_s = 0.0
        self._stopped_by: StoppedBy | None = None
        self._best_s: float | None = None

    def next_visit(self) -> dict[str, Any] | None:
        """Options for the next visit, as a measurement in one go takes them; None when there are enough blocks."""
        if self._rounds == 1:  # all in one go, with its own stop rule
            return None if self._payloads else dict(self._measure)
        self._stopped_by = self._reason_to_stop()
        if self._stopped_by is not None:
            return None
        sampling, repeat = self._sampling, self._next_size()
        return {
            **self._measure,
            "repeat": repeat,
            "max_repeat": repeat,
            "relative_interval": 0.0,
            "number": self._payloads[0]["number"] if self._payloads else sampling.number,
            # The check of the output is a call too
            "warmup": max(0, sampling.warmup - 1) if self._payloads else sampling.warmup,
            "time_limit_s": sampling.time_limit_s - self._timed_s(),
            "timeout_s": sampling.timeout_s - self._spent_s,
            "retakes": 0,
        }

    def take(self, payload: Mapping[str, Any], seconds: float) -> None:
        """What a visit gave, and how long it took."""
        self._payloads.append(payload)
        self._spent_s += seconds
        self._visit_s = seconds
        known = [best for best in (self._best_s, payload.get("reference_best_s")) if best is not None]
        self._best_s = min(known, default=None)

    @property
    def pause_s(self) -> float:
        """How long to leave the device alone, where nobody else wants it: what disturbed the last block may pass."""
        taken = self._visits()
        if not taken or not taken[-1].reasons:
            return 0.0
        return WAITS_S[0] if len(taken) < 2 or not taken[-2].reasons else WAITS_S[1]

    def so_far(self) -> dict[str, Any]:
        """For whoever waits: the median of what there is, be it disturbed or not."""
        values = [value for payload in self._payloads for value in payload["run_secs"]]
        return {"median_s": median(values), "values": len(values)}

    def result(self) -> dict[str, Any]:
        """The result of a measure stage: all repeats of the kept blocks in order, each block on its own under `blocks`,
        those that were disturbed under `set_aside`.
        """
        if self._rounds == 1:
            return {**self._payloads[0], "device_s": self._spent_s}
        kept = self._kept()
        first = kept[0].payload
        indices = {visit.index for visit in kept}
        return {
            **first,
            "run_secs": _joined(kept, "run_secs"),
            "warmup_secs": _joined(kept, "warmup_secs"),
            "reference_before_s": _joined(kept, "reference_before_s"),
            "reference_after_s": _joined(kept, "reference_after_s"),
            "reference_best_s": self._best_s,
            "stopped_by": str(self._stopped_by),
            "device_s": self._spent_s,
            "tainted": [each.to_json() for each in summed_up([visit.reasons for visit in kept])],
            "block": kept[0].index,
            "blocks": [_block(visit, first["conditions"]) for visit in kept],
            "set_aside": [_block(visit, first["conditions"]) for visit in self._visits() if visit.index not in indices],
        }

    def _reason_to_stop(self) -> StoppedBy | None:
        if not self._payloads:
            return None
        return next((reason for reason, applies in _STOP_RULES if applies(self)), None)

    def _has_all_repeats(self) -> bool:
        return sum(len(visit.run_secs) for visit in self._clean()) >= self._sampling.max_repeat

    def _has_narrow_interval(self) -> bool:
        clean = self._clean()
        if len(clean) < self._next_look:
            return False
        self._next_look = len(clean) + max(2, len(clean) // SHARE)
        self._looks += 1
        return self._is_narrow([visit.run_secs for visit in clean])

    def _has_no_time_for_a_block(self) -> bool:
        return self._timed_s() + self._next_block_s() > self._sampling.time_limit_s

    def _has_no_time_for_all_rounds(self) -> bool:
        """Two or three blocks would tell less than the one there is."""
        return len(self._clean()) == 1 < self._rounds and self._share() < 1

    def _has_refined_enough(self) -> bool:
        clean = self._clean()
        timed_s = sum(_timed_s(visit.payload) for visit in clean)
        return len(clean) >= self._rounds and timed_s + self._next_block_s() > self._refining_s()

    def _has_no_time_for_a_visit(self) -> bool:
        return self._spent_s + FIT * self._visit_s > self._sampling.timeout_s

    def _is_disturbed_too_often(self) -> bool:
        return len(self._payloads) - len(self._clean()) > self._rounds

    def _next_block_s(self) -> float:
        return self._next_size() * self._repeat_s()

    def _next_size(self) -> int:
        """Values of the next block: fewer where all rounds would not be had in time, since blocks say more than values
        of one block.
        """
        if not self._payloads:
            return self._size
        clean = self._clean()
        size = min(
            self._size * int(GROWTH**self._looks),
            self._sampling.max_repeat - sum(len(visit.run_secs) for visit in clean),
        )
        return max(1, math.floor(min(size, self._share())))

    def _share(self) -> float:
        """How many values of each round that is still to come the time allows."""
        rounds_left, repeat_s = self._rounds - len(self._clean()), self._repeat_s()
        if rounds_left <= 0 or repeat_s <= 0:
            return math.inf
        return (self._sampling.time_limit_s - self._timed_s()) / rounds_left / repeat_s

    def _repeat_s(self) -> float:
        """How long a repeat takes, by the last visit."""
        return _timed_s(self._payloads[-1]) / len(self._payloads[-1]["run_secs"])

    def _refining_s(self) -> float:
        """How long the calls of clean blocks may take where the rounds are over and the interval is still wide: a slow
        network gets no more for it than a fast one, since every call more would be at the cost of the others' cells.
        """
        if self._payloads[0]["number"] > 1 or not self._sampling.relative_interval:
            return math.inf
        return self._sampling.max_repeat * self._sampling.min_repeat_ms / 1000

    def _is_narrow(self, values: Sequence[Sequence[float]]) -> bool:
        if min(map(min, values)) <= 0:  # of a clock that is too coarse nothing can be said
            return False
        width = relative_interval(values)
        return width is not None and width < self._sampling.relative_interval

    def _kept(self) -> list[_Visit]:
        """The clean blocks where they are enough, else with the least disturbed ones beside them."""
        visits, kept = self._visits(), self._clean()
        aside = [visit for visit in visits if visit.reasons]
        while aside and sum(len(visit.run_secs) for visit in kept) < self._sampling.repeat:
            kept.append(aside.pop(least_tainted([self._seen(visit.payload) for visit in aside])))
        return sorted(kept, key=lambda visit: visit.index)

    def _clean(self) -> list[_Visit]:
        return [visit for visit in self._visits() if not visit.reasons]

    def _visits(self) -> list[_Visit]:
        # Judged again each time: a later block may show how fast the device can be.
        return [_Visit(index, payload, taints(self._seen(payload))) for index, payload in enumerate(self._payloads)]

    def _seen(self, payload: Mapping[str, Any]) -> BlockConditions:
        return BlockConditions(
            payload["reference_before_s"],
            payload["reference_after_s"],
            self._best_s,
            payload["conditions"],
            self._cores,
            self._threads,
            payload.get("reference_usual_s"),
        )

    def _timed_s(self) -> float:
        return sum(map(_timed_s, self._payloads), 0.0)


_STOP_RULES: tuple[tuple[StoppedBy, Callable[[Rounds], bool]], ...] = (
    (StoppedBy.REPEATS, Rounds._has_all_repeats),
    (StoppedBy.INTERVAL, Rounds._has_narrow_interval),
    (StoppedBy.TIME, Rounds._has_no_time_for_a_block),
    (StoppedBy.TIME, Rounds._has_no_time_for_all_rounds),
    (StoppedBy.TIME, Rounds._has_refined_enough),
    (StoppedBy.TIME, Rounds._has_no_time_for_a_visit),
    (StoppedBy.DISTURBED, Rounds._is_disturbed_too_often),
)
"""Looked at in this order once there is a block; the first that applies ends the measurement."""


def _timed_s(payload: Mapping[str, Any]) -> float:
    return float(payload["number"]) * math.fsum(payload["run_secs"])


def _joined(visits: Sequence[_Visit], name: str) -> list[float]:
    return list(chain.from_iterable(visit.payload[name] for visit in visits))


def _block(visit: _Visit, usual: Mapping[str, Any]) -> dict[str, Any]:
    """One block on its own, with those of its conditions that are not the measurement's."""
    payload = visit.payload
    return {
        "block": visit.index,
        **{name: payload[name] for name in ("run_secs", "warmup_secs", "reference_before_s", "reference_after_s")},
        "tainted": [each.to_json() for each in visit.reasons],
        "conditions": {name: value for name, value in payload["conditions"].items() if usual.get(name) != value},
    }
