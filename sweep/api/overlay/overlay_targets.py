"""Finds for each device of an overlay the network as it was lowered for it, and the target of its code."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.api.overlay.chosen_cells import Choice
from sweep.errors import StudyError
from sweep.planning.results.compiling import ImportResult, LowerResult
from sweep.running.ledger.ledger import FinishedStage, LedgerState
from sweep.running.ledger.saved_plan import read_plan
from sweep.study.cluster.cluster import Cluster, Device
from sweep.study.cluster.target_fit import fit
from sweep.study.spec import NATIVE, Target
from sweep.suggestions import hint, listed

__all__ = ["OverlayTarget", "check_network", "common_workloads", "targets_of"]


@dataclass(frozen=True, slots=True)
class OverlayTarget:
    """A device with its network."""

    device: Device
    target: Mapping[str, Any]
    """Full target, as its stages were given it."""
    target_json: str
    """The same as its records name it: nothing is left to this host."""
    target_hash: str
    """Name of the target's folder of records."""
    import_dir: str
    """Relative to the sweep directory, as `lower_dir` is."""
    lower_dir: str
    workloads: frozenset[str]
    import_id: str = ""
    """Of the stage that made `import_dir`, as `lower_id` is of the one that made `lower_dir`."""
    lower_id: str = ""

    @property
    def key(self) -> str:
        """The device's."""
        return self.device.key


def targets_of(sweep_dir: Path, choice: Choice, cluster: Cluster, state: LedgerState) -> list[OverlayTarget]:
    """A target for each device that was chosen, in that order.

    Raises:
        StudyError: the cluster file lacks a device, it is another one by now, or the sweep's files are gone.
    """
    if choice.tasks is None:
        allowed = "a folder that `sweep run` made: imported logs have times and no schedules"
        raise StudyError("has nothing to measure", key="DIR", value=str(sweep_dir), allowed=allowed)
    if cluster.is_pretended and cluster.replay is None:  # made-up times would be records of this sweep
        raise StudyError(
            "measures nothing", file=cluster.path, key="engine", value=cluster.engine, allowed="ray, inline, replay"
        )
    stages_of = {cell["id"]: cell["stages"] for cell in read_plan(sweep_dir)["cells"]}
    targets = []
    for key in choice.devices:
        device = _device(cluster, key)
        done = {stage: state.done[stage] for stage in stages_of.get(choice.cell_of[key], ()) if stage in state.done}
        targets.append(_target_of(sweep_dir, device, choice.target_of[key], done))
    return targets


def common_workloads(targets: Sequence[OverlayTarget]) -> frozenset[str]:
    """Layers that all devices have.

    Raises:
        StudyError: there is none, since their targets lower the network to different tensor programs.
    """
    common = frozenset.intersection(*(target.workloads for target in targets))
    if not common:
        told = "; ".join(f"{target.key} {len(target.workloads)}, for {_shown(target.target)}" for target in targets)
        problem = "have no layer in common: their targets lower the network to different tensor programs"
        raise StudyError(problem, key="--keys", value=told, allowed="devices of one kind, or another --opt-level")
    return common


def _target_of(sweep_dir: Path, device: Device, target_hash: str, done: Mapping[str, FinishedStage]) -> OverlayTarget:
    results = {stage_id: stage.result for stage_id, stage in done.items()}
    import_id, imported = next((each for each in results.items() if isinstance(each[1], ImportResult)), ("", None))
    lower_id, lowered = next((each for each in results.items() if isinstance(each[1], LowerResult)), ("", None))
    if not isinstance(imported, ImportResult) or not isinstance(lowered, LowerResult):
        raise _nothing_lowered(sweep_dir)
    if imported.dir is None or lowered.dir is None:
        raise _nothing_lowered(sweep_dir)
    try:
        text = (sweep_dir / lowered.dir / "lowering.json").read_text(encoding="utf-8")
        target = dict(json.loads(text)["options"]["target"])
    except (OSError, ValueError, KeyError) as error:
        problem = f"has no lowered network for {device.key}: {error}"
        raise StudyError(problem, key="DIR", value=str(sweep_dir), allowed="`sweep run` again, then this") from error
    reason = _other_device(target, device)
    if reason is not None:
        raise StudyError(
            f"is not the device {device.key} that was tuned: {reason}", key="--cluster", allowed="its cluster file"
        )
    return OverlayTarget(
        device=device,
        target=target,
        target_json=str(lowered.target_json),
        target_hash=target_hash,
        import_dir=imported.dir,
        lower_dir=lowered.dir,
        workloads=frozenset(task.workload for task in lowered.tasks),
        import_id=import_id,
        lower_id=lower_id,
    )


def check_network(sweep_dir: Path, target: OverlayTarget) -> None:
    """Raises StudyError where the files of the network are gone that it is measured with."""
    if not (sweep_dir / target.import_dir).is_dir():
        raise _nothing_lowered(sweep_dir)


def _nothing_lowered(sweep_dir: Path) -> StudyError:
    allowed = "`sweep run` again, then this"
    return StudyError("has no lowered network any more", key="DIR", value=str(sweep_dir), allowed=allowed)


def _other_device(target: Mapping[str, Any], device: Device) -> str | None:
    """Why code for the target is not for the device."""
    if target.get(NATIVE) != device.target.get(NATIVE) and NATIVE in target:
        return "its CPU is another"
    return fit(Target(_shown(target), dict(target)), device)


def _device(cluster: Cluster, key: str) -> Device:
    keys: Iterable[str] = [device.key for device in cluster.devices]
    if key not in keys:
        problem = f"has no device {key!r}, which was tuned{hint(key, keys)}"
        raise StudyError(problem, file=cluster.path, key="devices", allowed=f"--keys with some of {listed([*keys])}")
    return cluster.device(key)


def _shown(target: Mapping[str, Any]) -> str:
    return str(target.get("mcpu") or target.get("mtriple") or (NATIVE if NATIVE in target else target["kind"]))
