"""`sweep roofline` on a real sweep: a roof with its spread, each layer of the library, once; the report has it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Finished

pytestmark = [pytest.mark.integration, pytest.mark.tvm, pytest.mark.slow, pytest.mark.timeout(900)]


def test_layers_of_a_real_network_stand_under_a_measured_roof(finished_inline: Finished, tmp_path: Path) -> None:
    place = finished_inline.place
    copy = Path(shutil.copytree(place.out, tmp_path / "sweep"))
    arguments = ["roofline", str(copy), "--cluster", "cluster.yaml", "--json"]

    ended = place.call(*arguments)

    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    (row,) = told["rooflines"]
    roof = row["roof"]
    assert (
        1e9 < roof["operations"]["per_s_low"] <= roof["operations"]["per_s"] <= roof["operations"]["per_s_high"] < 1e13
    )
    assert 1e8 < roof["streams"][-1]["per_s"] < 1e12
    assert roof["streams"][0]["per_s"] > roof["streams"][-1]["per_s"], "a cache gives more than memory"
    layers = {layer["layer"]: layer for layer in row["layers"]}
    assert layers, "the library has some"
    assert row["layers_without_time"] == 0, row
    assert any(layer["weight_bytes"] > 0 for layer in layers.values())
    assert all(layer["time_ms"] > 0 for layer in layers.values())
    assert row["words"].startswith("tiny on here reaches ")

    before = (copy / "ledger.jsonl").read_text().count('"event":"stage_done"')
    again = place.call(*arguments)
    assert json.loads(again.out) == told
    assert (copy / "ledger.jsonl").read_text().count('"event":"stage_done"') == before, "nothing is measured twice"
    report = json.loads(place.call("report", str(copy), "--format", "json").out)
    assert report["rooflines"] == told["rooflines"]
    (page,) = (copy / "report").glob("*.html")
    assert "Roofline" in page.read_text()
