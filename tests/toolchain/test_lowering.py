from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sweep.errors import LowerFailed
from sweep.toolchain.lowering import RECIPES
from tests.toolchain.conftest import Run, build, import_light, lower

pytestmark = pytest.mark.tvm

Lowered = dict[int, tuple[Path, dict[str, Any]]]


def workloads(result: dict[str, Any]) -> set[str]:
    return {task["workload"] for task in result["tasks"]}


def test_the_table_names_every_level() -> None:
    assert list(RECIPES) == [0, 1, 2, 3, 4]
    assert len({recipe.name for recipe in RECIPES.values()}) == 5
    assert all(recipe.description for recipe in RECIPES.values())


def test_every_level_changes_a_shipped_network(run: Run, lowered: Lowered, tmp_path: Path) -> None:
    """SqueezeNet has no batch norm to fold (2) and no parallel convolutions to combine; ShuffleNet and Inception do."""
    changed = {
        level: (lowered[below][0] / "module.json").read_bytes() != (lowered[level][0] / "module.json").read_bytes()
        for below, level in pairwise(range(5))
    }
    assert changed == {1: True, 2: True, 3: True, 4: True}
    assert lowered[0][1]["functions"] > lowered[1][1]["functions"]
    assert not workloads(lowered[2][1]) & workloads(lowered[3][1])

    import_light(run, "shufflenet", tmp_path / "shufflenet")
    folded = [lower(run, tmp_path / "shufflenet", tmp_path / f"shufflenet{level}", level) for level in (1, 2)]
    assert folded[0]["functions"] > folded[1]["functions"]


@pytest.mark.slow
def test_level_4_combines_the_branches_of_inception(run: Run, tmp_path: Path) -> None:
    import_light(run, "inception_v1", tmp_path / "import")
    results = {level: lower(run, tmp_path / "import", tmp_path / str(level), level) for level in (3, 4)}
    heavy = {level: sum(not t["trivial"] for t in result["tasks"]) for level, result in results.items()}
    assert heavy[4] < heavy[3]


def test_tasks(lowered: Lowered) -> None:
    folder, result = lowered[3]
    assert result["target_json"].startswith('{"kind": "llvm"')
    assert {path.stem for path in (folder / "tasks").iterdir()} == workloads(result)
    by_name = {task["name"]: task for task in result["tasks"]}
    assert not next(task for name, task in by_name.items() if "conv2d" in name)["trivial"]
    assert next(task for name, task in by_name.items() if name.startswith(("concat", "reshape", "fused_concat")))[
        "trivial"
    ]
    assert 0 < sum(task["trivial"] for task in result["tasks"]) < len(result["tasks"]) / 2
    assert max(task["weight"] for task in result["tasks"]) > 1


def test_equal_workloads_have_one_id_in_every_level(run: Run, lowered: Lowered) -> None:
    """Folding adds nothing to SqueezeNet's kernels: what was tuned at level 1 serves at level 2, under other names."""
    assert workloads(lowered[2][1]) <= workloads(lowered[1][1])
    paths = [str(path) for folder, _ in lowered.values() for path in sorted((folder / "tasks").iterdir())]
    found = run(":workload_ids", paths=paths)
    assert found["ours"] == [Path(path).stem for path in paths]
    assert found["again"] == found["ours"]
    pairs = set(zip(found["ours"], found["structural"], strict=True))
    assert len(pairs) == len(set(found["ours"])) == len(set(found["structural"]))


def test_lowering_again_gives_the_same_workloads(
    run: Run, squeezenet: tuple[Path, Any], lowered: Lowered, tmp_path: Path
) -> None:
    assert lower(run, squeezenet[0], tmp_path / "again", 3)["tasks"] == lowered[3][1]["tasks"]


def test_what_the_build_needs_is_written_down(lowered: Lowered) -> None:
    lowering = json.loads((lowered[2][0] / "lowering.json").read_text())
    assert lowering["options"]["opt_level"] == 2
    assert lowering["tasks"] == lowered[2][1]["tasks"]


@pytest.mark.parametrize(
    ("axes", "text"),
    [
        ({"level": 5}, "no recipe for opt_level 5; there are 0, 1, 2, 3, 4"),
        ({"level": 1, "layout": "NCWH"}, "no recipe for layout NCWH; there are NCHW, NHWC"),
        ({"level": 1, "precision": "int4"}, "no recipe for precision int4; there are float32, float16"),
    ],
)
def test_unknown_axes(run: Run, squeezenet: tuple[Path, Any], tmp_path: Path, axes: dict[str, Any], text: str) -> None:
    with pytest.raises(LowerFailed, match=text):
        lower(run, squeezenet[0], tmp_path / "lowered", **axes)
    assert not (tmp_path / "lowered").exists()


@pytest.mark.parametrize(("axes", "limit"), [({"layout": "NHWC"}, 1e-5), ({"precision": "float16"}, 5e-3)])
def test_layout_and_precision(
    run: Run, squeezenet: tuple[Path, Any], tmp_path: Path, axes: dict[str, str], limit: float
) -> None:
    lower(run, squeezenet[0], tmp_path / "lower", 3, **axes)
    build(run, tmp_path / "lower", tmp_path / "build")
    found = run(":run_artifact", artifact_dir=str(tmp_path / "build"), import_dir=str(squeezenet[0]))
    assert 0 < found["difference"] < limit * found["greatest"]
