"""The stages of small grids, looked at one by one."""

from __future__ import annotations

import dataclasses
import gc
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from sweep.planning.planner import make_plan
from sweep.planning.stage import Plan
from sweep.study.cluster.cluster import Device
from sweep.study.cluster.target_fit import fit
from sweep.study.model_file import read_model
from sweep.study.spec import Target
from tests.planning.grids import TARGETS, TUNERS, cluster, device, model, study


def _kinds(plan: Plan) -> dict[str, int]:
    return dict(Counter(stage.kind for stage in plan.stages.values()))


def test_a_model_is_imported_once_and_lowered_once_for_each_full_target() -> None:
    everything = study(tuners=tuple(TUNERS[label] for label in ("none", "random", "xgb")), opt_levels=(1, 3))
    plan = make_plan(everything, cluster())
    assert len(plan.cells) == 2 * 3 * 2 + 2
    assert _kinds(plan) == {"import": 1, "lower": 4, "tune": 8, "build": 12, "measure": 14}
    assert plan.naive == {"import": 14, "lower": 12, "tune": 8, "build": 12, "measure": 14}


def test_equal_devices_share_untuned_code_but_each_is_tuned_and_measured_for_itself() -> None:
    plan = make_plan(study(tuners=(TUNERS["none"], TUNERS["random"])), cluster(device("one"), device("two")))
    assert _kinds(plan) == {"import": 1, "lower": 1, "tune": 2, "build": 3, "measure": 6}


def test_threads_make_a_different_target() -> None:
    plan = make_plan(study(), cluster(device("one"), device("two", threads=2)))
    assert _kinds(plan)["lower"] == 2
    targets = [stage.options["target"] for stage in plan.stages.values() if stage.kind == "lower"]
    assert [target["num-cores"] for target in targets] == [1, 2]


def test_one_network_under_two_names_is_one_network() -> None:
    plan = make_plan(study(models=(model("a", "same"), model("b", "same"))), cluster())
    assert len(plan.cells) == 2 * len(make_plan(study(), cluster()).cells)
    assert _kinds(plan) == _kinds(make_plan(study(), cluster()))


def test_what_each_stage_is_told() -> None:
    native = study(tuners=(TUNERS["xgb"],), runtimes=("tvm", "onnxruntime"))
    plan = make_plan(native, cluster(device("one")))
    stages = {stage.kind + stage.options.get("runtime", ""): stage for stage in plan.stages.values()}
    imported = stages["import"]
    assert imported.options == {
        "sha256": native.models[0].sha256,
        "inputs": {"data": [1, 3, 8, 8]},
        "batch": 1,
        "seed": 0,
        "weights": "as-is",
    }
    loader = "sweep.toolchain.models.onnx_loader:OnnxLoader"
    assert imported.hints == {"path": "/models/a.onnx", "name": "a", "source": "a.onnx", "loader": loader}
    target = {"kind": "llvm", "mcpu": "core-avx2", "num-cores": 1}
    assert stages["lower"].options == {"opt_level": 3, "layout": "NCHW", "precision": "float32", "target": target}
    tune = stages["tune"]
    assert tune.options == {
        "tuner": {"name": "xgb", "options": {"trials_per_task": 64, "trials_total": 100}},
        "device": "one",
        "target": target,
        "seed": 0,
    }
    assert tune.hints["records"] == f"records/{tune.hints['tuner_key']}"
    assert tune.hints["records"].endswith("/xgb-one")
    assert tune.inputs == (stages["lower"].id,)
    assert tune.label == "tune a O3 native xgb on one"
    assert stages["build"].inputs == (stages["lower"].id, tune.id)
    assert stages["build"].options == {"target": target}
    measured = stages["measuretvm"]
    assert measured.inputs == (imported.id, stages["build"].id)
    assert measured.options["measure"]["repeat"] == 10
    assert (measured.options["device"], measured.options["threads"], measured.options["threshold"]) == ("one", 1, 1e-3)
    assert stages["measureonnxruntime"].inputs == (imported.id,)


def test_a_linker_is_told_to_what_links_and_changes_no_stage() -> None:
    asked = study(tuners=(TUNERS["none"], TUNERS["random"]))
    plain = make_plan(asked, cluster(device("one")))
    linked = make_plan(asked, cluster(dataclasses.replace(device("one"), linker="/bin/linker")))
    assert list(linked.stages) == list(plain.stages)
    found = {stage.kind: stage.hints.get("linker") for stage in linked.stages.values()}
    assert found == {"import": None, "lower": None, "tune": "/bin/linker", "build": "/bin/linker", "measure": None}


def test_networks_of_the_onnx_package_get_random_weights() -> None:
    light = read_model("onnx-light:squeezenet", Path("s.yaml"), "models[0]")
    plan = make_plan(study(models=(light,)), cluster())
    assert [stage.options["weights"] for stage in plan.stages.values() if stage.kind == "import"] == ["random"]


def test_the_device_behind_a_key_is_part_of_what_was_measured() -> None:
    old, new = (make_plan(study(), cluster(device("one", mcpu))) for mcpu in ("core-avx2", "skylake-avx512"))
    reference = {s.id for plan in (old, new) for s in plan.stages.values() if s.options.get("runtime") == "onnxruntime"}
    assert len(reference) == 2


def test_float16_is_held_to_its_own_threshold() -> None:
    plan = make_plan(study(precisions=("float16",), runtimes=("tvm",)), cluster(device("one")))
    assert [stage.options["threshold"] for stage in plan.stages.values() if stage.kind == "measure"] == [1e-2]


@pytest.fixture(scope="module")
def hundred_thousand() -> tuple[object, ...]:
    return (
        study(
            models=tuple(model(f"m{i}") for i in range(10)),
            targets=tuple(Target(name, TARGETS[name]) for name in ("native", "avx2", "nehalem")),
            tuners=(TUNERS["none"], *(dataclasses.replace(TUNERS["xgb"], label=f"x{i}") for i in range(7))),
            opt_levels=(0, 1, 2, 3, 4),
            layouts=("NCHW", "NHWC"),
            precisions=("float32", "float16"),
            batches=(1, 2),
        ),
        cluster(*(device(f"d{i}", "skylake-avx512") for i in range(11))),
    )


@pytest.mark.slow
def test_a_hundred_thousand_cells_take_seconds_and_bounded_memory(hundred_thousand: tuple[object, ...]) -> None:
    gc.collect()
    begun_s = time.process_time()
    plan = make_plan(*hundred_thousand)  # type: ignore[arg-type]
    spent_s = time.process_time() - begun_s
    assert len(plan.cells) == 10 * 11 * (3 * 8 * 5 * 2 * 2 * 2 + 2)
    assert spent_s < 30, f"{spent_s:.1f} s of CPU"  # 3 s when this was written
    shared = {id(stage.options) for stage in plan.stages.values()}
    assert len(shared) < len(plan.stages) / 10, "options are shared between stages, not copied"


def test_its_memory_is_below_a_kilobyte_or_so_a_stage() -> None:
    code = """
import resource, dataclasses
from tests.planning.grids import *
from sweep.planning.planner import make_plan
tuners = tuple(dataclasses.replace(TUNERS["xgb"], label=f"x{i}") for i in range(20))
models = tuple(model(f"m{i}") for i in range(20))
big = study(models=models, tuners=tuners, opt_levels=(0, 1, 2, 3, 4), runtimes=("tvm",))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
plan = make_plan(big, cluster(*(device(f"d{i}") for i in range(10))))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(len(plan.cells), (after - before) * 1024 / len(plan.stages))
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    cells, bytes_a_stage = done.stdout.split()
    assert int(cells) == 20_000
    assert float(bytes_a_stage) < 1500


def test_each_target_is_fitted_to_each_device_once(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: Counter[tuple[str, str]] = Counter()

    def counted(target: Target, board: Device) -> str | None:
        judged[target.name, board.key] += 1
        return fit(target, board)

    monkeypatch.setattr("sweep.study.grid.fit", counted)
    make_plan(study(targets=tuple(Target(name, form) for name, form in TARGETS.items())), cluster())
    assert set(judged.values()) == {1}
