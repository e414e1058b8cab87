"""Measuring what an overlay lacks: as stages in the sweep's ledger, on whatever engine, and each only once."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import sweep
from sweep.analysis.overlay.overlay import Overlay
from sweep.api.overlay import measure
from sweep.api.overlay.measure import measure_missing
from sweep.api.overlay.overlay import Question
from sweep.errors import BuildFailed, LowerFailed, StudyError
from sweep.planning.stages import overlay
from sweep.running.ledger.ledger import read_ledger
from sweep.study.cluster.cluster import Cluster, Replay
from sweep.study.gate import load_cluster
from tests.api.overlay.scripted_engine import ScriptedEngine, seconds_of
from tests.golden.conftest import HERE, old_machine, old_sweep  # noqa: F401  fixtures


class Watched:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, dict[str, int]]] = []
        self.ended: Counter[str] = Counter()
        self.failed: list[str] = []

    def begin(self, what: str, total: Mapping[str, int]) -> None:
        self.begun.append((what, dict(total)))

    def done(self, device: str, failed: str | None = None) -> None:
        self.ended[device] += 1
        if failed is not None:
            self.failed.append(failed)

    def tick(self) -> None:
        pass


@pytest.fixture
def folder(old_sweep: Path) -> Path:  # noqa: F811
    """A sweep that was tuned on two devices, by tuners that found other schedules, before its overlay."""
    for records in old_sweep.glob("records/*/overlay@*"):
        shutil.rmtree(records)
    for finished in read_ledger(old_sweep).done.values():
        if finished.kind in ("import", "lower"):  # whose larger files are left out of this copy
            home = old_sweep / finished.result.folder()
            home.mkdir(parents=True, exist_ok=True)
            for name in finished.result.needed_files:
                if not (home / name).exists():
                    (home / name).write_text("left out")
    return old_sweep


@pytest.fixture
def cluster() -> Cluster:
    return load_cluster(HERE / "cluster.yaml")


def measured(
    folder: Path,
    cluster: Cluster,
    engine: ScriptedEngine | None,
    monkeypatch: pytest.MonkeyPatch,
    watcher: Watched | None = None,
    **options: Any,
) -> Overlay:
    """With this engine; None: nothing may be asked of any."""

    @contextmanager
    def session(*_: object) -> Iterator[ScriptedEngine]:
        assert engine is not None, "a finished overlay asked for an engine"
        yield engine

    with monkeypatch.context() as patched:
        patched.setattr(measure, "EngineSession", session)
        return measure_missing(
            folder, cluster, Question(), out=folder / "overlay", watcher=watcher or Watched(), **options
        )


def test_each_layer_gets_the_choice_of_least_metric_and_nothing_is_measured_twice(
    folder: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, watched = ScriptedEngine(folder), Watched()
    found = measured(folder, cluster, engine, monkeypatch, watched, network=False)
    assert all(not layer.times.reasons() for layer in found.layers)
    assert all(layer.chosen is not None for layer in found.layers)
    alone = [stage for stage in engine.performed if not stage.options["in_turns"]]
    asked = Counter((stage.options["device"], trace) for stage in alone for trace in stage.options["candidates"])
    assert set(asked.values()) == {1}
    assert {device for device, _ in asked} == {"here-avx2", "here-nehalem"}
    assert watched.begun[0] == ("candidates", dict(Counter(device for device, _ in asked)))
    assert watched.ended.total() == sum(total for _, counts in watched.begun for total in counts.values())
    in_turns = {
        (stage.options["device"], trace)
        for stage in engine.performed
        for trace in stage.options["candidates"]
        if stage.options["in_turns"]
    }
    assert in_turns
    for layer in found.layers:
        for row, trace in enumerate(layer.times.configurations):
            for column, device in enumerate(layer.times.devices):
                if (device, trace) in {*asked, *in_turns}:
                    assert layer.times.seconds[row, column] == seconds_of(device, trace)
    ledger = (folder / "ledger.jsonl").read_bytes()
    again = measured(folder, cluster, None, monkeypatch, network=False)
    assert again.as_dict() == found.as_dict()
    assert (folder / "ledger.jsonl").read_bytes() == ledger


def test_how_the_sweep_stands_is_not_told_by_its_overlay(
    folder: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sweep.standing(folder).as_dict()
    measured(folder, cluster, ScriptedEngine(folder), monkeypatch)
    after = sweep.standing(folder).as_dict()
    assert {key: after[key] for key in after if "_s" not in key} == {
        key: before[key] for key in before if "_s" not in key
    }


def test_networks_are_measured_in_stages_too_and_only_once(
    folder: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ScriptedEngine(folder)
    found = measured(folder, cluster, engine, monkeypatch)
    kinds = Counter(stage.kind for stage in engine.performed)
    assert (kinds[overlay.BUILD], kinds[overlay.NETWORK]) == (4, 2)
    log = folder / "overlay" / "networks.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert Counter((line["device"], line["kind"]) for line in lines) == dict.fromkeys(
        [(device, role) for device in ("here-avx2", "here-nehalem") for role in ("merged", "own")], 5
    )
    for network in found.networks:
        assert (len(network.merged.blocks), len(network.own.blocks), network.reason) == (5, 5, None)
        assert network.merged.untuned_tasks == 1
    again = measured(folder, cluster, None, monkeypatch)
    assert again.as_dict() == found.as_dict()
    assert log.read_text().splitlines() == [json.dumps(line) for line in lines]


def test_blocks_that_an_earlier_version_has_measured_count(
    folder: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three rounds of each build: two are missing. The log names builds as that version did."""
    measured(folder, cluster, ScriptedEngine(folder), monkeypatch)
    log = folder / "overlay" / "networks.jsonl"
    kept: Counter[tuple[str, str]] = Counter()
    lines = []
    for line in log.read_text().splitlines():
        payload = json.loads(line)
        assert payload["artifact"].startswith("artifacts/build/overlay-")
        kept[payload["device"], payload["kind"]] += 1
        if kept[payload["device"], payload["kind"]] <= 3:
            lines.append(line)
    log.write_text("".join(f"{line}\n" for line in lines))
    engine = ScriptedEngine(folder)
    measured(folder, cluster, engine, monkeypatch)
    assert [stage.options["rounds"] for stage in engine.performed] == [{"merged": 2, "own": 2}] * 2
    assert len(log.read_text().splitlines()) == 20


def test_what_the_ledger_has_is_recorded_without_an_engine(
    folder: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a kill between the ledger's line and the records."""
    found = measured(folder, cluster, ScriptedEngine(folder), monkeypatch)
    for records in folder.glob("records/*/overlay@*"):
        shutil.rmtree(records)
    (folder / "overlay" / "networks.jsonl").unlink()
    assert measured(folder, cluster, None, monkeypatch).as_dict() == found.as_dict()


@pytest.mark.parametrize("kind", ["import", "lower"])
def test_what_rests_on_a_damaged_file_is_not_measured(
    kind: str, folder: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in folder.glob(f"artifacts/{kind}/*/module.json"):
        file.write_text("")

    with pytest.raises(StudyError, match=rf"DIR: rests on a damaged file: artifacts/{kind}/\w+/module.json is empty"):
        measured(folder, cluster, ScriptedEngine(folder), monkeypatch)


def test_the_replay_engine_answers_for_the_devices(
    folder: Path, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    found = measured(folder, cluster, ScriptedEngine(folder), monkeypatch)
    replayed = replace(cluster, engine="replay", replay=Replay(folder, slots=4, speed=0.0))
    watched = Watched()
    # Folders of builds are not recorded, only that they were there
    for build in (folder / "artifacts" / overlay.BUILD).iterdir():
        (copy / "artifacts" / overlay.BUILD / build.name).mkdir(parents=True)
    again = measure_missing(copy, replayed, Question(), out=copy / "overlay", watcher=watched)
    assert again.as_dict() == found.as_dict()
    assert watched.begun
    done = {stage_id for stage_id, stage in read_ledger(copy).done.items() if stage.kind.startswith("overlay")}
    assert done == {
        stage_id for stage_id, stage in read_ledger(folder).done.items() if stage.kind.startswith("overlay")
    }


def test_made_up_devices_measure_nothing(folder: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StudyError, match="measures nothing"):
        measured(folder, replace(cluster, engine="simulated"), None, monkeypatch)


def test_a_candidate_that_does_not_build_is_out_with_its_reason(
    folder: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ScriptedEngine(folder)
    measured(Path(shutil.copytree(folder, folder.parent / "dry")), cluster, engine, monkeypatch, network=False)
    first = next(stage for stage in engine.performed if not stage.options["in_turns"])
    bad = first.options["candidates"][0]
    watched = Watched()
    found = measured(folder, cluster, ScriptedEngine(folder, failing=[bad]), monkeypatch, watched, network=False)
    assert watched.failed == ["BuildFailed: no such intrinsic"]
    layer = next(each for each in found.layers if each.times.workload == first.options["workload"])
    assert layer.config != bad
    assert layer.times.reasons() == {f"failed on {first.options['device']}: BuildFailed: no such intrinsic": 1}
    measured(folder, cluster, None, monkeypatch, network=False)


def test_a_contest_goes_on_without_what_does_not_build_and_is_not_held_again(
    folder: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    dry = ScriptedEngine(folder)
    measured(Path(shutil.copytree(folder, folder.parent / "dry")), cluster, dry, monkeypatch, network=False)
    contest = next(stage for stage in dry.performed if stage.options["in_turns"])

    class Dropping(ScriptedEngine):
        def _layer(self, stage: Any) -> Any:
            result = super()._layer(stage)
            if stage.options["in_turns"] and stage.options["workload"] == contest.options["workload"]:
                return replace(result, candidates=result.candidates[1:])
            return result

    engine = Dropping(folder)
    measured(folder, cluster, engine, monkeypatch, network=False)
    held = [stage.id for stage in engine.performed if stage.options["workload"] == contest.options["workload"]]
    assert len(held) == len(set(held))
    measured(folder, cluster, None, monkeypatch, network=False)


def test_what_fails_for_no_candidates_fault_ends_the_overlay_and_is_tried_again(
    folder: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(stage: Any) -> str | None:
        return LowerFailed.__name__ if stage.options["device"] == "here-nehalem" else None

    broken = ScriptedEngine(folder, refuses=refuses)
    with pytest.raises(LowerFailed, match="as the test wants it"):
        measured(folder, cluster, broken, monkeypatch, network=False)
    engine = ScriptedEngine(folder)
    found = measured(folder, cluster, engine, monkeypatch, network=False)
    assert all(not layer.times.reasons() for layer in found.layers)
    kept = {stage.id for stage in broken.performed if stage.options["device"] == "here-avx2"}
    assert kept
    assert not kept & {stage.id for stage in engine.performed}


def test_a_build_of_the_network_that_fails_is_told_and_ends_nothing(
    folder: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(stage: Any) -> str | None:
        return BuildFailed.__name__ if stage.label == "build merged log for here-avx2" else None

    engine = ScriptedEngine(folder, refuses=refuses)
    found = {network.device: network for network in measured(folder, cluster, engine, monkeypatch).networks}
    assert found["here-avx2"].merged.failure == "BuildFailed: as the test wants it"
    assert (len(found["here-avx2"].own.blocks), len(found["here-nehalem"].merged.blocks)) == (5, 5)
    assert found["here-nehalem"].reason is None
