"""Loads the contenders of a final for each heat, compiled ones in one session, others in processes of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.analysis.taint import BlockConditions, taints
from sweep.devices.measuring import conditions
from sweep.devices.measuring.duel import Contestant, Duel, TakenRounds
from sweep.devices.measuring.sentinel_kernel import SentinelKernel, remote_timer
from sweep.devices.measuring.timing import Sampling
from sweep.devices.runtimes.artifact import contestant_on, load_artifact, observe_on
from sweep.devices.runtimes.turns_process import TurnsProcess
from sweep.errors import MeasureFailed, OutputMismatch, in_one_line
from sweep.planning.results.disturbance import DisturbanceKind

if TYPE_CHECKING:
    from sweep.devices.rpc.remote import Remote

__all__ = ["DuelContender", "duel_on"]

Observe = Callable[[], Mapping[str, Any]]


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
class _Loaded:
    contestant: Contestant
    observe: Observe


def duel_on(
    session: Callable[[], AbstractContextManager[Remote]],
    contenders: Sequence[DuelContender],
    cores: tuple[int, ...],
    seconds: float,
    timeout_s: float,
    kernel: SentinelKernel | None,
) -> dict[str, Any]:
    """What the rounds gave, and of each contender its slots and conditions, or why it took no part.

    session: opens another session of the device for each heat. timeout_s: for all of a heat, loading included.
    Raises MeasureFailed where fewer than two can be loaded, and what the remote calls raise.
    """
    duel = Duel([one.artifact_dir is not None for one in contenders], seconds)
    failures: dict[int, str] = {}
    seen: dict[int, list[Mapping[str, Any]]] = {index: [] for index in range(len(contenders))}
    boards: dict[str, None] = {}
    while asked := duel.next_heat():
        with session() as remote, ExitStack() as closing:
            loaded: dict[int, _Loaded] = {}
            processes = _started({index: contenders[index] for index in asked}, cores, timeout_s, closing)
            for index in asked:
                try:
                    loaded[index] = _loaded(remote, contenders[index], processes.get(index))
                except (MeasureFailed, OutputMismatch) as error:
                    failures[index] = f"{type(error).__name__}: {in_one_line(error)}"
            if len(loaded) < 2 and not duel.heats:
                raise MeasureFailed(f"fewer than two can be loaded; {'; '.join(failures.values())}")
            before = {index: each.observe() for index, each in loaded.items()}
            duel.take_heat({index: each.contestant for index, each in loaded.items()}, remote_timer(remote, kernel))
            for index, each in loaded.items():
                seen[index].append(conditions.merge(before[index], each.observe(), contenders[index].threads))
            boards[remote.board] = None
    taken = duel.taken
    return {
        "contenders": [_told(taken, index, seen[index], failures.get(index), cores) for index in seen],
        "looks": taken.looks,
        "reference_s": taken.kernel_s,
        "took_s": taken.took_s,
        "is_decided": taken.is_decided,
        "board": ", ".join(boards),
    }


def _told(
    taken: TakenRounds, index: int, seen: Sequence[Mapping[str, Any]], failure: str | None, cores: tuple[int, ...]
) -> dict[str, Any]:
    if not seen:
        return {"failure": failure}
    heats = taken.run_secs[index]
    return {
        "run_secs": [seconds for slots in heats for seconds in slots],
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


def _started(
    contenders: Mapping[int, DuelContender], cores: tuple[int, ...], timeout_s: float, closing: ExitStack
) -> dict[int, TurnsProcess]:
    """The processes of what is not compiled: side by side they start, and end, in the time of one."""
    processes = {
        index: closing.enter_context(
            TurnsProcess(
                one.runtime,
                one.import_dir,
                cores=cores,
                threads=one.threads,
                threshold=one.threshold,
                cache_flush=Sampling.of(one.measure).cache_flush,
                limit_s=timeout_s,
            )
        )
        for index, one in contenders.items()
        if one.artifact_dir is None
    }
    for process in processes.values():
        closing.callback(process.end)
    return processes


def _loaded(remote: Remote, one: DuelContender, process: TurnsProcess | None) -> _Loaded:
    if process is not None:
        return _Loaded(process.open(), process.observe)
    assert one.artifact_dir is not None
    artifact = load_artifact(one.artifact_dir, one.import_dir)
    contestant = contestant_on(remote, artifact, Sampling.of(one.measure), one.threshold)
    return _Loaded(contestant, lambda: observe_on(remote))
