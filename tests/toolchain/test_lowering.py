from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sweep.errors import LowerFailed
from sweep.toolchain.lowering import RECIPES
from tests.toolchain.conftest import QUICK, TARGET, Run, build, import_file, import_light, lower
from tests.toolchain.networks import write_branches

pytestmark = pytest.mark.tvm

Lowered = dict[int, tuple[Path, dict[str, Any]]]


def workloads(result: dict[str, Any]) -> set[str]:
    return {task["workload"] for task in result["tasks"]}


def test_the_table_names_every_level() -> None:
    assert list(RECIPES) == [0, 1, 2, 3, 4]
    assert len({recipe.name for recipe in RECIPES.values()}) == 5
    assert all(recipe.description for recipe in RECIPES.values())


def test_a_pass_that_spoils_what_it_refuses_leaves_the_network_whole(run: Run, small: Path) -> None:
    found = run(":spoil", import_dir=str(small), target=TARGET)
    assert found == {"made": 1, "given": 1, "left_out": ["Spoiler (nothing is left)"]}


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


def test_a_classifier_of_1000_channels_is_padded(lowered: Lowered) -> None:
    """From level 3 on; the cut comes after the mean, so no function but the convolution's and the mean's sees it."""
    for level, wide in ((2, False), (3, True), (4, True)):
        shapes = _output_shapes(lowered[level][0])
        assert ((1, 13, 13, 1024) in shapes) is wide


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


def test_levels_that_differ_in_what_they_fuse_share_families(lowered: Lowered) -> None:
    """A convolution alone at level 0 and one with bias and relu at level 1 are different workloads of one family."""
    heavy = {
        level: {task["family"]: task["workload"] for task in lowered[level][1]["tasks"] if "conv2d" in task["name"]}
        for level in (0, 1)
    }
    assert heavy[0].keys() == heavy[1].keys()
    assert not set(heavy[0].values()) & set(heavy[1].values())
    assert len(heavy[0]) > 10


def test_equal_workloads_have_one_id_in_every_level(run: Run, lowered: Lowered) -> None:
    """Folding adds nothing to SqueezeNet's kernels: what was tuned at level 1 serves at level 2, under other names."""
    assert workloads(lowered[2][1]) <= workloads(lowered[1][1])
    paths = [str(path) for level in range(5) for path in sorted((lowered[level][0] / "tasks").iterdir())]
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
        ({"level": 1, "layout": "NCWH"}, "no recipe for layout NCWH; there are NCHW, NHWC, as-is, auto"),
        ({"level": 1, "precision": "int4"}, "no recipe for precision int4; there are float32, float16"),
    ],
)
def test_unknown_axes(run: Run, squeezenet: tuple[Path, Any], tmp_path: Path, axes: dict[str, Any], text: str) -> None:
    with pytest.raises(LowerFailed, match=text):
        lower(run, squeezenet[0], tmp_path / "lowered", **axes)
    assert not (tmp_path / "lowered").exists()


@pytest.mark.parametrize(
    ("network", "level", "axes", "limit"),
    [
        pytest.param("squeezenet", 2, {"layout": "NHWC"}, 1e-5, marks=pytest.mark.slow),
        pytest.param("squeezenet", 3, {"precision": "float16"}, 5e-3, marks=pytest.mark.slow),
        pytest.param("squeezenet", 3, {"precision": "bfloat16"}, 5e-2, marks=pytest.mark.slow),
        ("branches", 2, {"layout": "NHWC"}, 1e-5),
        pytest.param("branches", 3, {"precision": "bfloat16"}, 5e-2, marks=pytest.mark.slow),
        ("small", 3, {"precision": "half", "dtype": "float16"}, 5e-3),
        ("small", 3, {"precision": "half", "passes": ["tvm.relax.transform:ToMixedPrecision"]}, 5e-3),
    ],
)
def test_layout_and_precision(
    run: Run,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    network: str,
    level: int,
    axes: dict[str, Any],
    limit: float,
) -> None:
    imported = request.getfixturevalue(network)
    folder = imported if isinstance(imported, Path) else imported[0]
    lower(run, folder, tmp_path / "lower", level, **axes)
    build(run, tmp_path / "lower", tmp_path / "build")
    found = run(":run_artifact", artifact_dir=str(tmp_path / "build"), import_dir=str(folder))
    assert 0 < found["difference"] < limit * found["greatest"]


def test_a_layout_is_kept_where_it_is_named_and_chosen_by_the_level_where_not(
    run: Run, small: Path, tmp_path: Path
) -> None:
    blocks, modules, facts = {}, {}, {}
    for level in (2, 3):
        for layout, kept in (("NCHW", False), ("NHWC", False), ("NCHW", True), ("NHWC", True), ("as-is", False)):
            key, folder = (level, layout, kept), tmp_path / f"{level}{layout}{kept}"
            result = lower(run, small, folder, level, layout=layout, **({"keep_layout": True} if kept else {}))
            modules[key] = [(folder / name).read_bytes() for name in ("module.json", "constants.json")]
            found = run(":calls_of", lower_dir=str(folder), level=level, target=TARGET)["blocks"]
            blocks[key], facts[key] = {name for name in found if "conv2d" in name}, result["layout"]
    for level, layout, kept in blocks:
        chosen = {"NCHW": "NHWC"}.get(layout, layout) if level == 3 and not kept else layout
        expected = {"as-is": "NCHW"}.get(chosen, chosen)
        assert blocks[level, layout, kept] == {f"conv2d_{expected.lower()}"}, (level, layout, kept)
        assert facts[level, layout, kept]["convolutions"] == {expected: 2}
        assert facts[level, layout, kept]["fallbacks"] == []
    assert modules[2, "NCHW", False] == modules[2, "NCHW", True] == modules[2, "as-is", False]
    assert modules[2, "NHWC", False] == modules[2, "NHWC", True], "the stage has one id in both cases"
    assert modules[3, "NCHW", False] == modules[3, "NHWC", False] == modules[3, "NHWC", True]
    assert modules[3, "NCHW", True] == modules[3, "as-is", False] != modules[3, "NCHW", False]


@pytest.mark.parametrize(
    ("name", "layouts", "transpositions", "in_place"),
    [
        ("squeezenet", {"conv2d_nhwc"}, 1, 16),
        pytest.param("inception_v1", {"conv2d_nhwc"}, 1, 36, marks=pytest.mark.slow),
    ],
)
def test_channels_are_last_everywhere_at_level_3(
    run: Run, tmp_path: Path, name: str, layouts: set[str], transpositions: int, in_place: int
) -> None:
    """One transposition is left, of the input, and no concatenation is copied."""
    found = lowered_calls(run, name, tmp_path)
    assert {block for block in found["blocks"] if "conv2d" in block} == layouts
    assert sum("transpose" in call for call in found["lowered"]) == transpositions
    assert not any("concatenate" in call for call in found["finished"])
    assert sum("in_place" in call for call in found["finished"]) == in_place


def test_narrow_groups_keep_channels_second(run: Run, branches: Path, tmp_path: Path) -> None:
    """Those with windows of several positions, and the depthwise convolution behind their shuffle."""
    found = blocks_of(run, branches, tmp_path)
    assert "conv2d_nhwc" in found["blocks"]
    assert {block for block in found["blocks"] if "group_conv" in block} == {"group_conv2d_nchw"}


def test_narrow_groups_of_one_position_are_products_with_channels_last(run: Run, tmp_path: Path) -> None:
    """ShuffleNet: of its 16 channel shuffles none is a copy; the one transposition is that of the input."""
    found = lowered_calls(run, "shufflenet", tmp_path)
    assert "grouped_sums" in found["blocks"]
    assert not [block for block in found["blocks"] if "nchw" in block]
    assert sum("transpose" in call for call in found["lowered"]) == 1
    assert sum("grouped_conv2d" in call for call in found["lowered"]) == 2 * 16


def lowered_calls(run: Run, name: str, folder: Path) -> dict[str, Any]:
    import_light(run, name, folder / "import")
    return blocks_of(run, folder / "import", folder)


def blocks_of(run: Run, imported: Path, folder: Path) -> dict[str, Any]:
    lower(run, imported, folder / "lower", 3)
    return run(":calls_of", lower_dir=str(folder / "lower"), level=3, target=TARGET)


@pytest.fixture(scope="module")
def branches(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An imported network of all that a change of layout meets."""
    folder = tmp_path_factory.mktemp("branches")
    write_branches(folder / "branches.onnx", window=3)
    import_file(run, folder / "branches.onnx", folder / "import")
    return folder / "import"


@pytest.mark.parametrize(
    ("level", "precision", "limit"),
    [
        pytest.param(3, "float32", 1e-5, marks=pytest.mark.slow),
        (4, "float32", 1e-5),
        pytest.param(3, "float16", 1e-2, marks=pytest.mark.slow),
    ],
)
def test_what_a_change_of_layout_meets_gives_the_reference(
    run: Run, branches: Path, tmp_path: Path, level: int, precision: str, limit: float
) -> None:
    lower(run, branches, tmp_path / "lower", level, precision=precision, target=QUICK)
    build(run, tmp_path / "lower", tmp_path / "build", target=QUICK)
    found = run(":run_artifact", artifact_dir=str(tmp_path / "build"), import_dir=str(branches))
    assert 0 < found["difference"] < limit * found["greatest"]


def test_operands_are_written_in_place_where_nothing_forbids_it(run: Run, branches: Path, tmp_path: Path) -> None:
    """The chain of three tensors is one. A tensor beside itself is copied, as nothing can lie in two places, and so is
    what changes its layout on the way, behind the narrow groups.
    """
    lower(run, branches, tmp_path / "lower", 3)
    found = run(":calls_of", lower_dir=str(tmp_path / "lower"), level=3, target=TARGET)
    counts = [sum("concatenate" in call for call in found[which]) for which in ("lowered", "finished")]
    assert counts == [5, 2]
    assert sum("in_place" in call for call in found["finished"]) >= 5
    assert sum("local_response" in call for call in found["finished"]) == 1


def _output_shapes(folder: Path) -> set[tuple[int, ...]]:
    """Of the last argument of every task."""
    from sweep.toolchain.tvm_loader import load_tvm

    tvm = load_tvm(())
    modules = [tvm.ir.load_json(path.read_text(encoding="utf-8")) for path in (folder / "tasks").iterdir()]
    return {tuple(int(n) for n in module["main"].params[-1].shape) for module in modules}
