"""A schedule that one device found, made again for the target of another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sweep.errors import BuildFailed
from sweep.toolchain.native_log import NativeReader, NativeRecord
from sweep.toolchain.schedule_transfer import recorded_schedule
from tests.toolchain.conftest import Run, lower
from tests.variants import only

pytestmark = pytest.mark.tvm

FINDERS = {
    "avx2-1": {"kind": "llvm", "mcpu": "core-avx2", "num-cores": 1},
    "native-2": {"kind": "llvm", "native": "here", "num-cores": 2},
}
TARGETS = {**FINDERS, "nehalem-1": {"kind": "llvm", "mcpu": "nehalem", "num-cores": 1}}


@pytest.fixture(scope="module")
def found(run: Run, small: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[NativeRecord]]:
    """By finder: a schedule of each task of a small network at level 2, where weights keep their layout."""
    root = tmp_path_factory.mktemp("found")
    records = {}
    for key, target in FINDERS.items():
        lower(run, small, root / key / "lower", 2, target=target)
        folder = root / key / "records"
        made = run(
            ":invent_records", lower_dir=str(root / key / "lower"), records_dir=str(folder), target=target, seed=3
        )
        reader = NativeReader(folder)
        lines = [reader.record(line) for line in range(made["records"])]
        records[key] = [one for one in lines if one is not None]
    return records


def convolution(records: list[NativeRecord]) -> NativeRecord:
    return next(one for one in records if "SamplePerfectTile" in one.record)


def test_the_same_network_is_the_same_tensor_programs_for_all_of_them(run: Run, small: Path, tmp_path: Path) -> None:
    """What an overlay rests on: layers of two devices are one workload where their targets lower them alike."""
    for level in (0, 2, 3):
        lowered = [
            lower(run, small, tmp_path / f"{level}-{key}", level, target=target) for key, target in TARGETS.items()
        ]
        workloads = [{(task["workload"], task["weight"]) for task in one["tasks"]} for one in lowered]
        assert all(one == workloads[0] for one in workloads)


@pytest.mark.parametrize("finder", only(["avx2-1"], FINDERS.keys()))
def test_it_is_the_same_schedule_whatever_the_target(
    run: Run, found: dict[str, list[NativeRecord]], finder: str
) -> None:
    """Parallel chunks come from the finder's cores, vectors from its extents: the log has one trace, for everyone."""
    record = convolution(found[finder])
    told: list[dict[str, Any]] = [
        run(":replay_record", workload=record.workload, record=record.record, target=target)
        for target in TARGETS.values()
    ]
    assert len({one["hash"] for one in told}) == 1
    assert all(one["parallel"] == told[0]["parallel"] for one in told)
    assert all(one["vectorized"] == told[0]["vectorized"] for one in told)
    assert all(one["difference"] < 1e-3 for one in told)


def test_parallel_chunks_are_those_of_the_finders_cores(run: Run, found: dict[str, list[NativeRecord]]) -> None:
    asked = {}
    for key, records in found.items():
        instructions = json.loads(convolution(records).record)[1][0][0]
        [asked[key]] = [
            int(inputs[1])
            for name, inputs, attributes, _ in instructions
            if name == "Annotate" and attributes == ["meta_schedule.parallel"]
        ]
    assert asked["avx2-1"] > 1
    assert asked["native-2"] == 2 * asked["avx2-1"]


def test_a_trace_of_another_workload_fails_with_a_reason(
    run: Run, found: dict[str, list[NativeRecord]], tmp_path: Path
) -> None:
    record = convolution(found["avx2-1"])
    other = next(one for one in found["avx2-1"] if one.workload != record.workload)
    arguments = {"workload": other.workload, "record": record.record, "target": TARGETS["nehalem-1"]}
    with pytest.raises(BuildFailed, match="does not fit the workload"):
        run(recorded_schedule(record).job, **arguments, out_path=str(tmp_path / "lib.so"))
    assert not list(tmp_path.iterdir())


def test_what_asks_for_instructions_that_a_target_lacks_is_another_schedule_there(
    run: Run, found: dict[str, list[NativeRecord]], tmp_path: Path
) -> None:
    """Post-processing follows the target: a tensor intrinsic that it cannot have must not be run as something else."""
    record = convolution(found["avx2-1"])
    told = json.loads(record.record)
    (instructions, decisions), *rest = told[1]
    end = next(i for i, one in enumerate(instructions) if one[0] == "EnterPostproc")
    told[1] = [[instructions[: end + 1], decisions], *rest]  # recorded as if nothing had been rewritten
    arguments = {"workload": record.workload, "record": json.dumps(told), "target": TARGETS["nehalem-1"]}
    with pytest.raises(BuildFailed, match="makes another schedule"):
        run(recorded_schedule(record).job, **arguments, out_path=str(tmp_path / "lib.so"))
