"""A runtime from outside the package is measured beside TVM and ONNX Runtime, on a real device, and named rightly."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from rich.console import Console

import sweep
from sweep.analysis.answering.answer import answer
from sweep.analysis.answering.standing import best_cells
from sweep.analysis.outcome import MEASURED
from sweep.analysis.rows.results import Results, derive
from sweep.analysis.rows.runtime_rows import ratios
from sweep.errors import StudyError
from sweep.report.page import render_page
from sweep.report.table import render_results
from tests.networks import write_tiny
from tests.seams.installed import install_toys

pytestmark = [pytest.mark.integration, pytest.mark.tvm, pytest.mark.slow]

NAMED, BY_PLACE = "onnx-reference", "tests.seams.toy_runtime:TALKATIVE"
STUDY = {
    "study": "toy-runtime",
    "models": ["tiny.onnx"],
    "runtimes": ["tvm", "onnxruntime", NAMED, BY_PLACE],
    "baseline": NAMED,
    "final": {"seconds": 1},
    "measure": {"repeat": 3, "max_repeat": 3, "rounds": 1, "min_repeat_ms": 1, "retakes": 0, "timeout_s": 4},
}
CLUSTER = {"name": "one", "engine": "inline", "devices": [{"key": "here", "cores": [-1]}], "mlflow": {"enabled": False}}


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sweep.SweepRun]:
    """A sweep of a network that takes no time, with a package installed that brings a runtime by an entry point."""
    folder = tmp_path_factory.mktemp("toy")
    write_tiny(folder / "tiny.onnx")
    (folder / "study.yaml").write_text(json.dumps(STUDY))
    (folder / "cluster.yaml").write_text(json.dumps(CLUSTER))
    with pytest.MonkeyPatch.context() as patch:
        install_toys(folder, "sweep.runtimes", {NAMED: "tests.seams.toy_runtime:TOY"})
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", str(folder))
        study, cluster = sweep.load_study(folder / "study.yaml"), sweep.load_cluster(folder / "cluster.yaml")
        yield sweep.run(study, cluster, out=folder / "out")


@pytest.fixture(scope="module")
def results(swept: sweep.SweepRun) -> Results:
    """As they are where nothing else runs on the machine: a disturbed cell is compared with nothing, and takes turns in
    a final with what is far from it, whose ratio then goes before that of the medians.
    """
    outcome = swept.outcome
    assert {one.status for one in outcome.cells} <= {*MEASURED}, [one.error for one in outcome.cells]
    return derive(
        replace(outcome, cells=[replace(one, status="done", error=None, final=None) for one in outcome.cells])
    )


def test_each_runtime_has_a_measured_cell(results: Results) -> None:
    rows = {row["runtime"]: row for row in results.cells}
    assert list(rows) == ["onnxruntime", NAMED, BY_PLACE, "tvm"]
    assert all(row["latency_ms_median"] > 0 for row in rows.values())
    assert rows[NAMED]["output_max_abs_diff"] < 1e-3
    assert rows[NAMED]["runtime_version"] != rows["onnxruntime"]["runtime_version"]
    assert rows[BY_PLACE]["latency_ms_median"] == 250  # its own clock says so
    assert json.loads(rows[BY_PLACE]["conditions_json"])["delegate"] == "none"
    assert rows[BY_PLACE]["peak_memory_bytes"] == 12345


def test_ratios_are_to_the_toy_where_it_is_the_baseline(results: Results) -> None:
    medians = {row["runtime"]: row["latency_ms_median"] for row in results.cells}
    for row in results.cells:
        assert row["baseline"] == NAMED
        assert row["ratio_to_baseline"] == row["latency_ms_median"] / medians[NAMED]
        assert row["ratio_to_onnxruntime"] == row["latency_ms_median"] / medians["onnxruntime"]


def test_any_two_runtimes_can_be_asked_about(swept: sweep.SweepRun, results: Results) -> None:
    medians = {row["runtime"]: row["latency_ms_median"] for row in results.cells}
    [ratio] = ratios(results.cells, of=BY_PLACE, against="tvm")
    assert ratio.as_row() == {
        "model": "tiny",
        "batch": 1,
        "device": "here",
        "mode": "inference",
        "variable": "latency",
        "of": BY_PLACE,
        "of_cell": f"tiny {BY_PLACE} here",
        "of_latency_ms_median": medians[BY_PLACE],
        "against": "tvm",
        "against_cell": "tiny native none O3 here",
        "against_latency_ms_median": medians["tvm"],
        "ratio": medians[BY_PLACE] / medians["tvm"],
        "is_tied": False,
    }
    found = sweep.runtime_ratios(swept.sweep_dir, of=BY_PLACE, against="tvm")
    found = [{**one, "ratio": ratio.ratio, "is_tied": False} for one in found]  # of a final, where both were disturbed
    assert found in ([], [ratio.as_row()])  # a disturbed cell is compared with nothing
    with pytest.raises(StudyError, match=r"against: is no runtime of this sweep.*did you mean 'onnxruntime'.*got"):
        sweep.runtime_ratios(swept.sweep_dir, of="tvm", against="onnxruntim")


def test_the_answer_names_the_compiled_cell_and_the_toy_by_its_title(results: Results) -> None:
    [best] = best_cells(results.cells)
    assert best.row["runtime"] == "tvm"
    told = answer(results)
    # Whether ONNX Runtime is as fast, the machine says
    assert told.startswith("tiny on here: untuned at O3 on native is ")
    assert "ONNX reference" in told
    assert "Talkative" not in told, "it is slower by far"


def test_table_and_page_call_it_by_its_titles(results: Results) -> None:
    stream = io.StringIO()
    render_results(results, Console(file=stream, width=140))
    assert "time / ref" in stream.getvalue()
    assert "Talkative" in stream.getvalue()
    page = render_page(results)
    assert page.count('<tr class="rival"') == 3
    assert "ONone" not in page


def test_the_same_again_measures_nothing(swept: sweep.SweepRun) -> None:
    place = swept.sweep_dir.parent
    again = sweep.run(
        sweep.load_study(place / "study.yaml"), sweep.load_cluster(place / "cluster.yaml"), out=swept.sweep_dir
    )
    assert (again.status, again.executed) == ("done", 0)


def test_without_its_package_the_sweep_is_read_by_name_and_nothing_is_imported(swept: sweep.SweepRun) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sweep", "report", str(swept.sweep_dir)],
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        check=True,
    )
    assert " ".join(done.stdout.split()).count(NAMED) >= 1
    assert "ONNX reference" not in done.stdout
    assert "Talkative" not in done.stdout, "to find its title by its place is to run what a folder names"
