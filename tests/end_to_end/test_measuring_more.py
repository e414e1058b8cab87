"""Two cells of a finished sweep, measured in turns until one can say which is faster."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas
import pytest

from sweep.api.commands.compare import compare
from sweep.api.commands.measure_more import Pairing
from sweep.api.session.table_cache import refresh
from sweep.errors import LedgerError, StudyError
from sweep.running.ledger.ledger import Ledger, read_ledger
from sweep.study.cluster.cluster import Cluster
from sweep.study.gate import load_cluster
from tests.end_to_end.conftest import Finished
from tests.end_to_end.place import Place

pytestmark = [pytest.mark.integration, pytest.mark.tvm]

CELLS = ("none O1", "none O3")


@pytest.fixture
def copied(finished_inline: Finished, tmp_path: Path) -> Place:
    return _copied(finished_inline, tmp_path)


def _copied(finished: Finished, tmp_path: Path) -> Place:
    place = Place(tmp_path / "place", "", "{name: one, engine: ray, devices: [{key: here, cores: [-1]}]}")
    shutil.copytree(finished.out, place.out)
    return place


def _tell_nothing_apart(place: Place) -> None:
    """Have every cell taken the same times, far from each other: whatever this machine measured, it decides nothing."""

    def spread(event: dict[str, Any]) -> None:
        if event["event"] == "stage_done" and event["kind"] == "measure":
            result = event["result"]
            for part in (result, *result.get("blocks", ())):
                part["run_secs"] = [1e-3 * 1.5**number for number, _ in enumerate(part["run_secs"])]
                part["tainted"] = []

    place.change_events(spread)


@pytest.mark.slow
def test_what_is_ambiguous_is_measured_on_and_all_of_it_is_kept(copied: Place) -> None:
    _tell_nothing_apart(copied)
    assert not compare(copied.out, *CELLS).is_decided
    rows = pandas.read_parquet(copied.out / "results.parquet")

    # No time for a second pair: what there was of the first is kept
    command = ["compare", "out", *CELLS, "--measure-more", "--cluster", "cluster.yaml", "--json"]
    ended = copied.call(*command, "--max-minutes", "0.0001")

    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    assert told["verdict"] == "AMBIGUOUS"
    assert told["pairs"]["used"] == 0
    assert len(read_ledger(copied.out).pairs) == 1

    ended = copied.call(*command, "--max-minutes", "0.05")

    assert ended.code == 0, ended.err
    pairs = read_ledger(copied.out).pairs
    assert len(pairs) > 1
    told = json.loads(ended.out)
    assert told["pairs"]["measured"] + told["pairs"]["disturbed"] == len(pairs)
    order = [
        pair["blocks"][0]["conditions"]["at_before"] < pair["blocks"][1]["conditions"]["at_before"] for pair in pairs
    ]
    assert order[:2] == [True, False]
    again = compare(copied.out, *CELLS)
    assert (str(again.found.verdict), again.measured_more.disturbed) == (told["verdict"], told["pairs"]["disturbed"])

    refresh(copied.out)
    assert pandas.read_parquet(copied.out / "results.parquet").equals(rows)
    measured = pandas.read_parquet(copied.out / "measurements.parquet").query("kind == 'compared'")
    assert len(measured) == 3 * 2 * len(pairs)
    assert set(measured.cell_id) == set(measured.compared_with) == {again.first.cell_id, again.second.cell_id}
    assert measured.tainted.any() == bool(told["pairs"]["disturbed"])


def test_it_says_in_a_line_why_it_cannot(finished: Finished, tmp_path: Path) -> None:
    copied = _copied(finished, tmp_path)
    here = load_cluster(copied.folder / "cluster.yaml")
    there = load_cluster(copied.write("there.yaml", "{name: two, engine: ray, devices: [{key: there, cores: [-1]}]}"))
    told = compare(copied.out, *(f"{cell} here" for cell in CELLS))

    def measure_in_turns(cluster: Cluster) -> None:
        """Whether or not what there is decides already: a quiet machine tells these two apart."""
        with Pairing(copied.out, (told.first, told.second), cluster, minutes=1.0):
            pass

    with pytest.raises(StudyError, match=r"is no device of the cluster file.*\(got 'here'\); allowed: there"):
        measure_in_turns(there)
    with Ledger(copied.out), pytest.raises(LedgerError, match="is in use by another `sweep run`"):
        measure_in_turns(here)
    shutil.rmtree(copied.out / "artifacts" / "build")
    with pytest.raises(StudyError, match="CELL: cannot be measured again"):
        measure_in_turns(here)
    with Ledger(copied.out):
        pass  # nobody holds it after a refusal
