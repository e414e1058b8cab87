"""What the zoo tells of finals, and of the layers in which a network loses."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.tuning.zoo import MODERN, ratios_of, sources_of, status_of
from benchmarks.tuning.zoo_layers import worst_of
from sweep.planning.results.final_result import Contender, FinalResult
from sweep.study.gate import load_study

RUNTIMES = {"a": "tvm", "b": "onnxruntime", "c": "openvino"}


def final_of(**slots: list[float]) -> FinalResult:
    contenders = [Contender(cell, "m", is_compiled=cell == "a", run_secs=tuple(times)) for cell, times in slots.items()]
    return FinalResult(contenders=tuple(contenders), looks=1, took_s=1.0)


def test_a_ratio_is_our_time_over_theirs_round_by_round() -> None:
    drift = [1.0, 1.1, 1.3, 1.2, 0.9, 1.0, 2.0, 2.1, 1.0, 1.0]  # hits both alike
    final = final_of(a=[1e-3 * each for each in drift], b=[2e-3 * each for each in drift], c=[8e-4] * 10)
    found = ratios_of(final, RUNTIMES)
    assert set(found) == {"onnxruntime", "openvino"}
    assert found["onnxruntime"]["ratio"] == pytest.approx(0.5)
    assert (found["onnxruntime"]["low"], found["onnxruntime"]["high"]) == pytest.approx((0.5, 0.5))
    assert found["openvino"]["low"] < found["openvino"]["ratio"] < found["openvino"]["high"]
    assert found["openvino"]["rounds"] == 5


def test_a_final_without_our_cell_or_with_one_round_tells_nothing() -> None:
    assert ratios_of(final_of(b=[1e-3] * 4, c=[2e-3] * 4), RUNTIMES) == {}
    assert ratios_of(final_of(a=[1e-3] * 2, b=[2e-3] * 2), RUNTIMES) == {}


def test_a_cell_without_an_error_tells_of_none() -> None:
    assert status_of("failed", "BuildFailed") == "failed: BuildFailed"
    assert [status_of("tainted", nothing) for nothing in (None, math.nan)] == ["tainted", "tainted"]


def test_names_of_sets_and_networks_become_sources() -> None:
    assert sources_of(["squeezenet", "torchvision:vit_b_16", "squeezenet"]) == [
        "onnx-light:squeezenet",
        "torchvision:vit_b_16",
    ]
    assert sources_of(["modern"]) == list(MODERN)
    assert len(sources_of(["all"])) == 17


def test_every_network_is_a_model_that_a_study_takes(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    models = "".join(f"  - {source}\n" for source in sources_of(["all"]))
    path.write_text(f"study: zoo\nmodels:\n{models}targets: [native]\nfinal: {{best: 1}}\n")
    assert len({model.name for model in load_study(path).models}) == 17


def test_a_layer_loses_what_it_takes_above_the_best_rate() -> None:
    tasks = [
        {"workload": "fast", "name": "conv", "weight": 1, "flops": 4e9},
        {"workload": "slow", "name": "depthwise", "weight": 3, "flops": 1e8},
        {"workload": "copy", "name": "shuffle", "weight": 2, "flops": 0.0},
        {"workload": "unknown", "name": "untuned", "weight": 9, "flops": 1e9},
    ]
    layers = worst_of(tasks, {"fast": 0.04, "slow": 0.01, "copy": 0.002}, {"fast": 16, "slow": 2})
    assert [layer["task"] for layer in layers] == ["depthwise", "shuffle", "conv"]
    assert [layer["lost_ms"] for layer in layers] == pytest.approx([27.0, 4.0, 0.0])
    assert [layer["trials"] for layer in layers] == [2, 0, 16]
    assert sum(layer["share"] for layer in layers) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("models", "told"),
    [
        (
            "old",
            "--models: no set and no network is called so (got 'old'); allowed: classic, modern, all, bvlc_alexnet, ",
        ),
        ("squeezenet,torchvision:nope", "models[1]: is no network of torchvision (got 'torchvision:nope'); allowed: "),
    ],
)
def test_a_model_that_there_is_not_is_refused_in_a_line(
    models: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["zoo", "--models", models, "--out", str(tmp_path / "zoo")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert (tmp_path / "zoo").exists() is (models != "old"), "what a study refuses stands in its folder"


@pytest.mark.integration
def test_a_sweep_that_fails_is_told_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.tuning.ours.CLUSTER", tmp_path / "none.yaml")
    assert main(["zoo", "--models", "squeezenet", "--out", str(tmp_path / "zoo"), "--minutes", "1"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    output = tmp_path / "zoo" / "output.txt"
    assert line.startswith("sweep run ended with exit code 2: ")
    assert "none.yaml" in line
    assert line.endswith(f"; see {output}")
