"""`sweep overlay` as a person types it, on imported logs of three devices."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.conftest import Sweep
from tests.cli.test_bad_input import assert_one_line
from tests.old_logs import CONV, autotvm, write_log

DENSE = [["TENSOR", [1, 512], "float32"], ["TENSOR", [256, 512], "float32"], None, "float32"]
MS: Mapping[str, Mapping[int, float]] = {
    "one": {1: 4.0, 2: 5.0, 4: 9.0},
    "two": {1: 30.0, 2: 12.0, 4: 10.0},
    "three": {1: 2.2, 2: 2.0, 4: 2.1, 8: 1.0},
}
"""Device -> tile of a configuration -> milliseconds. Tile 8 was never measured on the first two."""


@pytest.fixture
def published(tmp_path: Path, sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for key, times in MS.items():
        lines = [autotvm(tile, costs=(ms / 1e3,), arguments=CONV) for tile, ms in times.items()]
        dense = [
            autotvm(tile, costs=(ms / 1e3,), arguments=DENSE, name="dense_nopack.x86") for tile, ms in times.items()
        ]
        write_log(Path(f"{key}.log"), *lines, *(dense if key != "three" else []))
    assert sweep("import-logs", *(f"{key}={key}.log" for key in MS), "--out", "out").code == 0
    return tmp_path / "out"


def metric(tile: int, keys: list[str]) -> float:
    return sum(MS[key][tile] / min(MS[key].values()) - 1 for key in keys)


def test_the_choice_has_the_least_metric(published: Path, sweep: Sweep) -> None:
    said = sweep("overlay", "out")

    assert said.code == 0
    assert said.out.startswith("overlay of 2 layers over one, three, two\n")
    assert "no configuration" not in said.out
    rows = list(csv.DictReader((published / "overlay" / "overlay.csv").open()))
    conv = next(row for row in rows if row["layer"].startswith("conv2d"))
    assert list(conv) == ["layer", "best_one", "best_three", "best_two", "one", "three", "two", "metric", "config"]
    assert [float(conv[key]) for key in ("best_one", "best_three", "best_two")] == pytest.approx([4.0, 1.0, 10.0])
    least = min((1, 2, 4), key=lambda tile: metric(tile, [*MS]))
    assert [float(conv[key]) for key in MS] == pytest.approx([MS[key][least] for key in MS])
    assert float(conv["metric"]) == pytest.approx(metric(least, [*MS]))
    dense = next(row for row in rows if row["layer"].startswith("dense"))
    assert (dense["metric"], dense["config"]) == ("", "")
    assert "not measured on three" in said.out
    assert "<script" in (published / "overlay" / "index.html").read_text()


def test_keys_layer_weights_and_minimax(published: Path, sweep: Sweep) -> None:
    two = sweep("overlay", "out", "--keys", "one,two", "--layer", "1", "--json")
    found = json.loads(two.out)
    assert found["devices"] == ["one", "two"]
    assert {row["device"] for row in found["layers"]} == {"one", "two"}
    least = min((1, 2, 4), key=lambda tile: metric(tile, ["one", "two"]))
    assert found["layers"][0]["metric"] == pytest.approx(metric(least, ["one", "two"]))
    assert "overlay.csv" in two.err
    leaning = json.loads(
        sweep("overlay", "out", "--keys", "one,two", "--layer", "1", "--weights", "one=100", "--json").out
    )
    assert leaning["layers"][0]["time_ms"] == pytest.approx(4.0)
    assert [point["configurations"] for point in found["few"]] == [1, 2]
    assert found["few"][1]["mean_regret"] == 0.0
    assert [one["device"] for one in found["leave_one_out"]] == ["one", "two"]
    assert sweep("overlay", "out", "--keys", "one,two", "--minimax").code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], ["DIR: has no tuning records", "sweep import-logs"]),
        (["out", "--keys", "one,too"], ["--keys", "did you mean 'two'?", "one, three, two"]),
        (["out", "--layer", "9"], ["--layer: is no layer", "1 to 2"]),
        (["out", "--weights", "one=-1"], ["--weights", "KEY=NUMBER"]),
        (["out", "--weights", "four=1"], ["--weights", "is not there"]),
        (["out", "--model", "net"], ["--model", "not logs"]),
        (["out", "--best", "0"], ["--best"]),
    ],
)
def test_bad_input(arguments: list[str], says: list[str], published: Path, sweep: Sweep) -> None:
    assert_one_line(sweep("overlay", *arguments), says)
