"""Loads the contenders of a final, compiled ones in one session, others in processes, and has them take turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.analysis.taint import BlockConditions, taints
from sweep.devices.measuring import conditions
from sweep.devices.measuring.duel import Contestant, take_rounds
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
    index: int
    contestant: Contestant
    observe: Observe
    threads: int


def duel_on(
    remote: Remote,
    contenders: Sequence[DuelContender],
    cores: tuple[int, ...],
    seconds: float,
    timeout_s: float,
    kernel: SentinelKernel | None,
) -> dict[str, Any]:
    """What the rounds gave, and of each contender its slots and conditions, or why it took no part.

    Raises MeasureFailed where fewer than two can be loaded, and what the remote calls raise.
    """
    failures: dict[int, str] = {}
    loaded: list[_Loaded] = []
    with ExitStack() as closing:
        for index, one in enumerate(contenders):
            try:
                contestant, observe = _open(remote, one, cores, timeout_s, closing)
                loaded.append(_Loaded(index, contestant, observe, one.threads))
            except (MeasureFailed, OutputMismatch) as error:
                failures[index] = f"{type(error).__name__}: {in_one_line(error)}"
        if len(loaded) < 2:
            raise MeasureFailed(f"fewer than two can be loaded; {'; '.join(failures.values())}")
        time_kernel = remote_timer(remote, kernel)
        before = [each.observe() for each in loaded]
        taken = take_rounds([each.contestant for each in loaded], seconds, time_kernel)
        after = [each.observe() for each in loaded]
    told: list[dict[str, Any]] = [{"failure": failures.get(index)} for index in range(len(contenders))]
    for number, each in enumerate(loaded):
        seen = {**conditions.merge(before[number], after[number], each.threads)}
        told[each.index] = {
            "run_secs": taken.run_secs[number],
            "number": taken.numbers[number],
            "conditions": seen,
            **_misplaced(seen, cores, each.threads),
        }
    return {
        "contenders": told,
        "looks": taken.looks,
        "reference_s": taken.kernel_s,
        "took_s": taken.took_s,
        "is_decided": taken.is_decided,
        "board": remote.board,
    }


def _misplaced(seen: Mapping[str, Any], cores: tuple[int, ...], threads: int) -> dict[str, str]:
    """On other cores, or with other threads, it is another competition; what slows hits all alike."""
    reasons = taints(BlockConditions((), (), None, seen, cores, threads))
    told = [str(each) for each in reasons if each.kind in (DisturbanceKind.OTHER_CORES, DisturbanceKind.OTHER_THREADS)]
    return {"failure": "; ".join(told)} if told else {}


def _open(
    remote: Remote, one: DuelContender, cores: tuple[int, ...], timeout_s: float, closing: ExitStack
) -> tuple[Contestant, Observe]:
    sampling = Sampling.of(one.measure)
    if one.artifact_dir is not None:
        artifact = load_artifact(one.artifact_dir, one.import_dir)
        return contestant_on(remote, artifact, sampling, one.threshold, True), lambda: observe_on(remote)
    process = closing.enter_context(
        TurnsProcess(
            one.runtime,
            one.import_dir,
            cores=cores,
            threads=one.threads,
            threshold=one.threshold,
            cache_flush=sampling.cache_flush,
            limit_s=timeout_s,
        )
    )
    return process.open(False), process.observe
