"""Networks that learn: accuracy and sparsity are real, and a killed training ends at the same network."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import sweep
from sweep.errors import ImportFailed, StudyError
from sweep.files.npz import load_arrays
from sweep.planning.kinds import inputs_by_role, kind_of
from sweep.planning.planner import make_plan
from sweep.planning.stage import Plan, Stage
from sweep.toolchain.training.trained_network import train_network
from tests.planning.grids import cluster
from tests.toolchain.training.digits_net import write_net

pytest.importorskip("torch")

STUDY = """
study: digits
models:
  - {path: net.onnx, name: net}
  - {from: net, train: {dataset: digits, levels: [0.0, 0.8], %s}}
  - {from: net-train-80, name: again, train: {dataset: digits, levels: [0.9], %s}}
datasets: {digits: {sklearn: digits, preprocess: {divide: 16}}}
axes: {batch: [1, 2]}
"""
SHORT = "pretrain_steps: 60, sparse_steps: 90, finetune_steps: 90, batch_size: 32, learning_rate: 0.01"


def plan_in(folder: Path, steps: str = SHORT) -> Plan:
    write_net(folder / "net.onnx")
    (folder / "study.yaml").write_text(STUDY % (steps, steps), encoding="utf-8")
    return make_plan(sweep.load_study(folder / "study.yaml"), cluster())


def trainings(plan: Plan) -> list[Stage]:
    return [stage for stage in plan.stages.values() if stage.kind == "train"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, tuple[Path, dict[str, Any]]]:
    """Folder and result of each training of the study, by the model's name."""
    folder = tmp_path_factory.mktemp("trained")
    plan, found, done = plan_in(folder), {}, {}
    for stage in trainings(plan):
        results = {role: done[other] for role, other in inputs_by_role(stage, plan.stages).items()}
        kind, out = kind_of(stage), folder / "artifacts/train" / stage.id
        told = train_network(**kind.arguments(stage, results, folder), out_dir=str(out))
        done[stage.id] = kind.result.of_job(told)
        found[stage.hints["name"]] = (out, told)
    return found


def test_a_network_is_trained_once_for_all_batches(tmp_path: Path) -> None:
    plan = plan_in(tmp_path)
    assert [stage.label for stage in trainings(plan)] == ["train net-train-0", "train net-train-80", "train again"]
    dense, sparse, again = trainings(plan)
    assert again.inputs == (sparse.id,)
    taken = {stage.label: stage.inputs for stage in plan.stages.values() if stage.kind == "import"}
    assert taken["import net"] == ()
    assert taken["import net-train-0 batch2"] == (dense.id,)
    assert taken["import again"] == (again.id,)


def test_it_learns_and_loses_the_weights_that_it_is_to_lose(trained: Any) -> None:
    dense, sparse = (trained[name][1] for name in ("net-train-0", "net-train-80"))
    assert dense["accuracy"] > 0.9
    assert sparse["accuracy"] > dense["accuracy"] - 0.06
    assert dense["sparsity"] < 0.01
    assert sparse["sparsity"] == pytest.approx(0.8, abs=0.005)
    assert sparse["samples"] + sparse["test_samples"] == 1797
    steps, losses, accuracies, shares = zip(*sparse["curve"], strict=True)
    assert steps[-1] == 240
    assert losses[-1] < losses[0] / 2
    assert accuracies[-1] == sparse["accuracy"]
    assert [share for step, share in zip(steps, shares, strict=True) if step <= 60][-1] < 0.01
    assert list(shares) == sorted(shares)


def test_a_variant_takes_what_was_learned(trained: Any, tmp_path: Path) -> None:
    from sweep.toolchain.models.variants.variant_loader import with_weights

    folder, told = trained["net-train-80"]
    write_net(tmp_path / "net.onnx")
    model = with_weights(onnx.load(str(tmp_path / "net.onnx")), folder / "learned-0.npz")
    left = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for name, share in told["layers"].items():
        assert 1 - np.count_nonzero(left[name]) / left[name].size == pytest.approx(share)


def test_one_that_was_trained_goes_on_from_there(trained: Any) -> None:
    folder, told = trained["again"]
    assert sorted(path.name for path in folder.iterdir()) == ["learned-0.npz", "learned-1.npz"]
    assert told["curve"][0][2] > 0.5, "the first steps begin with a network that knows digits"
    assert told["sparsity"] == pytest.approx(0.9, abs=0.005)


KILLED = """
import json, os, signal, sys
from sweep.toolchain.training import sparse_training, trained_network
write = sparse_training.write_checkpoint

def write_and_die(path, content):
    write(path, content)
    if content["step"] >= 3:
        os.kill(os.getpid(), signal.SIGKILL)

sparse_training._CHECKPOINT_S = 0.0
sparse_training.write_checkpoint = write_and_die
options, hints, out = json.loads(sys.stdin.read())
print(json.dumps(trained_network.train_network(options, hints, out)))
"""


@pytest.mark.slow
def test_a_killed_training_ends_at_the_same_network(trained: Any, tmp_path: Path) -> None:
    sparse = next(stage for stage in trainings(plan_in(tmp_path)) if stage.hints["name"] == "net-train-80")
    out = tmp_path / "artifacts/train" / sparse.id
    checkpoint = out.with_name(f"{sparse.id}.checkpoint")
    orders = json.dumps([dict(sparse.options), dict(sparse.hints), str(out)])
    killed = subprocess.run([sys.executable, "-c", KILLED], input=orders, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert checkpoint.exists()
    assert not out.exists()
    told = train_network(sparse.options, sparse.hints, str(out))
    assert told["resumed_at"] == 3
    assert not checkpoint.exists()
    whole, resumed = (load_arrays(folder / "learned-0.npz") for folder in (trained["net-train-80"][0], out))
    assert all(np.array_equal(whole[name], resumed[name]) for name in whole)
    assert told["curve"] == trained["net-train-80"][1]["curve"]


def test_a_damaged_checkpoint_costs_what_it_had_saved(tmp_path: Path) -> None:
    plan = plan_in(tmp_path, "pretrain_steps: 3, sparse_steps: 0, finetune_steps: 0")
    stage = trainings(plan)[0]
    out = tmp_path / "artifacts/train" / stage.id
    out.parent.mkdir(parents=True)
    out.with_name(f"{stage.id}.checkpoint").write_bytes(b"PK nothing")
    assert train_network(stage.options, stage.hints, str(out))["steps"] == 3


@pytest.mark.parametrize(
    ("steps", "line"),
    [
        ("rates: {tail: 0.5}", "train: rates names 'tail', which is no layer; there are k, w, v"),
        ("batch_size: 4000", "train: the data set has 1347 samples to learn from, and a step takes 4000"),
    ],
)
def test_what_cannot_be_trained_fails_in_a_line(tmp_path: Path, steps: str, line: str) -> None:
    stage = trainings(plan_in(tmp_path, steps))[0]
    with pytest.raises(ImportFailed) as caught:
        train_network(stage.options, stage.hints, str(tmp_path / "a/b/c"))
    assert str(caught.value).startswith(line)


def test_without_torch_or_a_data_set_the_study_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    write_net(tmp_path / "net.onnx")
    text = "study: s\nmodels: [net.onnx, {from: net, train: {dataset: %s}}]\ndatasets: {digits: {sklearn: digits}}\n"
    (tmp_path / "study.yaml").write_text(text % "digit", encoding="utf-8")
    with pytest.raises(StudyError, match=r"models\[1\].train.dataset: is no data set, did you mean 'digits'"):
        sweep.load_study(tmp_path / "study.yaml")
    (tmp_path / "study.yaml").write_text(text % "digits", encoding="utf-8")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None)
    with pytest.raises(StudyError, match=r"models\[1\].train: is to train, which takes torch"):
        sweep.load_study(tmp_path / "study.yaml")
