"""The commands `sweep predictor fit`, `evaluate` and `predict`."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from typer.testing import CliRunner

from sweep.cli import app
from sweep.errors import StudyError
from tests.predict.devices import write_tables

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"
NET = str(LIGHT / "light_shufflenet.onnx")


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_tables(tmp_path_factory.mktemp("tables"), ("plain", "bottleneck", "separable"))


@pytest.fixture(scope="module")
def fitted(tables: tuple[Path, Path]) -> Path:
    out = tables[0].parent / "p.json"
    text = call("fit", *given(tables), "--mode", "inference", "--out", str(out))
    assert "84 values of 3 networks" in text
    assert "left out: 1 measurement that failed" in text
    assert "left out: 1 measurement of networks without layers" in text
    return out


def given(tables: tuple[Path, Path]) -> list[str]:
    return ["--layers", str(tables[0]), "--measurements", str(tables[1])]


def call(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["predictor", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_evaluation_as_json_has_the_errors_by_network(tables: tuple[Path, Path], fitted: Path) -> None:
    found = json.loads(call("evaluate", str(fitted), *given(tables), "--json"))
    assert found["mean_absolute_relative_error"] < 0.1
    assert found["interval_coverage"] > 0.8
    assert found["abstained"] == 0
    assert found["without_layers"] == 1
    assert set(found["by_network"]) == {"plain", "bottleneck", "separable"}


def test_evaluation_with_networks_held_out_is_a_table(tables: tuple[Path, Path], fitted: Path) -> None:
    text = call("evaluate", str(fitted), *given(tables), "--how", "leave-one-network-out")
    assert "separable" in text
    assert "mean of the networks' mean absolute relative errors" in text


def test_a_network_is_predicted_at_several_batches(fitted: Path) -> None:
    found = json.loads(call("predict", str(fitted), str(LIGHT / "light_shufflenet.onnx"), "--batch", "1,4", "--json"))
    assert [one["batch"] for one in found] == [1, 4]
    assert all(one["low"] < one["value"] < one["high"] for one in found)
    assert found[0]["value"] < found[1]["value"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["fit"], "give sweep directories, or both --layers and --measurements"),
        (["fit", "--layers", "L"], "--measurements: is needed beside the other table"),
        (["fit", "LAYERS", "--variable", "energy"], "--variable: 'energy'; allowed: latency, memory"),
        (["fit", "LAYERS", "--kind", "forest"], "--kind: 'forest'; allowed: physical"),
        (["fit", "LAYERS", "--coverage", "1.5"], "--coverage: 1.5; allowed"),
        (["fit", "LAYERS", "--column", "watts"], "column 'watts' is missing"),
        (["fit", "LAYERS", "--out", "/"], "--out: is a folder (got '/')"),
        (["evaluate", "P", "LAYERS", "--how", "guess"], "--how: 'guess'; allowed: as-it-is"),
        (["evaluate", "nowhere.json", "LAYERS"], "nowhere.json: does not exist"),
        (["evaluate", "P"], "predictor evaluate: give sweep directories, or both --layers and --measurements"),
        (["predict", "P", "nowhere.onnx"], "nowhere.onnx: does not exist"),
        (["predict", "P", "nowhere.onnx", "--batch", "0"], "--batch: '0'; allowed"),
        (["predict", "P", NET, "--input", "y=1,3,8,8"], "--input: is no input of the network (got 'y'); allowed: "),
        (["predict", "P", NET, "--input", "gpu_0/data_0=1,3,8"], "--input: has the wrong number of dimensions"),
        (["predict", "P", "nowhere.onnx", "--input", "x=a"], "--input: 'x=a'; allowed"),
    ],
)
def test_a_slip_gives_one_line(tables: tuple[Path, Path], fitted: Path, arguments: list[str], expected: str) -> None:
    words = {"LAYERS": given(tables), "P": [str(fitted)]}
    with pytest.raises(StudyError) as raised:
        CliRunner().invoke(
            app, ["predictor", *(w for word in arguments for w in words.get(word, [word]))], catch_exceptions=False
        )
    assert expected in str(raised.value)
    assert "\n" not in str(raised.value)
