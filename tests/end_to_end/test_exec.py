"""`sweep exec`: what a real sweep has made for one device is measured on another."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnxruntime import InferenceSession

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


def paths(place: Place, part: str, *words: str) -> list[str]:
    """Of the cells whose names have these words."""
    cells = json.loads(place.call("where", "out", "--json").out)
    return [cell[part] for cell in cells if part in cell and {*words} <= set(cell["cell"].split())]


def executed(place: Place, what: str, key: str) -> tuple[Ended, dict[str, Any]]:
    ended = place.call("exec", what, "--key", key, "--cluster", "cluster.yaml", "--json")
    return ended, json.loads(ended.out) if ended.code == 0 else {}


def test_an_artifact_is_measured_on_another_device(place: Place) -> None:
    (library, *_) = paths(place, "library", "there", "random", "O3")
    ended, told = executed(place, str(Path(library).parent), "here")
    assert ended.code == 0, ended.err
    assert (told["device"], told["cell"].split()[-1]) == ("here", "there")
    assert len(told["run_secs"]) >= 10
    assert told["output_max_abs_diff"] < 1e-3
    lines = (place.out / "exec.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["run_secs"] == told["run_secs"]


@pytest.mark.slow
def test_a_log_is_compiled_for_the_device_first(place: Place) -> None:
    (records, *_) = paths(place, "records", "here", "random", "O3")
    ended, told = executed(place, records, "there")
    assert ended.code == 0, ended.err
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
def test_bad_input(place: Place, what: str, key: str, says: str) -> None:
    (library, *_) = paths(place, "library", "here", "O3", "random")
    ended, _ = executed(place, library if what == "LIBRARY" else what, key)
    assert ended.code == 2
    assert says in ended.err
    assert ended.err.count("\n") == 1


def test_it_runs_on_inputs_of_ones_own(place: Place) -> None:
    (library, *_) = paths(place, "library", "here", "none", "O3")
    before = (place.out / "exec.jsonl").read_text() if (place.out / "exec.jsonl").exists() else ""
    what = [str(Path(library).parent), "--key", "here", "--cluster", "cluster.yaml"]
    ended = place.call("exec", *what, "--fill", "ones", "--output", "own.npz", "--json")
    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    assert (told["output_check"], told["outputs"]) == ("not compared", "own.npz")
    [output] = load_arrays(place.folder / "own.npz").values()
    [tensor] = InferenceSession(place.folder / "tiny.onnx").get_inputs()
    feeds = {tensor.name: np.ones([size if isinstance(size, int) else 1 for size in tensor.shape], "float32")}
    [expected] = InferenceSession(place.folder / "tiny.onnx").run(None, feeds)
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-5)
    assert [each["index"] for each in told["top"]] == list(np.argsort(-expected.ravel(), kind="stable")[:5])
    after = (place.out / "exec.jsonl").read_text() if (place.out / "exec.jsonl").exists() else ""
    assert after == before, "nothing is kept of it"
    refused = place.call("exec", *what, "--input", "study.yaml")
    assert refused.code == 2
    assert "--input: is no .npz file" in refused.err
    place.write("one.txt", "cat\n")
    refused = place.call("exec", *what, "--labels", "one.txt", "--output", "late.npz")
    assert refused.code == 2
    assert "--labels: has another number of labels (got 1)" in refused.err
    assert not (place.folder / "late.npz").exists(), "it was measured first"
