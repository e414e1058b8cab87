"""What is answered first."""

from __future__ import annotations

import dataclasses

from sweep.planning.order import by_information
from sweep.planning.planner import make_plan
from sweep.study.cluster.cluster import Cluster
from sweep.study.grid import cells
from sweep.study.spec import Study, Target
from tests.planning.grids import TARGETS, TUNERS, cluster, device, model, study

DESK = cluster(device("one"), device("two", "skylake-avx512"))


def asked(grid: Study, place: Cluster = DESK) -> list[str]:
    found = list(cells(grid, place))
    return [found[index].name for index in by_information(grid, found)]


def test_a_coarse_answer_of_every_model_and_device_comes_before_the_rest() -> None:
    grid = study(
        models=(model("a"), model("b")),
        tuners=tuple(TUNERS[label] for label in ("none", "random", "xgb")),
        opt_levels=(0, 3),
    )
    order = asked(grid)
    assert order[:4] == ["a onnxruntime one", "a onnxruntime two", "b onnxruntime one", "b onnxruntime two"]
    assert order[4:8] == [f"{name} native none O3 {key}" for name in "ab" for key in ("one", "two")]
    assert order[8:12] == [f"{name} native xgb O3 {key}" for name in "ab" for key in ("one", "two")]
    assert order[12:16] == [f"{name} native none O0 {key}" for name in "ab" for key in ("one", "two")]
    assert all(" random " in name for name in order[16:24])
    assert all(" xgb O0 " in name for name in order[24:])
    assert sorted(order) == sorted(cell.name for cell in cells(grid, DESK))


def test_level_3_and_the_devices_own_cpu_promise_most() -> None:
    grid = study(
        targets=(Target("nehalem", TARGETS["nehalem"]), Target("native", TARGETS["native"])),
        tuners=(TUNERS["random"],),
        opt_levels=(0, 1, 2, 3, 4),
        layouts=("NHWC", "NCHW"),
        batches=(8, 1),
        runtimes=("tvm",),
    )
    assert asked(grid, cluster(device("one")))[0] == "a native random O3 NHWC batch8 one"


def test_of_two_like_tuners_the_one_with_more_trials_and_a_persons_own_before_them() -> None:
    few = dataclasses.replace(TUNERS["xgb"], label="few", options={"trials_per_task": 4})
    own = dataclasses.replace(TUNERS["random"], label="own", name="mine:Tuner")
    alone = cluster(device("one"))
    assert asked(study(tuners=(few, TUNERS["xgb"]), runtimes=("tvm",)), alone)[0] == "a native xgb O3 one"
    assert asked(study(tuners=(TUNERS["xgb"], own), runtimes=("tvm",)), alone)[0] == "a native own O3 one"


def test_where_nothing_is_tuned_everything_is_a_baseline() -> None:
    assert asked(study(opt_levels=(0, 3), runtimes=("tvm",)), cluster(device("one"))) == [
        "a native none O0 one",
        "a native none O3 one",
    ]


def test_stages_come_in_the_order_of_their_cells() -> None:
    grid = study(models=(model("a"), model("b")), tuners=(TUNERS["none"], TUNERS["xgb"]), opt_levels=(0, 3))
    labels = [stage.label for stage in make_plan(grid, DESK).stages.values()]
    tunes = [label for label in labels if label.startswith("tune")]
    assert [label.split()[2] for label in tunes] == ["O3"] * 4 + ["O0"] * 4
    assert labels.index("measure b O3 native none on two") < labels.index(tunes[0])
    assert labels.index(tunes[3]) < labels.index("build a O0 native none for one")
