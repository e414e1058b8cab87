"""What a study file means once it is read."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from onnx import TensorProto, helper

from sweep.planning.planner import make_plan
from sweep.study.cluster.cluster import Cluster
from sweep.study.gate import load_study
from sweep.study.spec import Budget, Measure, Study
from sweep.study.tuners.tuner_forms import CATALOGUE
from tests.networks import write_tiny

BASE = "study: s\nmodels: [onnx-light:squeezenet]\n"


def test_every_default_is_filled_in(study_of: Callable[[str], Study]) -> None:
    study = study_of(BASE)
    assert [model.name for model in study.models] == ["squeezenet"]
    assert study.models[0].path.is_file()
    assert len(study.models[0].sha256) == 64
    assert [target.attrs for target in study.targets] == [{"kind": "native"}]
    assert [tuner.label for tuner in study.tuners] == ["none"]
    assert study.choices == {
        "opt_level": (3,),
        "layout": ("NCHW",),
        "precision": ("float32",),
        "batch": (1,),
        "mode": ("inference",),
        "variable": ("latency",),
    }
    assert study.measure == Measure(
        repeat=10,
        max_repeat=50,
        relative_interval=0.02,
        time_limit_s=30.0,
        min_repeat_ms=100,
        warmup=1,
        number=None,
        cache_flush=False,
        timeout_s=600.0,
    )
    assert study.budget == Budget(hours=None)
    assert (study.devices, study.exclude, study.include, study.seed) == (None, (), (), 0)
    assert (study.runtimes, study.baseline) == (("tvm", "onnxruntime"), "onnxruntime")


def test_sections_left_empty_keep_their_defaults(study_of: Callable[[str], Study]) -> None:
    assert study_of(BASE + "axes:\nmeasure:\nbudget:\n").measure == Measure()


def test_more_repeats_than_the_usual_most_are_asked_for_by_repeat_alone(study_of: Callable[[str], Study]) -> None:
    assert study_of(BASE + "measure: {repeat: 200}").measure.max_repeat == 200
    assert study_of(BASE + "measure: {repeat: 20, max_repeat: 20}").measure.max_repeat == 20


def test_how_often_what_was_disturbed_is_taken_again_is_a_part_of_the_id_where_it_is_said(
    study_of: Callable[[str], Study],
) -> None:
    assert study_of(BASE + "measure: {retakes: 0}").measure.options["retakes"] == 0
    assert "retakes" not in study_of(BASE + "measure: {retakes: 2}").measure.options, "what was measured before stays"


def test_tuner_options_are_complete_and_labels_are_names_by_default(study_of: Callable[[str], Study]) -> None:
    study = study_of(
        BASE + "tuners: [none, random, {name: xgb, round: 8}, {name: xgb, label: big, trials_per_task: 512}]"
    )
    assert [(tuner.label, tuner.name) for tuner in study.tuners] == [
        ("none", "none"),
        ("random", "random"),
        ("xgb", "xgb"),
        ("big", "xgb"),
    ]
    assert study.tuners[0].options == {}
    assert study.tuners[0].is_untuned
    shared = {"builder_timeout_s": 30.0, "runner_timeout_s": 10.0, "number": 1, "repeat": 3, "min_repeat_ms": 10}
    limits = {"trials_per_task": 32, "trials_total": None, "hours": None, "early_stopping": None}
    searched = {**limits, "round": 16, **shared}
    assert study.tuners[1].options == searched
    assert study.tuners[2].options == searched | {"round": 8, "population": 512, "generations": 3}


def test_every_tuner_of_the_catalogue_can_be_written_either_way(study_of: Callable[[str], Study], torch: None) -> None:
    names = list(CATALOGUE)
    assert names == ["none", "random", "gridsearch", "ga", "droplet", "xgb", "mlp", "optuna"]
    mappings = ", ".join(f"{{name: {name}, label: other-{name}}}" for name in names)
    study = study_of(BASE + f"tuners: [{', '.join(names)}, {mappings}]")
    assert [tuner.name for tuner in study.tuners] == [*names, *names]
    assert [tuner.label for tuner in study.tuners] == [*names, *(f"other-{name}" for name in names)]
    for short, long in zip(study.tuners, study.tuners[len(names) :], strict=False):
        assert short.options == long.options
    populations = {tuner.name: tuner.options.get("population") for tuner in study.tuners}
    assert (populations["ga"], populations["xgb"], populations["mlp"], populations["droplet"]) == (32, 512, 512, None)


@pytest.mark.parametrize("limit", ["trials_total: 100", "hours: 0.5"])
def test_a_task_needs_no_limit_of_its_own_where_the_whole_has_one(limit: str, study_of: Callable[[str], Study]) -> None:
    (tuner,) = study_of(BASE + f"tuners: [{{name: xgb, trials_per_task: null, {limit}}}]").tuners
    assert tuner.options["trials_per_task"] is None


@pytest.mark.parametrize(
    ("written", "name", "attrs"),
    [
        ("native", "native", {"kind": "native"}),
        ("llvm", "llvm", {"kind": "llvm"}),
        ("llvm -mcpu=nehalem", "nehalem", {"kind": "llvm", "mcpu": "nehalem"}),
        (
            "llvm -mcpu=core-avx2 -mattr=+avx2,+fma -num-cores=4 -mtriple=x86_64-linux-gnu",
            "core-avx2+avx2+fma-x86-64-4-cores",
            {
                "kind": "llvm",
                "mattr": ["+avx2", "+fma"],
                "mcpu": "core-avx2",
                "mtriple": "x86_64-linux-gnu",
                "num-cores": 4,
            },
        ),
        ("llvm --mcpu=haswell", "haswell", {"kind": "llvm", "mcpu": "haswell"}),
        ("{name: avx2, kind: llvm, mcpu: core-avx2}", "avx2", {"kind": "llvm", "mcpu": "core-avx2"}),
        ("{kind: llvm, mattr: '+avx2, +fma'}", "llvm+avx2+fma", {"kind": "llvm", "mattr": ["+avx2", "+fma"]}),
        ("{kind: native}", "native", {"kind": "native"}),
        ("{kind: native, name: here}", "here", {"kind": "native"}),
        (
            "{kind: llvm, mtriple: aarch64-linux, mattr: [+neon], host: llvm -mtriple=aarch64-linux -mattr=+neon}",
            "aarch64-linux+neon",
            {"kind": "llvm", "mattr": ["+neon"], "mtriple": "aarch64-linux"},
        ),
        ("aws/cpu/c5.large", "aws/cpu/c5.large", {"keys": ["x86", "cpu"], "kind": "llvm", "mcpu": "skylake-avx512"}),
    ],
)
def test_a_target_has_one_form_however_it_is_written(
    written: str, name: str, attrs: dict[str, object], study_of: Callable[[str], Study]
) -> None:
    target = study_of(BASE + f"targets: [{written if written.startswith('{') else repr(written)}]").targets[0]
    assert target.name == name
    assert {key: value for key, value in target.attrs.items() if key != "num-cores" or key in attrs} == attrs
    assert list(target.attrs) == sorted(target.attrs)


def test_a_tag_can_be_taken_and_changed(study_of: Callable[[str], Study]) -> None:
    target = study_of(BASE + "targets: [{tag: arm/rasp4b64, name: pi, num-cores: 2}]").targets[0]
    assert target.name == "pi"
    assert (target.attrs["mcpu"], target.attrs["num-cores"]) == ("cortex-a72", 2)
    assert target.attrs["mtriple"].startswith("aarch64")


def test_a_full_target_leaves_nothing_to_defaults(
    study_of: Callable[[str], Study], cluster_of: Callable[[str], Cluster]
) -> None:
    cluster = cluster_of(
        "name: c\ndevices:\n- {key: here, threads: 2, cores: [0, 1]}\n- {key: avx2, target: 'llvm -mcpu=core-avx2'}\n"
        "- {key: pi, managed: false, target: arm/rasp4b64, threads: 4}\n"
    )
    here, avx2, pi = cluster.devices
    native, haswell, a72 = study_of(
        BASE + "targets: [native, llvm -mcpu=haswell, {kind: llvm, mcpu: cortex-a72, num-cores: 1}]"
    ).targets
    assert native.on(here) == {"kind": "llvm", "native": "test-cpu", "num-cores": 2}
    assert native.on(avx2) == {"kind": "llvm", "mcpu": "core-avx2", "num-cores": 1}
    assert native.on(pi)["mcpu"] == "cortex-a72"
    assert native.on(pi)["num-cores"] == 4
    assert haswell.on(here) == {"kind": "llvm", "mcpu": "haswell", "num-cores": 2}
    assert a72.on(pi) == {"kind": "llvm", "mcpu": "cortex-a72", "mtriple": pi.target["mtriple"], "num-cores": 1}


def test_local_devices_lend_their_cores_unless_they_say_no(cluster_of: Callable[[str], Cluster]) -> None:
    devices = "devices:\n- {key: a}\n- {key: b, lend: false}\n- {key: pi, managed: false, target: arm/rasp4b64}\n"
    devices += "- {key: pi2, managed: false, target: arm/rasp4b64, lend: false}\n"
    lends = {device.key: device.lend for device in cluster_of("name: c\n" + devices).devices}
    assert lends == {"a": True, "b": False, "pi": False, "pi2": False}
    made_up = cluster_of("name: c\nengine: simulated\ndevices: [{key: a, lend: true}]\n")
    assert not made_up.devices[0].lend


def test_boards_may_share_a_key_here_and_elsewhere(cluster_of: Callable[[str], Cluster]) -> None:
    devices = "devices:\n- {key: a, count: 2}\n- {key: pi, managed: false, target: arm/rasp4b64, count: 3}\n"
    a, pi = cluster_of("name: c\n" + devices).devices
    assert (a.count, len(a.cores), pi.count, pi.cores) == (2, 1, 3, ())


def test_model_paths_start_at_the_study_file_and_the_hash_is_of_the_content(tmp_path: Path) -> None:
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / folder / "models").mkdir(parents=True)
        write_tiny(tmp_path / folder / "models" / "my net.onnx", seed)
        (tmp_path / folder / "s.yaml").write_text("study: s\nmodels: ['models/my net.onnx']\n")
    models = [load_study(tmp_path / folder / "s.yaml").models[0] for folder in "abc"]
    assert models[0].name == "my-net"
    assert models[0].path == tmp_path / "a" / "models" / "my net.onnx"
    assert models[0].sha256 == models[1].sha256 != models[2].sha256


@pytest.mark.parametrize("beside", ["net.data", "net.onnx.data", "net.onnx_data"])
def test_weights_in_a_file_beside_the_model_are_hashed_too(beside: str, tmp_path: Path) -> None:
    write_tiny(tmp_path / "net.onnx")
    (tmp_path / "s.yaml").write_text("study: s\nmodels: [net.onnx]\n")
    hashes = {load_study(tmp_path / "s.yaml").models[0].sha256}
    for weights in (b"one", b"two"):
        (tmp_path / beside).write_bytes(weights)
        hashes.add(load_study(tmp_path / "s.yaml").models[0].sha256)
    assert len(hashes) == 3


def test_an_empty_model_file_is_refused_at_the_gate(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").touch()
    (tmp_path / "s.yaml").write_text("study: s\nmodels: [net.onnx]\n")
    with pytest.raises(Exception, match=r"models\[0\]: is an empty file"):
        load_study(tmp_path / "s.yaml")


def test_the_tracker_comes_from_the_environment_when_it_is_someone_elses(
    cluster_of: Callable[[str], Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TVM_TRACKER_HOST", "lab")
    monkeypatch.setenv("TVM_TRACKER_PORT", "9190")
    devices = "name: c\ndevices: [{key: a}]\n"
    unmanaged = cluster_of(devices + "tracker: {managed: false}").tracker
    assert (unmanaged.host, unmanaged.port, unmanaged.managed) == ("lab", 9190, False)
    said = cluster_of(devices + "tracker: {managed: false, host: other, port: 1}").tracker
    assert (said.host, said.port) == ("other", 1)
    managed = cluster_of(devices).tracker
    assert (managed.host, managed.port, managed.managed) == ("127.0.0.1", 0, True)


def test_cores_count_from_the_end_of_those_that_may_be_used(cluster_of: Callable[[str], Cluster]) -> None:
    cluster = cluster_of("name: c\ndevices: [{key: a}, {key: b, cores: [-2, 0], threads: 2}]")
    assert [device.cores for device in cluster.devices] == [(3,), (0, 2)]


def test_a_simulated_cluster_makes_its_devices_up(cluster_of: Callable[[str], Cluster]) -> None:
    cluster = cluster_of("name: c\nengine: simulated\nsimulate: {devices: 3, slots: 4, stage_s: {tune: 2, import: 1}}")
    assert [device.key for device in cluster.devices] == ["sim-0", "sim-1", "sim-2"]
    assert cluster.simulate.slots == 4
    assert cluster.simulate.stage_s == {"tune": 2.0, "import": 1.0}


def test_reading_a_study_loads_nothing_heavy() -> None:
    heavy = "('numpy', 'pandas', 'onnx', 'onnxruntime', 'tvm', 'ray', 'mlflow', 'rich', 'typer', 'xgboost')"
    code = f"""
import sys
from pathlib import Path
from sweep.study.gate import load_cluster, load_study
from sweep.planning.planner import make_plan
from sweep.planning.summary import explain
explain(make_plan(load_study(Path("experiments/quickstart.yaml")), load_cluster(Path("clusters/simulated.yaml"))))
print([name for name in {heavy} if name in sys.modules])
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_shape_that_the_file_has_anyway_changes_no_id(tmp_path: Path, cluster_of: Callable[[], Cluster]) -> None:
    write_tiny(tmp_path / "net.onnx")
    plans = {}
    for inputs in ("{}", "{x: [1, 3, 8, 8]}", "{x: [1, 3, 16, 16]}"):
        study = tmp_path / "s.yaml"
        study.write_text(f"study: s\nmodels: [{{path: net.onnx, inputs: {inputs}}}]\naxes: {{batch: [1, 4]}}\n")
        plans[inputs] = list(make_plan(load_study(study), cluster_of()).stages)
    none, own, other = plans.values()
    assert own == none
    assert not set(other) & set(none)


def test_a_shape_for_what_the_file_leaves_open_stays_part_of_the_id(tmp_path: Path) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [])
    (tmp_path / "net.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    (tmp_path / "s.yaml").write_text("study: s\nmodels: [{path: net.onnx, inputs: {x: [1, 3]}}]\n")
    assert load_study(tmp_path / "s.yaml").models[0].inputs == {"x": (1, 3)}
