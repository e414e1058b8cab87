"""Predictors: fitted to a made-up device, evaluated, kept in files, and silent about what they cannot know."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sweep.errors import StudyError
from sweep.predict.fitted_predictor import Predictor, Settings, fit_predictor
from sweep.predict.interval import HeldOut, calibrate, shrinkage
from sweep.predict.layer_geometry import stack_layers
from sweep.predict.model_kinds import ModelKind
from sweep.predict.observations import Observations, Variable
from sweep.predict.physical_model import fit_physical
from sweep.predict.physical_terms import LATER, Terms, physical_terms
from sweep.predict.predictor_evaluation import Held, evaluate, evaluate_held_out
from sweep.predict.residual_model import USUAL, Memory
from sweep.predict.saved_predictor import load_predictor, save_predictor
from tests.predict.devices import BATCHES, NOISE, convolution, device, latency_ms, rows_of

SETTINGS = Settings(Variable.LATENCY, "inference")


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    layers, observed = device(("plain", "bottleneck", "separable"))
    return fit_predictor(SETTINGS, layers, observed)[0]


def test_a_network_that_was_never_measured_is_predicted(predictor: Predictor) -> None:
    layers, observed = device(("plain-deep", "bottleneck-deep"), seed=1)
    found, without = evaluate(predictor, layers, observed)
    assert without == 0
    assert found.total.mean_absolute_relative_error is not None
    assert found.total.mean_absolute_relative_error < 0.1
    assert set(found.by_network) == {"plain-deep", "bottleneck-deep"}


def test_between_measured_levels_the_error_is_that_of_the_measurements(predictor: Predictor) -> None:
    geometry = stack_layers(rows_of("bottleneck", 40.0))
    found = predictor.predict([(geometry, batch) for batch in BATCHES])
    true = np.array([latency_ms(geometry, batch) for batch in BATCHES])
    assert np.abs(found.value / true - 1).max() < 3 * NOISE
    assert ((found.low < true) & (true < found.high)).all()


def test_intervals_hold_about_the_share_that_they_claim() -> None:
    layers, observed = device()
    found, _ = evaluate_held_out(SETTINGS, layers, observed, Held.LEVELS)
    assert found.total.interval_coverage is not None
    assert 0.8 <= found.total.interval_coverage <= 1.0


def test_a_device_is_predicted_from_the_others() -> None:
    """One of three takes half as long as the others: it is off by a factor of two, and the others by less."""
    layers, observed = device(("plain", "separable"))
    times = {"a": 1.0, "b": 1.0, "fast": 0.5}
    several = Observations(
        *(np.concatenate([getattr(observed, name)] * 3) for name in ("network", "level_percent", "batch")),
        np.concatenate([observed.value * factor for factor in times.values()]),
        device=np.repeat(list(times), len(observed)),
    )
    found, _ = evaluate_held_out(SETTINGS, layers, several, Held.DEVICES)
    errors = {key: one.mean_absolute_relative_error for key, one in found.by_device.items()}
    assert errors["fast"] == pytest.approx(1.0, abs=0.25), "twice what it takes"
    assert max(errors["a"], errors["b"]) < errors["fast"]
    assert found.to_json()["by_device"].keys() == times.keys()
    with pytest.raises(StudyError, match="device: leave-one-device-out needs this column"):
        evaluate_held_out(SETTINGS, layers, observed, Held.DEVICES)


@pytest.mark.slow
def test_a_physical_sum_knows_more_of_a_new_network_than_trees_do() -> None:
    layers, observed = device()
    errors = {
        kind: evaluate_held_out(Settings(Variable.LATENCY, "inference", kind), layers, observed, Held.NETWORKS)[0]
        for kind in (ModelKind.PHYSICAL_RESIDUAL, ModelKind.EXTRA_TREES)
    }
    physical, trees = (one.mean_over_networks for one in errors.values())
    assert physical is not None
    assert trees is not None
    assert physical < trees


def test_a_physical_sum_alone_looks_for_no_memory_of_what_it_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which takes most of the time of a fit, and corrects nothing there."""
    layers, observed = device(("plain",))
    looked: list[int] = []

    def memory(places: np.ndarray, left: np.ndarray) -> Memory:
        looked.append(len(left))
        return USUAL

    monkeypatch.setattr("sweep.predict.model_kinds.memory_of_one_network", memory)
    fit_predictor(Settings(Variable.LATENCY, "inference", ModelKind.PHYSICAL), layers, observed)
    assert looked == []
    fit_predictor(SETTINGS, layers, observed)
    assert looked


def test_it_abstains_where_a_network_is_far_larger_than_all_that_was_measured(predictor: Predictor) -> None:
    huge = stack_layers([convolution(1024, 1024, 3, 224)] * 20)
    near = stack_layers(rows_of("plain", 20.0))
    assert predictor.predict([(huge, 64.0), (near, 16.0)]).abstains.tolist() == [True, False]


def test_what_abstains_is_in_no_mean(predictor: Predictor) -> None:
    layers, observed = device(("plain",), seed=2)
    layers = {variant: stack_layers([convolution(1024, 1024, 3, 224)] * 20) for variant in layers}
    found, _ = evaluate(predictor, layers, observed)
    assert (found.total.rows, found.total.abstained) == (0, len(observed))
    assert found.total.mean_absolute_relative_error is None
    assert found.mean_over_networks is None


def test_a_physical_sum_finds_the_weights_that_made_the_values() -> None:
    numbers = np.random.default_rng(3)
    values = numbers.lognormal(size=(200, 3)) * [1.0, 1e3, 1e6]
    measured = np.maximum(values @ [5.0, 2e-3, 1e-6], 1.0)
    model = fit_physical(Terms(("a", "b", "c"), None, "one", has_ceiling=False), values, np.ones(200), measured)
    assert model.weights == pytest.approx([5.0, 2e-3, 1e-6], rel=0.1)


def test_a_term_that_no_network_has_costs_nothing() -> None:
    values = np.column_stack([np.arange(1.0, 30.0), np.zeros(29)])
    model = fit_physical(Terms(("a", "b"), None, "one", has_ceiling=False), values, np.ones(29), 3 * values[:, 0])
    assert model.weights[1] == 0


@pytest.mark.parametrize("kind", list(ModelKind))
def test_a_saved_predictor_predicts_the_same(tmp_path: Path, kind: ModelKind) -> None:
    layers, observed = device(("plain", "separable"))
    fitted, _ = fit_predictor(Settings(Variable.LATENCY, "inference", kind), layers, observed)
    save_predictor(fitted, tmp_path / "p.json")
    loaded, remark = load_predictor(tmp_path / "p.json")
    asked = [(stack_layers(rows_of("plain", 40.0)), 8.0)]
    assert remark is None
    assert loaded.settings == fitted.settings
    for name in ("value", "low", "high"):
        assert getattr(loaded.predict(asked), name) == pytest.approx(getattr(fitted.predict(asked), name), rel=1e-9)


def test_a_file_names_the_rows_that_it_was_fitted_on(tmp_path: Path, predictor: Predictor) -> None:
    save_predictor(predictor, tmp_path / "p.json")
    content = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))
    assert content["training"]["ids"][:2] == ["plain@0%x1", "plain@0%x4"]
    assert len(content["features"]) == 15


@pytest.mark.parametrize("missing", [len(LATER) - 1, len(LATER)])
def test_a_file_from_before_terms_were_added_predicts_what_it_did(tmp_path: Path, missing: int) -> None:
    layers, observed = device(("plain", "bottleneck"))  # without depthwise convolutions: the oldest term is 0 in each
    fitted, _ = fit_predictor(Settings(Variable.LATENCY, "inference"), layers, observed)
    save_predictor(fitted, tmp_path / "p.json")
    content = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))
    content["training"]["term_values"] = [row[:-missing] for row in content["training"]["term_values"]]
    del content["chosen_terms"]
    (tmp_path / "p.json").write_text(json.dumps(content), encoding="utf-8")
    loaded, remark = load_predictor(tmp_path / "p.json")
    assert remark is None
    asked = [(stack_layers(rows_of("plain", 40.0)), 8.0)]
    assert loaded.predict(asked).value == pytest.approx(fitted.predict(asked).value, rel=1e-9)


@pytest.mark.parametrize(
    ("chosen", "law", "told_by"),
    [
        (2, {"macs": 3e-7, "long_sum_macs": 9e-7}, "long_sum_macs"),
        (1, {"padded_macs": 2e-7, "unblocked_macs": 4e-7, "unblocked_depthwise_outputs": 2e-5}, "unblocked_macs"),
        (0, {"padded_macs": 2e-7, "unaligned_depthwise_outputs": 2e-5}, "unaligned_depthwise_outputs"),
    ],
)  # fmt: skip
def test_what_kind_of_code_a_device_runs_is_told_by_networks_that_are_held_out(
    tmp_path: Path, chosen: int, law: dict[str, float], told_by: str
) -> None:
    """Loops that add up one sum after the other, a runtime that blocks channels, kernels that compute blocks."""
    layers, observed = device(("plain", "bottleneck", "separable"))
    of_rows = [
        physical_terms(layers[network, level], batch)
        for network, level, batch in zip(observed.network, observed.level_percent, observed.batch, strict=True)
    ]
    values = [sum(weight * one[name] for name, weight in law.items()) for one in of_rows]
    fitted, _ = fit_predictor(SETTINGS, layers, replace(observed, value=np.array(values)))
    marks = ("long_sum_macs", "unblocked_macs", "unaligned_depthwise_outputs")
    save_predictor(fitted, tmp_path / "p.json")
    for one in (fitted, load_predictor(tmp_path / "p.json")[0]):
        assert one.chosen == chosen
        assert [name for name in marks if one.fitted.description[name] > 1e-12] == [told_by]


def test_a_file_of_other_libraries_is_remarked(tmp_path: Path, predictor: Predictor) -> None:
    save_predictor(predictor, tmp_path / "p.json")
    content = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))
    content["check"][0] *= 1.01
    (tmp_path / "p.json").write_text(json.dumps(content), encoding="utf-8")
    _, remark = load_predictor(tmp_path / "p.json")
    assert remark is not None
    assert "differ by 9.9e-03" in remark


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("format", "other", "is not a predictor"),
        ("version", 2, "version: 2; this sweep reads 1"),
        ("variable", "energy", "is damaged: ValueError"),
        ("training", [], "is damaged: TypeError"),
        ("interval_deviations", None, "is damaged: TypeError"),
        ("chosen_terms", 3, "is damaged: IndexError"),
    ],
)
def test_a_damaged_file_gives_one_line(
    tmp_path: Path, predictor: Predictor, key: str, value: object, expected: str
) -> None:
    save_predictor(predictor, tmp_path / "p.json")
    content = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))
    (tmp_path / "p.json").write_text(json.dumps({**content, key: value}), encoding="utf-8")
    with pytest.raises(StudyError, match=expected) as raised:
        load_predictor(tmp_path / "p.json")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{" * 50_000])
def test_what_is_no_predictor_gives_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.json").write_bytes(content)
    with pytest.raises(StudyError) as raised:
        load_predictor(tmp_path / "p.json")
    assert str(tmp_path) in str(raised.value)


def test_a_few_rows_are_too_few() -> None:
    layers, observed = device(("plain",))
    with pytest.raises(StudyError, match="5 rows of latency can be used; at least 8"):
        fit_predictor(SETTINGS, layers, observed.where(np.arange(5)))


def test_the_calibration_holds_its_share_of_the_errors_that_it_saw() -> None:
    numbers = np.random.default_rng(4)
    near = HeldOut(np.abs(numbers.normal(0, 0.05, 400)), np.zeros(400))
    far = [HeldOut(np.abs(numbers.normal(0, 0.2, 400)), np.ones(400)) for _ in range(3)]
    calibration = calibrate(0.9, near, far)
    inside = [one.error <= calibration.half_width(one.novelty) for one in (near, *far)]
    assert np.mean(inside) == pytest.approx(0.9, abs=0.01)


def test_more_networks_shrink_errors_by_a_quarter_at_most() -> None:
    assert shrinkage(2, [0.1], [0.2]) == 1.0
    assert shrinkage(4, [0.1] * 4, [0.4] * 4) == 0.75
    assert shrinkage(4, [0.2] * 4, [0.1] * 4) == 1.0
    assert shrinkage(3, [0.1] * 3, [0.12] * 3) == pytest.approx((0.1 / 0.12) ** (np.log(1.5) / np.log(2)))
