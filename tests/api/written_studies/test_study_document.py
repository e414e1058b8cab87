"""A study goes into a file and comes back as the same study, whatever it has; and one is made of a mapping."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from onnx import TensorProto, helper

import sweep
from sweep.errors import StudyError
from sweep.planning.planner import make_plan
from sweep.study.gate import load_cluster, load_study
from sweep.study.spec import Model, Study
from tests.networks import write_tiny

ROOT = Path(__file__).parents[3]
FILES = [*sorted((ROOT / "experiments").glob("*.yaml")), ROOT / "tests" / "golden" / "every_option.yaml"]


def unplaced(model: Model) -> Model:
    base = None if model.base is None else unplaced(model.base)
    return replace(model, source="", path=model.path.resolve(), base=base)


def same(study: Study, other: Study) -> None:
    """But for their paths, and how a model was written."""
    ours, theirs = ([unplaced(model) for model in one.models] for one in (study, other))
    assert theirs == ours
    assert replace(other, models=study.models, path=study.path) == study


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_is_saved_is_the_same_study(path: Path, tmp_path: Path) -> None:
    study = load_study(path)
    same(study, load_study(sweep.save_study(study, tmp_path / "deep" / "copy.yaml")))


def test_a_tuner_of_ones_own_keeps_its_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kept_options_tuner.py").write_text(
        "class Slow:\n    def __init__(self, options, seed): ...\n    def search(self, workload, space): ...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    tuner = {"name": "kept_options_tuner:Slow", "options": {"step": 2}, "round": 4}
    study = sweep.load_study({"study": "s", "models": ["onnx-light:squeezenet"], "tuners": [tuner]})
    assert study.tuners[0].options["step"] == 2
    same(study, load_study(sweep.save_study(study, tmp_path / "s.yaml")))


def test_a_profiling_grid_keeps_what_it_observes_and_its_limits(tmp_path: Path) -> None:
    profile = {"observe": ["memory", "latency"], "until_first_failure": "batch", "memory_limit_bytes": 10**6}
    axes = {"mode": ["training"], "batch": [1, 2]}
    asked = {"study": "s", "models": ["onnx-light:squeezenet"], "runtimes": ["torch"], "axes": axes, "profile": profile}
    study = sweep.load_study(asked)
    assert study.choices["variable"] == ("memory", "latency")
    same(study, load_study(sweep.save_study(study, tmp_path / "s.yaml")))


NET = helper.make_graph(
    [helper.make_node("MatMul", ["a", "b"], ["y"])],
    "g",
    [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", "N", 4]) for name in "ab"],
    [],
)


@pytest.mark.parametrize(
    "model",
    [
        {"inputs": {"a": [2, 2, 4], "b": {"range": [0, 2], "shape": [2, 2, 4]}}, "batch": "as-is"},
        {"inputs": {"b": {"npz": "b.npz", "array": "other"}}, "batch": "N"},
        {"inputs": {"b": {"npz": "b.npz"}}, "batch": "N"},
        {"inputs": {"b": {"fill": "ones"}, "a": [3, 3, 4]}, "batch": {"a": 0, "b": 1}},
        {"inputs": {"a": [1, 5, 4], "b": [1, 5, 4]}},
        {"inputs": {"a": [5, 5, 4], "b": [5, 5, 4]}},
    ],
    ids=["as-is", "by name, an array", "an array of its name", "by index, filled", "leading", "fixed"],
)
def test_what_is_said_of_a_models_inputs_is_kept(model: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(helper.make_model(NET).SerializeToString())
    np.savez(tmp_path / "b.npz", other=np.ones((1, 1, 4), np.float32), b=np.ones((1, 1, 4), np.float32))
    study = sweep.load_study({"study": "s", "models": [{"path": "net.onnx", **model}]}, tmp_path)
    again = load_study(sweep.save_study(study, tmp_path / "deep" / "s.yaml"))
    same(replace(study, models=_without_sources(study)), replace(again, models=_without_sources(again)))


def _without_sources(study: Study) -> tuple[Model, ...]:
    return tuple(
        replace(
            model,
            given={
                name: replace(one, source="", file=one.file and one.file.resolve()) for name, one in model.given.items()
            },
        )
        for model in study.models
    )


def test_a_study_of_a_mapping_is_that_of_a_file_with_the_same_keys(tmp_path: Path) -> None:
    write_tiny(tmp_path / "net.onnx")
    document = {"study": "s", "models": ["net.onnx"], "tuners": ["none", {"name": "ga", "trials_per_task": 4}]}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(document))
    (tmp_path / "c.yaml").write_text("name: c\nengine: inline\ndevices: [{key: here}]\n")
    made, read = sweep.load_study(document, tmp_path), load_study(tmp_path / "s.yaml")
    cluster = load_cluster(tmp_path / "c.yaml")
    assert list(make_plan(made, cluster).stages) == list(make_plan(read, cluster).stages)


def test_a_changed_study_is_saved_as_it_is_now(tmp_path: Path) -> None:
    study = sweep.load_study({"study": "s", "models": ["onnx-light:squeezenet"]})
    again = load_study(sweep.save_study(replace(study, seed=7), tmp_path / "s.yaml"))
    assert (study.seed, again.seed) == (0, 7)


def test_a_slip_in_a_mapping_names_its_key(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"<study>: opt_levels\[0\]: is out of range \(got 9\)"):
        sweep.load_study({"study": "s", "models": ["onnx-light:squeezenet"], "opt_levels": [9]}, tmp_path)
    with pytest.raises(StudyError, match=r"<study>: models\[0\]: does not exist"):
        sweep.load_study({"study": "s", "models": ["net.onnx"]}, tmp_path)


def test_a_sweep_of_one_made_in_python_has_its_file(tmp_path: Path) -> None:
    study = sweep.load_study({"study": "s", "models": ["onnx-light:squeezenet"], "opt_levels": [0, 3]})
    (tmp_path / "c.yaml").write_text(
        "name: c\nengine: simulated\nsimulate: {devices: 1, speed: 0}\nmlflow: {enabled: false}\n"
    )
    ended = sweep.run(study, load_cluster(tmp_path / "c.yaml"), out=tmp_path / "out")
    assert ended.status == "done"
    same(study, load_study(tmp_path / "out" / "study.yaml"))
