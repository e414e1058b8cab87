from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from sweep.errors import BuildFailed
from tests.toolchain.conftest import TARGET, Run, build, import_light, lower

pytestmark = pytest.mark.tvm

Lowered = dict[int, tuple[Path, dict[str, Any]]]


@pytest.mark.parametrize("level", [*(pytest.param(level, marks=pytest.mark.slow) for level in (0, 1, 2)), 3, 4])
def test_untuned_output_agrees_with_the_reference(
    run: Run, squeezenet: tuple[Path, Any], lowered: Lowered, tmp_path: Path, level: int
) -> None:
    result = build(run, lowered[level][0], tmp_path / "build")
    library = tmp_path / "build" / "lib.so"
    assert result["artifact_bytes"] == library.stat().st_size
    assert (result["tuned_tasks"], result["untuned_tasks"]) == (0, len(lowered[level][1]["tasks"]))
    metadata = json.loads((tmp_path / "build" / "metadata.json").read_text())
    assert metadata["lib_sha256"] == hashlib.sha256(library.read_bytes()).hexdigest()
    assert metadata["inputs"] == [{"name": "data_0", "shape": [1, 3, 224, 224], "dtype": "float32"}]
    assert metadata["outputs"] == [{"shape": [1, 1000, 1, 1], "dtype": "float32"}]
    assert len(metadata["untuned"]) == result["untuned_tasks"]
    found = run(":run_artifact", artifact_dir=str(tmp_path / "build"), import_dir=str(squeezenet[0]))
    assert found["difference"] <= 1e-4


@pytest.mark.parametrize(("level", "packed"), [(2, False), (3, True)])
def test_tuning_records_are_applied_and_weights_packed(
    run: Run, small: Path, tmp_path: Path, level: int, packed: bool
) -> None:
    """From level 3 on weights get the layout that schedules ask for, and nothing is packed at run time."""
    lowered = lower(run, small, tmp_path / "lower", level)
    arguments = {"lower_dir": str(tmp_path / "lower"), "records_dir": str(tmp_path / "records")}
    made = run(":invent_records", **arguments, target=TARGET, seed=7)
    assert made["records"] == len(lowered["tasks"])
    before = {path.name: path.read_bytes() for path in (tmp_path / "records").iterdir()}
    result = build(run, tmp_path / "lower", tmp_path / "build", tmp_path / "records")
    assert (result["tuned_tasks"], result["untuned_tasks"]) == (made["tasks"], 0)
    assert {path.name: path.read_bytes() for path in (tmp_path / "records").iterdir()} == before
    weights = run(":packed_weights", **arguments, level=level, target=TARGET)
    assert (weights["packed"] > 0, weights["packed_at_run"]) == (packed, 0)
    found = run(":run_artifact", artifact_dir=str(tmp_path / "build"), import_dir=str(small))
    assert found["difference"] <= 1e-5


def test_records_of_another_level_leave_the_model_untuned(run: Run, small: Path, tmp_path: Path) -> None:
    """Where a weight's layout is free the workload is another one; what reads no weight is the same."""
    lower(run, small, tmp_path / "2", 2)
    tasks = lower(run, small, tmp_path / "3", 3)["tasks"]
    run(":invent_records", lower_dir=str(tmp_path / "2"), records_dir=str(tmp_path / "r"), target=TARGET, seed=1)
    result = build(run, tmp_path / "3", tmp_path / "build", tmp_path / "r")
    untuned = json.loads((tmp_path / "build" / "metadata.json").read_text())["untuned"]
    assert result["untuned_tasks"] >= 2
    assert {task["name"] for task in tasks if "conv" in task["name"]} <= set(untuned)


def test_the_best_record_is_the_one_of_least_median(run: Run, tmp_path: Path) -> None:
    """By the mean, as MetaSchedule has it, [1, 1, 9] loses to [2, 2, 2]."""
    (tmp_path / "database_workload.json").write_text('["1", "a"]\n["2", "bb"]\n["3", "torn')
    records = [
        [0, ["even", [2.0, 2.0, 2.0], {}, []]],
        [0, ["spiky", [1.0, 1.0, 9.0], {}, []]],
        [0, ["failed", [1e10], {}, []]],
        [0, ["nothing", None, {}, []]],
        [0, ["zero", [0.0], {}, []]],
        [1, ["failed", [1e10], {}, []]],
        [2, ["of a torn workload", [0.1], {}, []]],
    ]
    lines = [json.dumps(record) for record in records]
    (tmp_path / "database_tuning_record.json").write_text("\n".join([*lines, '[0, ["torn", [0.0001']))
    found = run(":choose_records", records_dir=str(tmp_path))
    assert found == {"has": [False, False], "records": [[0, ["spiky", [1.0, 1.0, 9.0], {}, []]]]}


def test_a_record_that_does_not_fit_leaves_its_task_untuned(run: Run, small: Path, tmp_path: Path) -> None:
    """MetaSchedule finds records by a hash that ignores block names, and fails the module when a trace names one."""
    lowered = lower(run, small, tmp_path / "lower", 3)
    run(":invent_records", lower_dir=str(tmp_path / "lower"), records_dir=str(tmp_path / "r"), target=TARGET, seed=2)
    path = tmp_path / "r" / "database_tuning_record.json"
    path.write_text(path.read_text().replace('"softmax', '"another', 1).replace('"T_softmax', '"another', 1))
    result = build(run, tmp_path / "lower", tmp_path / "build", tmp_path / "r")
    assert result["untuned_tasks"] == 1
    assert result["tuned_tasks"] == len(lowered["tasks"]) - 1
    assert "softmax" in json.loads((tmp_path / "build" / "metadata.json").read_text())["untuned"][0]


def test_no_records_folder_yet(run: Run, lowered: Lowered, tmp_path: Path) -> None:
    assert build(run, lowered[1][0], tmp_path / "build", tmp_path / "absent")["tuned_tasks"] == 0


def heavy_task(lowered: Lowered) -> Path:
    folder, result = lowered[1]
    return folder / "tasks" / f"{next(t['workload'] for t in result['tasks'] if not t['trivial'])}.json"


def test_a_candidate(run: Run, lowered: Lowered, tmp_path: Path) -> None:
    module = heavy_task(lowered)
    out = tmp_path / "candidate.so"
    result = run("build_candidate", module_json=module.read_text(), target=TARGET, out_path=str(out))
    assert result["artifact_bytes"] == out.stat().st_size > 1000
    assert result["build_s"] < 30
    run("build_candidate", module_path=str(module), target=TARGET, out_path=str(tmp_path / "again.so"))
    assert list(tmp_path.glob(".*")) == []


def test_a_candidate_that_is_no_module(run: Run, tmp_path: Path) -> None:
    with pytest.raises(BuildFailed):
        run("build_candidate", module_json="{}", target=TARGET, out_path=str(tmp_path / "c.so"))
    assert list(tmp_path.iterdir()) == []


def test_another_architecture_without_its_linker_says_what_to_install(
    run: Run, lowered: Lowered, tmp_path: Path
) -> None:
    target = {"kind": "llvm", "mtriple": "riscv64-linux-gnu", "num-cores": 1}
    out = tmp_path / "c.so"
    if any(shutil.which(f"riscv64-linux-gnu-{tool}") for tool in ("g++", "gcc", "g++-12", "gcc-12")):
        run("build_candidate", module_path=str(heavy_task(lowered)), target=target, out_path=str(out))
        assert out.stat().st_size > 1000
        return
    with pytest.raises(BuildFailed, match="no linker for riscv64-linux-gnu: install one of riscv64-linux-gnu-g"):
        run("build_candidate", module_path=str(heavy_task(lowered)), target=target, out_path=str(out))


@pytest.mark.parametrize(
    ("triple", "is_foreign"), [("riscv64-linux-gnu", True), (f"{os.uname().machine}-linux-gnu", False)]
)
def test_the_linker_of_a_device_links_what_is_for_another_architecture(
    run: Run, lowered: Lowered, tmp_path: Path, triple: str, is_foreign: bool
) -> None:
    linker, said, out = tmp_path / "link", tmp_path / "said", tmp_path / "c.so"
    linker.write_text(f'#!/bin/sh\necho "$@" >"{said}"\ntouch "$4"\n')
    linker.chmod(0o755)
    target = {"kind": "llvm", "mtriple": triple, "num-cores": 1}
    run("build_candidate", module_path=str(heavy_task(lowered)), target=target, out_path=str(out), linker=str(linker))
    assert out.exists()
    assert said.exists() == is_foreign
    if is_foreign:
        assert said.read_text().startswith("-shared -fPIC -o ")


def test_a_directory_is_whole_or_absent(run: Run, lowered: Lowered, tmp_path: Path) -> None:
    (tmp_path / "lower").mkdir()
    for name in ("module.json", "lowering.json"):
        (tmp_path / "lower" / name).write_bytes((lowered[0][0] / name).read_bytes())
    (tmp_path / "lower" / "module.json").write_text("{}")
    with pytest.raises(BuildFailed):
        build(run, tmp_path / "lower", tmp_path / "build")
    assert [path.name for path in tmp_path.iterdir()] == ["lower"]


def test_files_of_a_candidate_need_no_library_but_the_runtime(run: Run, lowered: Lowered, tmp_path: Path) -> None:
    out = tmp_path / "c.so"
    run("build_candidate", module_path=str(heavy_task(lowered)), target=TARGET, out_path=str(out))
    undefined = subprocess.run(["nm", "-D", "--undefined-only", str(out)], capture_output=True, text=True, check=True)
    names = [line.split()[-1] for line in undefined.stdout.splitlines()]
    assert all(name.startswith(("TVM", "_")) or name.partition("@")[0] in ("exp", "expf", "powf") for name in names)


@pytest.mark.slow
@pytest.mark.benchmark
def test_a_job_costs_little_more_than_its_compilation(run: Run, lowered: Lowered, tmp_path: Path) -> None:
    module = heavy_task(lowered).read_text()
    spent, compiled = [], []
    for number in range(5):
        started = time.perf_counter()
        result = run("build_candidate", module_json=module, target=TARGET, out_path=str(tmp_path / f"{number}.so"))
        spent.append(time.perf_counter() - started)
        compiled.append(result["build_s"])
    assert min(spent) < 2 * min(compiled) + 0.1


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["shufflenet", "resnet50"])
def test_every_level_of_the_larger_networks(run: Run, tmp_path: Path, name: str) -> None:
    import_light(run, name, tmp_path / "import")
    for level in range(5):
        lower(run, tmp_path / "import", tmp_path / f"lower{level}", level)
        build(run, tmp_path / f"lower{level}", tmp_path / f"build{level}")
        found = run(":run_artifact", artifact_dir=str(tmp_path / f"build{level}"), import_dir=str(tmp_path / "import"))
        assert found["difference"] <= 1e-3 * found["greatest"], level


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_squeezenet_with_a_random_schedule_for_every_task(
    run: Run, squeezenet: tuple[Path, Any], lowered: Lowered, tmp_path: Path
) -> None:
    run(":invent_records", lower_dir=str(lowered[4][0]), records_dir=str(tmp_path / "r"), target=TARGET, seed=7)
    assert build(run, lowered[4][0], tmp_path / "build", tmp_path / "r")["untuned_tasks"] == 0
    found = run(":run_artifact", artifact_dir=str(tmp_path / "build"), import_dir=str(squeezenet[0]))
    assert found["difference"] <= 1e-4
