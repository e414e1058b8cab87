"""`sweep exec`: what a real sweep has made for one device is measured on another."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnxruntime import InferenceSession

from sweep.cli import main
from sweep.files.npz import load_arrays
from tests.end_to_end.conftest import STUDY, Finished
from tests.end_to_end.place import CLUSTER_TWO, Ended, Place

pytestmark = [pytest.mark.integration, pytest.mark.tvm, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def place(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A copy of the finished sweep, to add to."""
    made = Place(tmp_path_factory.mktemp("exec"), STUDY, CLUSTER_TWO.format(engine="ray"))
    shutil.copytree(finished.out, made.out)
    return made


@pytest.fixture(scope="module")
def cells(place: Place) -> list[dict[str, str]]:
    """Where everything of each is."""
    told: list[dict[str, str]] = json.loads(place.call("where", "out", "--json").out)
    return told


def paths(cells: list[dict[str, str]], part: str, *words: str) -> list[str]:
    """Of the cells whose names have these words."""
    return [cell[part] for cell in cells if part in cell and {*words} <= set(cell["cell"].split())]


def executed(place: Place, what: str, key: str) -> tuple[Ended, dict[str, Any]]:
    ended = place.call("exec", what, "--key", key, "--cluster", "cluster.yaml", "--json")
    return ended, json.loads(ended.out) if ended.code == 0 else {}


@pytest.mark.usefixtures("in_short")
def test_an_artifact_is_measured_on_another_device(
    place: Place, cells: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (library, *_) = paths(cells, "library", "there", "random", "O3")
    monkeypatch.chdir(place.folder)
    what = ["exec", str(Path(library).parent), "--key", "here", "--cluster", "cluster.yaml"]
    assert main([*what, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["device"], told["cell"].split()[-1]) == ("here", "there")
    assert len(told["run_secs"]) == 3
    assert told["output_max_abs_diff"] < 1e-3
    lines = (place.out / "exec.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["run_secs"] == told["run_secs"]


@pytest.mark.slow
def test_a_log_is_compiled_for_the_device_first(place: Place, cells: list[dict[str, str]]) -> None:
    (records, *_) = paths(cells, "records", "here", "random", "O3")
    ended, told = executed(place, records, "there")
    assert ended.code == 0, ended.err
    assert len(told["run_secs"]) >= 10
    assert told["output_max_abs_diff"] < 1e-3
    artifact = Path(told["artifact"]).parent
    assert artifact.parent == place.out / "artifacts" / "build"
    assert artifact.name.startswith("exec-")
    metadata = json.loads((artifact / "metadata.json").read_text())
    assert metadata["tuned_tasks"] > 0


@pytest.mark.parametrize(
    ("what", "key", "says"),
    [
        ("nowhere", "here", "WHAT: is nothing that can be measured"),
        ("out/artifacts/lower", "here", "WHAT: is nothing that can be measured"),
        ("LIBRARY", "her", "did you mean 'here'?"),
    ],
)
def test_bad_input(
    place: Place,
    cells: list[dict[str, str]],
    what: str,
    key: str,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (library, *_) = paths(cells, "library", "here", "O3", "random")
    monkeypatch.chdir(place.folder)
    assert main(["exec", library if what == "LIBRARY" else what, "--key", key, "--cluster", "cluster.yaml"]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


@pytest.mark.usefixtures("in_short")
def test_it_runs_on_inputs_of_ones_own(
    place: Place, cells: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (library, *_) = paths(cells, "library", "here", "none", "O3")
    before = (place.out / "exec.jsonl").read_text() if (place.out / "exec.jsonl").exists() else ""
    monkeypatch.chdir(place.folder)
    what = ["exec", str(Path(library).parent), "--key", "here", "--cluster", "cluster.yaml"]
    assert main([*what, "--fill", "ones", "--output", "own.npz", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["output_check"], told["outputs"]) == ("not compared", "own.npz")
    [output] = load_arrays(place.folder / "own.npz").values()
    [tensor] = InferenceSession(place.folder / "tiny.onnx").get_inputs()
    feeds = {tensor.name: np.ones([size if isinstance(size, int) else 1 for size in tensor.shape], "float32")}
    [expected] = InferenceSession(place.folder / "tiny.onnx").run(None, feeds)
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-5)
    assert [each["index"] for each in told["top"]] == list(np.argsort(-expected.ravel(), kind="stable")[:5])
    after = (place.out / "exec.jsonl").read_text() if (place.out / "exec.jsonl").exists() else ""
    assert after == before, "nothing is kept of it"


def test_inputs_and_labels_that_do_not_fit_are_refused_before_anything_is_measured(
    place: Place, cells: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (library, *_) = paths(cells, "library", "here", "none", "O3")
    what = ["exec", str(Path(library).parent), "--key", "here", "--cluster", "cluster.yaml"]
    monkeypatch.chdir(place.folder)
    place.write("one.txt", "cat\n")
    assert main([*what, "--input", "study.yaml"]) == 2
    assert "--input: is no .npz file" in capsys.readouterr().err
    assert main([*what, "--labels", "one.txt", "--output", "late.npz"]) == 2
    assert "--labels: has another number of labels (got 1)" in capsys.readouterr().err
    assert not (place.folder / "late.npz").exists(), "it was measured first"
