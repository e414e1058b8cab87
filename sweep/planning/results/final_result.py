"""What a final results in: the times of networks that took turns or ran side by side, and at which look it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Self

from sweep.files.typed_json import PositiveFloat
from sweep.planning.fingerprint import fingerprint
from sweep.planning.results.json_record import JsonRecord, many, seldom
from sweep.planning.results.measurement import Measurement
from sweep.planning.results.stage_result import StageResult

if TYPE_CHECKING:
    from random import Random

    from sweep.planning.stage import Stage

__all__ = ["IN_TURNS", "SIDE_BY_SIDE", "Contender", "FinalResult", "digest_of"]

IN_TURNS, SIDE_BY_SIDE = "in turns", "side by side"

_ROUNDS_FAKED = 5


def digest_of(stage_id: str, measured: Measurement) -> str:
    """What tells a measurement from a later one of the same stage."""
    return fingerprint({"stage": stage_id, "run_secs": list(measured.run_secs)})[:16]


@dataclass(frozen=True, slots=True)
class Contender(JsonRecord):
    """A cell that took part."""

    cell: str = ""
    """Its id."""
    measured: str = ""
    """Of the measurement that chose it (`digest_of`): of a later one the final says nothing."""
    is_compiled: bool = False
    """Whether it may lead: others are held against the fastest of these."""
    run_secs: Sequence[PositiveFloat] = ()
    """Two slots a round, forth and back, each a mean over `number` calls. One that was far behind did not go on. Side
    by side a slot beside longer calls has more, and the leader's is the mean of those that it had beside the others.
    """
    number: int | None = None
    conditions: Mapping[str, Any] = field(default_factory=dict)
    """Of its process, before the first round and after the last."""
    failure: str | None = seldom()
    """Why it took no part after all, or what its times are not worth anything for."""
    rounds_by_heat: Sequence[int] = seldom(())
    """How many it took in each heat, for which all were loaded anew. Finals of earlier versions loaded them once."""

    leader_secs: Sequence[PositiveFloat] = seldom(())
    """Side by side: what the leader of the heat took in the same moments, its own for that one; else empty."""

    @property
    def heats(self) -> list[Sequence[float]]:
        """Its slots by heat, two a round; of what a heat leaves over, nothing is told."""
        return self._by_heat(self.run_secs)

    @property
    def leader_heats(self) -> list[Sequence[float]]:
        """What the leader took beside each of these."""
        return self._by_heat(self.leader_secs)

    def _by_heat(self, slots: Sequence[float]) -> list[Sequence[float]]:
        ends = list(accumulate(2 * rounds for rounds in self.rounds_by_heat or (len(slots) // 2,)))
        return [slots[begin:end] for begin, end in pairwise((0, *ends))]


@dataclass(frozen=True, slots=True)
class FinalResult(StageResult):
    """Cells of a model that took turns on a device, or ran side by side on it, under one lease of it."""

    contenders: tuple[Contender, ...] = many(Contender)
    looks: int = 0
    """How often it was asked whether they are told apart; the last time with all rounds."""
    reference_s: Sequence[float] = ()
    """Median time of the sentinel kernel in each heat; in each round where all were loaded once."""
    took_s: float = 0.0
    """From the first round on; what it takes to load the networks for the first time comes before."""
    is_decided: bool = False
    """Whether all are told apart from the leader, or are as fast; else the time was over."""
    is_last_look: bool = seldom(False)
    """Whether the latest look was the one for which the time was over: it has what earlier ones left of the 1 %."""
    conditions: Mapping[str, Any] = field(default_factory=dict)
    is_side_by_side: bool = seldom(False)
    """Whether pairs ran at the same moment, each network on cores of its own; else all took turns."""
    in_turns_because: str | None = seldom()
    """Why they took turns all the same where the study asks for side by side."""

    @classmethod
    def fake(cls, stage: Stage, seconds: float, draw: Random) -> Self:
        contenders = []
        for one in stage.options.get("contenders", ()):
            median_s = 10 ** draw.uniform(-3, -1)
            run_secs = tuple([median_s * draw.lognormvariate(0, 0.01) for _ in range(2 * _ROUNDS_FAKED)])
            contenders.append(Contender(one["cell"], one["measured"], one["is_compiled"], run_secs, 1))
        took_s = seconds * draw.uniform(0.5, 1.0)
        return cls(
            contenders=tuple(contenders),
            looks=1,
            took_s=took_s,
            conditions={"simulated": True},
            in_turns_because="the device is simulated" if stage.options.get("side_by_side") else None,
        )

    def replayed_from(self, source: str) -> Self:
        return replace(self, conditions={**self.conditions, "replayed_from": source})

    @property
    def timed(self) -> tuple[Contender, ...]:
        """Those that took turns."""
        return tuple(one for one in self.contenders if one.failure is None and one.run_secs)

    @property
    def rounds(self) -> int:
        """How many rounds there were."""
        return max((len(one.run_secs) // 2 for one in self.timed), default=0)

    @property
    def held(self) -> str:
        """How, in words."""
        return SIDE_BY_SIDE if self.is_side_by_side else IN_TURNS

    @property
    def key_figures(self) -> Mapping[str, Any]:
        return {"contenders": len(self.contenders), "rounds": self.rounds, "decided": self.is_decided}
