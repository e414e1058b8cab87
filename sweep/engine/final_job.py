"""The final as a device's worker performs it: contenders' files are looked at, then all meet under one lease."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sweep.devices.runtimes.duel_on import DuelContender
from sweep.engine.device_worker import DeviceWorker
from sweep.errors import ArtifactDamaged, MeasureFailed
from sweep.planning.results.compiling import COMPARED, BuildResult, ImportResult
from sweep.planning.results.final_result import Contender, FinalResult
from sweep.planning.results.stage_result import StageResult
from sweep.planning.stages.quantise import role_given
from sweep.running.contract import Attempt
from sweep.running.resuming import damage_of
from sweep.study.runtimes import runtime_of

__all__ = ["take_turns"]

LOADING_S = 60.0
"""For each contender to be uploaded, loaded and compared with the expected outputs, on top of the rounds."""


def take_turns(attempt: Attempt, worker: DeviceWorker) -> dict[str, Any]:
    """Perform a final, in turns or side by side. One that cannot be loaded is told with its reason.

    Raises ArtifactDamaged: a file is not as it was made; and what `DeviceSession.duel` raises.
    """
    options = attempt.stage.options
    entries: list[Mapping[str, Any]] = list(options["contenders"])
    made = [_made(attempt, entry) for entry in entries]
    for entry, results in zip(entries, made, strict=True):
        _check(entry, results, worker)
    told = worker.duel(
        [_contender(entry, results, worker) for entry, results in zip(entries, made, strict=True)],
        seconds=float(options["seconds"]),
        timeout_s=float(options["seconds"]) + sum(map(_loading_s, entries)),
        side_by_side=bool(options.get("side_by_side", False)),
    )
    contenders = [
        Contender.from_json({**one, **{key: entry[key] for key in ("cell", "measured", "is_compiled")}})
        for entry, one in zip(entries, told["contenders"], strict=True)
    ]
    return FinalResult(
        contenders=tuple(contenders),
        looks=told["looks"],
        reference_s=tuple(told["reference_s"]),
        took_s=told["took_s"],
        is_decided=told["is_decided"],
        is_last_look=told["is_last_look"],
        conditions=told["conditions"],
        is_side_by_side=any(one.leader_secs for one in contenders),
        in_turns_because=told["in_turns_because"],
    ).to_json()


def _loading_s(entry: Mapping[str, Any]) -> float:
    return LOADING_S + runtime_of(entry["options"]["runtime"]).opening_s


def _made(attempt: Attempt, entry: Mapping[str, Any]) -> dict[str, StageResult]:
    """The results that a contender rests on, by their kind."""
    return {kind: attempt.inputs[role] for kind, role in entry["roles"].items()}


def _check(entry: Mapping[str, Any], results: Mapping[str, StageResult], worker: DeviceWorker) -> None:
    is_compiled = runtime_of(entry["options"]["runtime"]).is_compiled
    for result in results.values():
        names = COMPARED if is_compiled and isinstance(result, ImportResult) else None
        if (reason := damage_of(result, worker.sweep_dir, is_read=True, names=names)) is not None:
            raise ArtifactDamaged(f"{reason}; it is not loaded, and the next `sweep run` makes it again")


def _contender(entry: Mapping[str, Any], results: Mapping[str, StageResult], worker: DeviceWorker) -> DuelContender:
    options = entry["options"]
    built = results.get("build")
    if runtime_of(options["runtime"]).is_compiled != isinstance(built, BuildResult):
        raise MeasureFailed(f"{options['runtime']} runs what was built, and nothing else does")
    return DuelContender(
        runtime=str(options["runtime"]),
        artifact_dir=None if built is None else worker.sweep_dir / built.folder(),
        import_dir=worker.sweep_dir / results[role_given(results)].folder(),
        measure=dict(options["measure"]),
        threads=int(options["threads"]),
        threshold=None if options["threshold"] is None else float(options["threshold"]),
    )
