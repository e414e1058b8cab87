"""Bundles: what is in one, that it appears whole or not at all, and each refusal in one line."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sweep
from sweep.api.bundles import writing
from sweep.api.bundles.manifest import cpu_needs
from sweep.cli import main
from sweep.errors import StudyError
from sweep.study.targets import host
from tests.api.made_sweep import MadeCell, make_sweep

FAST, SLOW = MadeCell("xgb", 1.0), MadeCell("none", 2.0)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return make_sweep(tmp_path / "made", [SLOW, FAST])


def read(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "manifest.json").read_text()))


def run_py(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(folder / "run.py"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(StudyError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_bundle_says_what_it_is(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    done = sweep.export(made, out=out)
    assert main(["export", str(made), "--out", str(out)]) == 0  # replaces it
    manifest = read(out)
    assert (manifest["format"], manifest["version"]) == ("tvm-sweep-bundle", 1)
    assert (out / "lib.so").read_bytes() == b"library 1"
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert set(manifest["files"]) == files - {"manifest.json"}
    for name, sha256 in manifest["files"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == sha256
    (entry,) = manifest["inputs"]
    assert (entry["name"], entry["shape"], entry["dtype"]) == ("x", [2, 3], "float32")
    assert np.fromfile(out / entry["file"], "float32").tolist() == list(range(6))
    (output,) = manifest["outputs"]
    assert (output["name"], output["expected"]) == ("y", {"file": "data/expected_0.bin", "dtype": "float32"})
    assert manifest["tolerance"] == 1e-3
    assert manifest["versions"]["apache-tvm"] == "0.27.0.post1"
    assert manifest["versions"]["apache-tvm-ffi"] == "0.1.14"
    assert manifest["threads"] == 1
    latency = manifest["latency"]
    assert latency["ci_low_ms"] <= latency["median_ms"] <= latency["ci_high_ms"]
    assert latency["conditions"]["host"] == "lab"
    chosen = manifest["chosen"]
    assert (chosen["cell_id"], chosen["study"]) == (FAST.cell.id, "made")
    assert [each["cell_id"] for each in chosen["compared_with"]] == [SLOW.cell.id]
    page = (out / "README.md").read_text()
    assert f"apache-tvm=={manifest['versions']['apache-tvm']}" in page
    assert "| input 0 | `x` | 2 x 3 | float32 |" in page
    assert "the fastest of 2 compiled cells of net on here" in done.as_text()


def test_results_name_the_library(made: Path) -> None:
    table = sweep.open_results(made)
    assert table["library"].to_pylist() == ["artifacts/build/b0/lib.so", "artifacts/build/b1/lib.so"]


def test_a_disturbed_cell_says_so_everywhere(tmp_path: Path) -> None:
    disturbed = MadeCell("ga", is_tainted=True)
    out = tmp_path / "bundle"
    done = sweep.export(make_sweep(tmp_path / "made", [disturbed]), disturbed.cell.name, out=out)
    reason = "the sentinel kernel took 20 % longer"
    assert read(out)["latency"]["disturbed"] == reason
    assert f"disturbed: {reason}" in done.as_text()
    assert f"**The measurement was disturbed**: {reason}" in (out / "README.md").read_text()


def test_a_zip_file_holds_one_folder_and_is_the_same_again(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.zip"
    sweep.export(made, out=out)
    first = out.read_bytes()
    sweep.export(made, out=out)
    assert out.read_bytes() == first
    with zipfile.ZipFile(out) as archive:
        assert {name.split("/")[0] for name in archive.namelist()} == {"net"}
        archive.extractall(tmp_path / "there")
    sweep.export(made, out=tmp_path / "net")
    assert read(tmp_path / "there" / "net") == read(tmp_path / "net")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "net", "net.zip", "there"]


# -- what is there already --------------------------------------------------------------------------------------------


def test_nothing_that_is_no_bundle_is_overwritten(made: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    (tmp_path / "file").write_text("")
    (tmp_path / "mine.zip").write_text("")
    for name, why in {
        "mine": "is not empty and is no bundle",
        "file": "is there and is no folder",
        "mine.zip": "is there and is no zipped bundle",
        "made": "is not empty and is no bundle",
    }.items():
        said = refusal(lambda name=name: sweep.export(made, out=tmp_path / name))
        assert said.startswith(f"--out: {why} (got ")
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"


def test_files_of_others_in_a_bundle_are_not_lost(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    out.mkdir()  # an empty folder is taken
    sweep.export(made, out=out)
    (out / "build").mkdir()
    (out / "build" / "main").write_text("")
    sweep.export(made, out=out)
    assert not (out / "build").exists()
    (out / "notes.txt").write_text("mine")
    said = refusal(lambda: sweep.export(made, out=out))
    assert "--out: is a bundle with other files in it, such as notes.txt" in said
    assert (out / "notes.txt").read_text() == "mine"


def test_a_failure_in_the_middle_leaves_what_was_there(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "bundle"
    sweep.export(made, SLOW.cell.name, out=out)
    before = read(out)

    def full(*_: object) -> str:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(writing, "page", full)
    said = refusal(lambda: sweep.export(made, out=out))
    assert said.startswith("--out: cannot be written: No space left on device")
    assert read(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "made"]


# -- damaged files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("build/b1/lib.so", b"other", "it is not what was built: another sha256"),
        ("build/b1/lib.so", None, "No such file"),
        ("build/b1/metadata.json", b"{}", "KeyError('inputs')"),
        ("build/b1/metadata.json", None, "No such file"),
        ("import/i1/inputs.npz", b"PK", "cannot be shipped"),
        ("import/i1/inputs.npz", None, "No such file"),
        ("import/i1/reference.npz", None, "it is missing"),
    ],
)
def test_a_damaged_file_is_refused(made: Path, tmp_path: Path, name: str, content: bytes | None, says: str) -> None:
    path = made / "artifacts" / name
    path.unlink() if content is None else path.write_bytes(content)
    said = refusal(lambda: sweep.export(made, out=tmp_path / "bundle"))
    assert says in said
    assert said.startswith(str(path.parent))
    assert not (tmp_path / "bundle").exists()


# -- the CPU ----------------------------------------------------------------------------------------------------------


def test_what_a_cpu_must_have() -> None:
    needs = cpu_needs({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "core-avx2", "mattr": ["-fma"]})
    assert needs["architecture"] == "x86-64"
    assert {"avx2": "avx2", "sse4.2": "sse4_2", "lzcnt": "abm", "sse3": "pni"}.items() <= needs["features"].items()
    assert "fma" not in needs["features"]
    board = cpu_needs({"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a72"})
    assert (board["architecture"], board["features"]["neon"]) == ("aarch64", "asimd")
    assert "of no architecture" in refusal(lambda: cpu_needs({"kind": "llvm", "mtriple": "hexagon-unknown"}))


def _needing(made: Path, tmp_path: Path, **cpu: Any) -> Path:
    out = tmp_path / "bundle"
    sweep.export(made, out=out)
    manifest = read(out)
    manifest["cpu"] |= cpu
    (out / "manifest.json").write_text(json.dumps(manifest))
    return out


def test_a_cpu_that_lacks_a_feature_is_told_so_before_the_library_is_loaded(made: Path, tmp_path: Path) -> None:
    out = _needing(made, tmp_path, features={"avx9000": "avx9000"})
    (out / "lib.so").unlink()  # whoever looks for it has not looked at the CPU first
    done = run_py(out)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "run.py: this CPU lacks avx9000, which the library needs\n"


def test_another_architecture_is_refused(made: Path, tmp_path: Path) -> None:
    done = run_py(_needing(made, tmp_path, architecture="riscv64"))
    assert done.returncode == 2
    assert done.stderr == f"run.py: the library is for riscv64, this machine is {host.architecture()}\n"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the made-up target names no triple")
def test_a_damaged_bundle_is_refused(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    sweep.export(made, out=out)
    (out / "lib.so").write_bytes(b"another")
    done = run_py(out)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("run.py: lib.so is damaged")
    (out / "lib.so").unlink()
    assert run_py(out).stderr.startswith("run.py: lib.so cannot be read: No such file")


def test_it_says_what_a_new_process_takes_by_those_in_which_it_was_measured(tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    sweep.export(make_sweep(tmp_path / "made", [MadeCell("xgb", rounds=4)]), out=out)
    latency = read(out)["latency"]
    told = latency["new_process"]
    assert (told["processes"], told["level"]) == (4, 0.99)
    assert told["low_ms"] < latency["ci_low_ms"] < latency["median_ms"] < latency["ci_high_ms"] < told["high_ms"]
    assert (
        f"A new process there takes {told['low_ms']:.4g} to {told['high_ms']:.4g} ms" in (out / "README.md").read_text()
    )


@pytest.mark.parametrize(
    "cell", [MadeCell("xgb"), MadeCell("xgb", rounds=2), MadeCell("xgb", rounds=4, is_tainted=True)]
)
def test_of_one_process_or_of_disturbed_ones_it_says_nothing_of_a_new_one(tmp_path: Path, cell: MadeCell) -> None:
    out = tmp_path / "bundle"
    sweep.export(make_sweep(tmp_path / "made", [cell]), cell.cell.name, out=out)
    assert read(out)["latency"]["new_process"] is None
    assert "new process" not in (out / "README.md").read_text()
