"""Bundles of a real sweep: run in Python where nothing of this package can be imported, in C++, and on a device."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import sweep
from sweep.analysis.outcome import MEASURED
from sweep.api.session.stored_sweep import stored, work_folder
from sweep.cli import main
from sweep.errors import StudyError
from tests.end_to_end.conftest import Finished
from tests.end_to_end.place import CLUSTER_ONE
from tests.storage.conftest import s3, s3_uri  # noqa: F401 - a fixture

pytestmark = [pytest.mark.integration, pytest.mark.tvm, pytest.mark.timeout(900)]

BLOCKED = """
import runpy, sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in "sweep onnx onnxruntime psutil tornado cloudpickle scipy mlflow torch".split():
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocker())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Leaves what `pip install apache-tvm numpy` gives."""


@pytest.fixture(scope="module")
def swept(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy: reading a sweep may write its tables anew."""
    return Path(shutil.copytree(finished.out, tmp_path_factory.mktemp("export") / "out"))


@pytest.fixture(scope="module")
def cluster(swept: Path) -> Path:
    """The device `here`, without Ray."""
    path = swept.parent / "cluster.yaml"
    path.write_text(CLUSTER_ONE.format(engine="inline"))
    return path


@pytest.fixture(scope="module")
def bundle(swept: Path) -> Path:
    out = swept.parent / "bundle"
    sweep.export(swept, "random O3 here", out=out)
    return out


def run_py(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", BLOCKED, str(folder / "run.py"), *arguments]
    return subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=300)


def numbers(said: str) -> list[float]:
    """The first values of output 0, as both programs print them."""
    (line,) = [line for line in said.splitlines() if line.startswith("output 0:")]
    return [float(word) for word in line.rpartition(": ")[2].removesuffix(" ...").split()]


def test_it_runs_where_nothing_of_this_package_is(bundle: Path) -> None:
    done = run_py(bundle)
    assert (done.returncode, done.stderr) == (0, "")
    of_others = r"( \(interval of this library in new processes: [\d.e-]+ to [\d.e-]+\))?"
    assert re.search(rf"^output agrees, [\d.e-]+ ms{of_others}$", done.stdout, re.MULTILINE)
    told = json.loads((bundle / "manifest.json").read_text())["latency"]["new_process"]
    assert ("in new processes" in done.stdout) == (told is not None)
    with np.load(bundle / "expected.npz") as stored:
        assert numbers(done.stdout) == pytest.approx(stored["output_0"].ravel()[:5].tolist(), rel=1e-2, abs=1e-3)


def test_other_inputs_give_other_outputs(bundle: Path, tmp_path: Path) -> None:
    mine, out = tmp_path / "mine.npz", tmp_path / "out.npz"
    np.savez(mine, x=np.zeros((1, 3, 8, 8), "float32"))
    done = run_py(bundle, "--input", str(mine), "--output", str(out), "--repeat", "1")
    assert done.returncode == 0, done.stderr
    assert "output not compared, " in done.stdout
    with np.load(out) as stored:
        assert not stored["output_0"].any()
    np.savez(mine, x=np.zeros((2, 3, 8, 8), "float32"))
    refused = run_py(bundle, "--input", str(mine))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "run.py: input x has shape [2, 3, 8, 8]; it takes [1, 3, 8, 8]\n"


def test_an_output_that_differs_is_told(bundle: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(bundle, tmp_path / "other"))
    manifest = json.loads((other / "manifest.json").read_text())
    np.savez(other / "expected.npz", output_0=np.zeros((1, 10), "float32"))
    del manifest["files"]["inputs.npz"]
    manifest["files"]["expected.npz"] = sha256(other / "expected.npz")
    (other / "manifest.json").write_text(json.dumps(manifest))
    done = run_py(other, "--repeat", "1")
    assert done.returncode == 1
    assert "output DIFFERS by up to " in done.stdout


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def without_latency(said: str) -> list[str]:
    """The last two lines, but for the time that this call took: the verdict, and what was measured before."""
    verdict, measured = said.splitlines()[-2:]
    assert re.match(r"output agrees, [\d.e-]+ ms", verdict), said
    return [re.sub(r"[\d.e-]+ ms", "", verdict, count=1), measured]


@pytest.mark.skipif(shutil.which("cmake") is None, reason="needs cmake")
@pytest.mark.slow
def test_the_program_in_cpp_prints_the_same(bundle: Path, tmp_path: Path) -> None:
    python = f"-DPython_EXECUTABLE={sys.executable}"
    for command in (["cmake", "-S", bundle, "-B", tmp_path, python], ["cmake", "--build", tmp_path]):
        made = subprocess.run(command, capture_output=True, text=True)
        assert made.returncode == 0, made.stdout + made.stderr
    done = subprocess.run([tmp_path / "main", bundle], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    in_python = run_py(bundle, "--repeat", "1").stdout
    assert numbers(done.stdout) == numbers(in_python)
    assert without_latency(done.stdout) == without_latency(in_python)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cmake") is None, reason="needs cmake")
def test_the_program_in_cpp_knows_the_digits_of_an_expected_half(bundle: Path, tmp_path: Path) -> None:
    """The output is a float, what is expected a half: they differ by what a half cannot hold."""
    other = Path(shutil.copytree(bundle, tmp_path / "other"))
    with np.load(bundle / "expected.npz") as stored:
        (other / "data" / "expected_0.bin").write_bytes(stored["output_0"].astype("<f2").tobytes())
    text = (other / "network.h").read_text()
    head, name, expected = text.partition("std::vector<Expected> kExpected")
    assert "kDLFloat, 32" in expected
    text = (
        re.sub("kTolerance = [^;]+;", "kTolerance = 1e-6;", head)
        + name
        + expected.replace("kDLFloat, 32", "kDLFloat, 16")
    )
    (other / "network.h").write_text(text)
    python = f"-DPython_EXECUTABLE={sys.executable}"
    for command in (["cmake", "-S", other, "-B", tmp_path / "b", python], ["cmake", "--build", tmp_path / "b"]):
        made = subprocess.run(command, capture_output=True, text=True)
        assert made.returncode == 0, made.stdout + made.stderr
    done = subprocess.run([tmp_path / "b" / "main", other], capture_output=True, text=True)
    assert "output agrees" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("form", [pytest.param("folder", marks=pytest.mark.slow), "zip"])
@pytest.mark.usefixtures("in_short")
def test_a_device_measures_a_bundle(
    cluster: Path, bundle: Path, swept: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    what = bundle
    if form == "zip":
        what = swept.parent / "net.zip"
        sweep.export(swept, "random O3 here", out=what)
    assert main(["exec", str(what), "--key", "here", "--cluster", str(cluster), "--json"]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert told["cell"] == json.loads((bundle / "manifest.json").read_text())["chosen"]["cell"]
    assert len(told["run_secs"]) == 3
    assert told["output_max_abs_diff"] < 1e-3


@pytest.mark.parametrize("kind", ["file", pytest.param("s3", marks=pytest.mark.slow)])
def test_a_sweep_at_a_uri_is_exported(
    kind: str, request: pytest.FixtureRequest, swept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"file://{tmp_path}/store" if kind == "file" else s3_uri(request.getfixturevalue("s3"), monkeypatch)
    monkeypatch.setenv("SWEEP_WORK_DIR", str(tmp_path / "work"))
    shutil.copytree(swept, work_folder(uri))
    with stored(uri):
        pass  # sends what the store does not have: all of it
    shutil.rmtree(tmp_path / "work")
    done = sweep.export(uri, "random O3 here", out=tmp_path / "bundle")
    assert "output agrees" in run_py(tmp_path / "bundle", "--repeat", "1").stdout
    here = sweep.export(swept, "random O3 here", out=tmp_path / "other").manifest
    assert {**done.manifest, "files": 0} == {**here, "files": 0}


def test_networks_are_laid_out_as_a_zoo_and_named_in_a_study(swept: Path, tmp_path: Path) -> None:
    (placed,) = sweep.export_zoo(swept, tmp_path, domain="vision", task="toys").networks
    assert placed.folder == tmp_path / "vision" / "toys" / "tiny" / "original"
    assert placed.weights > placed.zeros
    assert "R.nn.conv2d" in (placed.folder / "module.txt").read_text()
    manifest = json.loads((placed.folder / "manifest.json").read_text())
    assert {row["status"] for row in manifest["cells"]} <= {*MEASURED}
    assert all(sha256(placed.folder / name) == digest for name, digest in manifest["files"].items())
    (model,) = sweep.load_study({"study": "again", "models": [str(placed.folder)]}).models
    assert (model.name, model.path) == ("tiny", placed.folder / "model.onnx")
    with np.load(placed.folder / "inputs.npz") as inputs, np.load(placed.folder / "reference.npz") as expected:
        answers = onnxruntime.InferenceSession(model.path).run(None, dict(inputs))
        for answer, name in zip(answers, expected.files, strict=True):
            np.testing.assert_allclose(answer, expected[name], rtol=1e-4, atol=1e-5)
    sweep.export_zoo(swept, tmp_path, domain="vision", task="toys")  # a former one is replaced
    (placed.folder / "manifest.json").write_text("{}")
    with pytest.raises(StudyError, match="--zoo: is there and is no folder of a zoo"):
        sweep.export_zoo(swept, tmp_path, domain="vision", task="toys")
    with pytest.raises(StudyError, match="--domain: is missing; allowed: a word, or the tag `domain` of the study"):
        sweep.export_zoo(swept, tmp_path)


def test_a_damaged_bundle_is_not_measured(
    cluster: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Path(shutil.copytree(bundle, tmp_path / "other"))
    (other / "lib.so").write_bytes(b"no library")
    (tmp_path / "bad.zip").write_bytes(b"PK")
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        archive.writestr("letter.txt", "dear")
    newer = Path(shutil.copytree(bundle, tmp_path / "newer"))
    manifest = json.loads((newer / "manifest.json").read_text())
    (newer / "manifest.json").write_text(json.dumps(manifest | {"version": 9}))
    for what, says in {
        other: "lib.so: is damaged: its sha256 is not that of manifest.json",
        tmp_path / "bad.zip": "WHAT: cannot be read: File is not a zip file",
        tmp_path / "none.zip": "WHAT: has no manifest.json that can be read",
        newer: "version: is a bundle of another version (got 9); allowed: version 1",
    }.items():
        assert main(["exec", str(what), "--key", "here", "--cluster", str(cluster)]) == 2
        told = capsys.readouterr()
        assert told.out == ""
        assert says in told.err
        *announced, _ = told.err.splitlines()
        assert all(line.startswith("loads the library of the bundle") for line in announced)
        assert len(announced) < 2
