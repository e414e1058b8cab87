"""Loads the contenders of a final for a heat, each in a process of its own, and has them run in pairs side by side."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from sweep.devices.measuring.timing import Sampling
from sweep.devices.runtimes.duel_on import DuelContender, Loaded
from sweep.devices.side_by_side.core_groups import Groups
from sweep.devices.side_by_side.pair_rounds import PairRounds
from sweep.devices.side_by_side.partner import Partner, run_beside

if TYPE_CHECKING:
    from sweep.devices.rpc.remote import Remote

__all__ = ["MeetingInPairs"]


class MeetingInPairs:
    """Two at a time, each on a group of cores. Rounds are of the processes of the latest heat."""

    def __init__(self, groups: Groups, environment: Mapping[str, str], timeout_s: float) -> None:
        """environment: that of the device's server, for what is compiled. timeout_s: for a heat, loading included."""
        self.cores = groups[0]
        self.rounds = PairRounds(self._run_pair)
        self.conditions: Mapping[str, Any] = {"core_groups": [list(cores) for cores in groups]}
        self._groups, self._environment, self._timeout_s = groups, environment, timeout_s
        self._partners: dict[int, Partner] = {}

    def begin(
        self, remote: Remote, contenders: Mapping[int, DuelContender], closing: ExitStack
    ) -> Mapping[int, Callable[[], Loaded]]:
        """All load at once, on both groups; the board's session has no part in it but that nobody else has it."""
        self._partners = {
            index: closing.enter_context(self._partner_of(one, self._groups[number % 2]))
            for number, (index, one) in enumerate(contenders.items())
        }
        for partner in self._partners.values():
            closing.callback(partner.end)
            partner.load()
        return {index: partial(self._loaded, partner) for index, partner in self._partners.items()}

    def begin_next(self, contenders: Collection[DuelContender]) -> None:
        """Nothing: both groups of cores are measured on."""

    def close(self) -> None:
        """Nothing has begun that a heat has not ended."""

    def _partner_of(self, one: DuelContender, cores: tuple[int, ...]) -> Partner:
        is_compiled = one.artifact_dir is not None
        return Partner(
            one.runtime,
            one.import_dir,
            one.artifact_dir,
            self._environment if is_compiled else {},
            cores=cores,
            threads=one.threads,
            threshold=one.threshold,
            cache_flush=Sampling.of(one.measure).cache_flush,
            limit_s=self._timeout_s,
        )

    def _loaded(self, partner: Partner) -> Loaded:
        contestant = partner.open()
        for cores in reversed(self._groups):
            partner.go_to(cores)
        return Loaded(contestant, partial(partner.observe_on, self.cores))

    def _run_pair(
        self, pair: tuple[int, int], numbers: tuple[int, int], places: tuple[int, int]
    ) -> tuple[float, float]:
        return run_beside([self._partners[one] for one in pair], numbers, [self._groups[place] for place in places])
