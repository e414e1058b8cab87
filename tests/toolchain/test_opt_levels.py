"""What level 0 runs, every level runs: right, or without the pass that refuses it, and then it is told."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import onnx
import pytest

from sweep.errors import BuildFailed, LowerFailed, ToolchainError
from sweep.toolchain.compile_workers.compile_pool import CompilePool
from sweep.toolchain.module_files import MODULE
from tests.corpus.every import FLOAT16, NETWORKS
from tests.corpus.trial import try_network
from tests.toolchain.conftest import TARGET, Run, build, lower
from tests.variants import only

pytestmark = pytest.mark.tvm


def check(pool: CompilePool, name: str, levels: tuple[int, ...], folder: Path, precision: str = "float32") -> None:
    path = folder / f"{name}.onnx"
    onnx.save(NETWORKS[name](), str(path))
    outcome = try_network(pool, path, levels, folder, precision)
    assert outcome.refused is None
    assert outcome.wrong == {}
    assert outcome.left_out == {}


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("max_feature_map", (3,)),
        ("min_mean_and_sum", (3,)),
        ("max_of_integers", (4,)),
        ("least_and_greatest_scalars", (3,)),
        ("squeeze_from_the_end", (3,)),
        pytest.param("autoencoder", (3,), marks=pytest.mark.slow),
        ("scatter_elements", (3,)),
        ("response_of_any_exponent", (3,)),
        pytest.param("double_precision_cnn", (2, 4), marks=pytest.mark.slow),
        pytest.param("double_precision_affine", (2,), marks=pytest.mark.slow),
        pytest.param("negative_indices", (2, 3), marks=pytest.mark.slow),
        ("constants_on_the_left", (4,)),
        pytest.param("batch_norm_by_its_batch", (2,), marks=pytest.mark.slow),
        pytest.param("half_precision_cnn", (0,), marks=pytest.mark.slow),
        pytest.param("not_numbers", (0,), marks=pytest.mark.slow),
        ("nothing", (0,)),
        pytest.param("decision_trees", (0,), marks=pytest.mark.slow),
        ("root_mean_square_of_rows", (3,)),
        ("layer_norm_of_images", (3,)),
    ],
)
def test_what_a_pass_refused_is_right_with_all_passes(
    forge: CompilePool, tmp_path: Path, name: str, levels: tuple[int, ...]
) -> None:
    check(forge, name, levels, tmp_path)


@pytest.mark.parametrize("name", only(["hard_sigmoid"], ["relu6", "hard_sigmoid", "tiled"]))
def test_what_is_imported_as_a_program_stays_in_its_type_at_float16(
    forge: CompilePool, tmp_path: Path, name: str
) -> None:
    check(forge, name, (3,), tmp_path, "float16")


@pytest.mark.slow
@pytest.mark.parametrize("name", list(NETWORKS))
def test_every_network_is_right_at_every_level(forge: CompilePool, tmp_path: Path, name: str) -> None:
    check(forge, name, (0, 1, 2, 3, 4), tmp_path)


def test_integers_and_booleans_that_few_networks_have_are_right(forge: CompilePool, tmp_path: Path) -> None:
    check(forge, "other_types", (0,), tmp_path)


def test_tiles_of_several_axes_are_right(forge: CompilePool, tmp_path: Path) -> None:
    check(forge, "tiled_four_ways", (0, 3), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOAT16)
def test_float16_at_every_level(forge: CompilePool, tmp_path: Path, name: str) -> None:
    check(forge, name, (0, 1, 2, 3, 4), tmp_path, "float16")


def test_a_constant_of_64_bits_keeps_them() -> None:
    import numpy as np

    from sweep.toolchain.passes.call import as_constant
    from sweep.toolchain.tvm_loader import load_tvm

    load_tvm(())
    for dtype in ("float64", "int64", "uint64", "float32", "int32", "bool", "float16"):
        for array in (np.ones((2, 1), dtype), np.ones((), dtype)):
            kept = as_constant(array).value.numpy()
            assert (str(kept.dtype), kept.shape) == (dtype, array.shape)


@pytest.mark.parametrize(
    ("pass_name", "reason"),
    [("Refusing", "it is too odd"), ("Crashing", "crashed with SIGSEGV")],
)
def test_a_pass_that_refuses_a_network_or_crashes_is_left_out(
    run: Run, small: Path, tmp_path: Path, pass_name: str, reason: str
) -> None:
    options = {"opt_level": 2, "layout": "NCHW", "precision": "float32", "target": TARGET}
    places = {"import_dir": str(small), "out_dir": str(tmp_path / "lower")}
    result = run(":lower_with", pass_name=pass_name, level=2, options=options, **places)
    assert result["passes_left_out"] == [f"{pass_name} ({reason})"]
    assert result["tasks"] == lower(run, small, tmp_path / "plain", 2)["tasks"]


def test_a_full_disk_is_no_refusal_of_the_network(run: Run, small: Path, tmp_path: Path) -> None:
    """What is left out stays so: the cell would not be what its level says, for a moment without room."""
    options = {"opt_level": 2, "layout": "NCHW", "precision": "float32", "target": TARGET}
    places = {"import_dir": str(small), "out_dir": str(tmp_path / "refused")}
    with pytest.raises(ToolchainError, match="No space left") as caught:
        run(":lower_with", pass_name="OnAFullDisk", level=2, options=options, **places)
    assert caught.value.disk_errno == errno.ENOSPC
    lower(run, small, tmp_path / "lower", 1)
    places = {"lower_dir": str(tmp_path / "lower"), "out_dir": str(tmp_path / "build")}
    with pytest.raises(ToolchainError, match="No space left") as caught:
        run(":build_below", level=1, how="no room", options={"target": TARGET}, **places)
    assert caught.value.disk_errno == errno.ENOSPC


def test_a_precision_is_never_left_out(run: Run, small: Path, tmp_path: Path) -> None:
    with pytest.raises(LowerFailed, match="pass Refusing failed: it is too odd"):
        lower(run, small, tmp_path / "lower", 3, precision="half", passes=["tests.toolchain.forge_jobs:Refusing"])


@pytest.mark.parametrize("how", ["refuse", "crash"])
def test_a_network_that_cannot_be_built_is_built_by_the_next_recipe_that_can(
    run: Run, small: Path, tmp_path: Path, how: str
) -> None:
    root = tmp_path / "artifacts"
    lower(run, small, root / "lower" / "0", 4)
    options: dict[str, Any] = {"target": TARGET}
    places = {"lower_dir": str(root / "lower" / "0"), "out_dir": str(root / "build" / "0")}
    result = run(":build_below", level=2, how=how, options=options, **places)
    reason = "cannot emit this" if how == "refuse" else "the compiler crashed with SIGSEGV"
    assert result["passes_left_out"] == [f"level {level} ({reason})" for level in (4, 3, 2)]
    found = run(":run_artifact", artifact_dir=str(root / "build" / "0"), import_dir=str(small))
    assert found["difference"] < 1e-5 * found["greatest"]
    metadata = json.loads((root / "build" / "0" / "metadata.json").read_text())
    assert metadata["passes_left_out"] == result["passes_left_out"]
    one = build(run, root / "lower" / "0", root / "build" / "1")
    assert "passes_left_out" not in one


def test_a_lowering_that_cannot_be_read_is_no_refusal_of_the_network(run: Run, small: Path, tmp_path: Path) -> None:
    """Its import is whole: the network would be built by a lower level for a damaged file."""
    root = tmp_path / "artifacts"
    lower(run, small, root / "lower" / "0", 1)
    (root / "lower" / "0" / MODULE).write_text("{}")
    with pytest.raises(ToolchainError):
        build(run, root / "lower" / "0", root / "build" / "0")


def test_what_no_recipe_builds_fails_by_its_first_reason(run: Run, small: Path, tmp_path: Path) -> None:
    lower(run, small, tmp_path / "lower", 1)
    places = {"lower_dir": str(tmp_path / "lower"), "out_dir": str(tmp_path / "build")}
    with pytest.raises(BuildFailed, match="cannot emit this"):
        run(":build_below", level=0, how="refuse", options={"target": TARGET}, **places)
    with pytest.raises(BuildFailed, match="crashed with SIGSEGV"):
        run(":build_below", level=0, how="crash", options={"target": TARGET}, **places)
