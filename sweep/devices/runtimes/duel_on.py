"""Holds a final on a device: its contenders are loaded for each heat and observed, and what they gave is told.

In turns, compiled ones are loaded in one session, others in processes of their own. Another way to load them, and to
take the rounds of a heat, is given as a `Meeting`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sweep.analysis.taint import BlockConditions, taints
from sweep.devices.measuring import conditions
from sweep.devices.measuring.duel import Contestant, Duel, InTurns, Rounds, TakenRounds
from sweep.devices.measuring.sentinel_kernel import SentinelKernel, remote_timer
from sweep.devices.measuring.timing import Sampling
from sweep.devices.runtimes.artifact import contestant_on, load_artifact, observe_on
from sweep.devices.runtimes.turns_process import TurnsProcess
from sweep.errors import MeasureFailed, OutputMismatch, in_one_line
from sweep.planning.results.disturbance import DisturbanceKind

if TYPE_CHECKING:
    from sweep.devices.rpc.remote import Remote

__all__ = ["DuelContender", "Loaded", "Meeting", "MeetingInTurns", "duel_on"]


@dataclass(frozen=True, slots=True)
class DuelContender:
    """A network that is to take part."""

    runtime: str
    artifact_dir: Path | None
    """None where its runtime opens the import itself."""
    import_dir: Path
    measure: Mapping[str, Any]
    threads: int
    threshold: float | None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A contender in a heat."""

    contestant: Contestant
    observe: Callable[[], Mapping[str, Any]]
    """The conditions of its process."""


class Meeting(Protocol):
    """How contenders meet in a heat: where, and how its rounds are taken."""

    @property
    def cores(self) -> tuple[int, ...]:
        """That each is on when it is observed."""
        ...

    @property
    def rounds(self) -> Rounds:
        """With those that were loaded last."""
        ...

    @property
    def conditions(self) -> Mapping[str, Any]:
        """Of the whole final, to be told."""
        ...

    def begin(
        self, remote: Remote, contenders: Mapping[int, DuelContender], closing: ExitStack
    ) -> Mapping[int, Callable[[], Loaded]]:
        """Have all loaded for a heat, which lasts until `closing` closes; each is waited for by what is given for it.

        That raises MeasureFailed or OutputMismatch where it takes no part.
        """
        ...

    def begin_next(self, contenders: Collection[DuelContender]) -> None:
        """While the rounds of this heat are taken: what these load for the next one, as far as it disturbs nobody."""
        ...

    def close(self) -> None:
        """There is no next one."""
        ...


def duel_on(
    session: Callable[[], AbstractContextManager[Remote]],
    contenders: Sequence[DuelContender],
    meeting: Meeting,
    seconds: float,
    kernel: SentinelKernel | None,
) -> dict[str, Any]:
    """What the rounds gave, and of each contender its slots and conditions, or why it took no part.

    session: opens another session of the device for each heat. meeting: whoever made it closes it. Raises MeasureFailed
    where fewer than two can be loaded, and what the remote calls raise.
    """
    duel = Duel([one.artifact_dir is not None for one in contenders], seconds, rounds=meeting.rounds)
    failures: dict[int, str] = {}
    seen: dict[int, list[Mapping[str, Any]]] = {index: [] for index in range(len(contenders))}
    boards: dict[str, None] = {}
    while asked := duel.next_heat():
        with session() as remote, ExitStack() as heat:
            loaded: dict[int, Loaded] = {}
            begun = meeting.begin(remote, {index: contenders[index] for index in asked}, heat)
            for index, wait in begun.items():
                try:
                    loaded[index] = wait()
                except (MeasureFailed, OutputMismatch) as error:
                    failures[index] = f"{type(error).__name__}: {in_one_line(error)}"
            if len(loaded) < 2 and not duel.heats:
                raise MeasureFailed(f"fewer than two can be loaded; {'; '.join(failures.values())}")
            before = {index: each.observe() for index, each in loaded.items()}
            meeting.begin_next([contenders[index] for index in loaded])
            duel.take_heat({index: each.contestant for index, each in loaded.items()}, remote_timer(remote, kernel))
            for index, each in loaded.items():
                seen[index].append(conditions.merge(before[index], each.observe(), contenders[index].threads))
            boards[remote.board] = None
    taken = duel.taken
    return {
        "contenders": [_told(taken, index, seen[index], failures.get(index), meeting.cores) for index in seen],
        "looks": taken.looks,
        "reference_s": taken.kernel_s,
        "took_s": taken.took_s,
        "is_decided": taken.is_decided,
        "is_last_look": taken.is_last_look,
        "conditions": {"board": ", ".join(boards), **meeting.conditions},
    }


def _told(
    taken: TakenRounds, index: int, seen: Sequence[Mapping[str, Any]], failure: str | None, cores: tuple[int, ...]
) -> dict[str, Any]:
    if not seen:
        return {"failure": failure}
    heats = taken.run_secs[index]
    return {
        "run_secs": [seconds for slots in heats for seconds in slots],
        "leader_secs": [seconds for slots in taken.leader_secs[index] for seconds in slots],
        "rounds_by_heat": [len(slots) // 2 for slots in heats],
        "number": taken.numbers[index],
        "conditions": conditions.in_a_row(seen),
        "failure": failure or _misplaced(seen, cores),
    }


def _misplaced(seen: Sequence[Mapping[str, Any]], cores: tuple[int, ...]) -> str | None:
    """On other cores, or with other threads, it is another competition; what slows hits all alike."""
    reasons = [
        reason for heat in seen for reason in taints(BlockConditions((), (), None, heat, cores, heat["threads"]))
    ]
    told = [str(each) for each in reasons if each.kind in (DisturbanceKind.OTHER_CORES, DisturbanceKind.OTHER_THREADS)]
    return "; ".join(dict.fromkeys(told)) or None


class MeetingInTurns:
    """All on the same cores, one after the other. Processes of the next heat load on others, where there are some."""

    def __init__(self, cores: tuple[int, ...], timeout_s: float, loading_cores: tuple[int, ...] = ()) -> None:
        """timeout_s: for all of a heat, loading included. loading_cores: those that no device has."""
        self.cores, self._timeout_s = cores, timeout_s
        self.rounds: Rounds = InTurns()
        self.conditions: Mapping[str, Any] = {}
        self._loading_cores = loading_cores
        self._next: list[tuple[DuelContender, TurnsProcess]] = []
        self._keeping = ExitStack()
        """Ends what the next heat does not take over."""

    def begin(
        self, remote: Remote, contenders: Mapping[int, DuelContender], closing: ExitStack
    ) -> Mapping[int, Callable[[], Loaded]]:
        """Processes of what is not compiled start, and end, side by side, in the time of one."""
        closing.enter_context(self._keeping)
        begun, self._next, self._keeping = self._next, [], ExitStack()
        processes: dict[int, TurnsProcess] = {}
        for index, one in contenders.items():
            if one.artifact_dir is None:
                there = next((process for other, process in begun if other is one), None)
                processes[index] = there or closing.enter_context(self._process_of(one))
        for process in (*(process for _, process in begun), *processes.values()):
            closing.callback(process.end)
        return {index: partial(_loaded, remote, one, processes.get(index)) for index, one in contenders.items()}

    def begin_next(self, contenders: Collection[DuelContender]) -> None:
        """Start their processes."""
        if self._loading_cores:
            for one in contenders:
                if one.artifact_dir is None:
                    self._next.append((one, self._keeping.enter_context(self._process_of(one))))

    def close(self) -> None:
        """End what was started for a heat that does not come."""
        for _, process in self._next:
            process.end()
        self._keeping.close()

    def _process_of(self, one: DuelContender) -> TurnsProcess:
        return TurnsProcess(
            one.runtime,
            one.import_dir,
            cores=self.cores,
            threads=one.threads,
            threshold=one.threshold,
            cache_flush=Sampling.of(one.measure).cache_flush,
            limit_s=self._timeout_s,
            loading_cores=self._loading_cores,
        )


def _loaded(remote: Remote, one: DuelContender, process: TurnsProcess | None) -> Loaded:
    if process is not None:
        return Loaded(process.open(), process.observe)
    assert one.artifact_dir is not None
    artifact = load_artifact(one.artifact_dir, one.import_dir)
    contestant = contestant_on(remote, artifact, Sampling.of(one.measure), one.threshold)
    return Loaded(contestant, lambda: observe_on(remote))
