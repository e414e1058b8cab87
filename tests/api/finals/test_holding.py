"""Finals of runs on pretended devices: when they are held, held again, and not held."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import sweep
from sweep.analysis.rows.results import derive
from sweep.api.finals.holding import final_of
from sweep.api.session.journal import Journal
from sweep.api.session.reporting import current_outcome
from sweep.planning.stages import final as final_stage
from sweep.running.ledger.ledger import Ledger, LedgerState, read_ledger
from sweep.study.final_options import Final
from tests.api.session.simulated_sweep import begun, run_again

STUDY = """study: small
models: [onnx-light:squeezenet]
devices: [sim-0]
opt_levels: [0, 2, 3]
final: {seconds: 5, best: 2}
"""


def events(folder: Path) -> list[Mapping[str, Any]]:
    return [json.loads(line) for line in (folder / "out" / "ledger.jsonl").read_text().splitlines()]


def finals(folder: Path) -> list[Mapping[str, Any]]:
    return [event for event in events(folder) if event["event"] == "stage_done" and event["kind"] == "final"]


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return begun(tmp_path_factory.mktemp("held"), STUDY)


def test_a_final_is_held_once_and_again_after_a_new_measurement(tmp_path: Path) -> None:
    folder = begun(tmp_path, STUDY)
    (first,) = finals(folder)
    assert run_again(folder).executed == 0

    (cell,) = {one["cell"] for one in first["result"]["contenders"][:1]}
    stages = {c["id"]: c["stages"] for c in json.loads((folder / "out" / "plan.json").read_text())["cells"]}[cell]
    done = next(e for e in events(folder) if e["event"] == "stage_done" and e["stage"] == stages[-1])
    with Ledger(folder / "out") as ledger:  # as a retry leaves it
        result = {**done["result"], "run_secs": [value * 1.001 for value in done["result"]["run_secs"]]}
        ledger.append("stage_done", stage=stages[-1], kind="measure", attempt=2, result=result, seconds=1.0, worker="w")

    assert run_again(folder).executed == 1
    assert [one["stage"] for one in finals(folder)].count(first["stage"]) == 1
    assert len(finals(folder)) == 2
    outcome = current_outcome(folder / "out")
    assert {place.final for one in outcome.cells if (place := one.final) is not None} == {finals(folder)[1]["stage"]}


def test_contenders_that_stayed_tainted_are_measured_again_before_it(tmp_path: Path) -> None:
    folder = begun(tmp_path, STUDY.replace("final: {seconds: 5, best: 2}", "final: null"))
    done = next(e for e in events(folder) if e["event"] == "stage_done" and e["kind"] == "measure")
    disturbed = {"kind": "kernel_slowed", "measured": 0.3, "bound": 0.2, "text": "the sentinel kernel was slow"}
    with Ledger(folder / "out") as ledger:
        result = {**done["result"], "tainted": [disturbed], "run_secs": [1e-6, 1e-6, 1e-6]}
        ledger.append(
            "stage_done", stage=done["stage"], kind="measure", attempt=2, result=result, seconds=1.0, worker="w"
        )
    (folder / "study.yaml").write_text(STUDY)

    assert run_again(folder).executed == 2
    kinds = [e["kind"] for e in events(folder) if e["event"] == "stage_done"][-2:]
    assert kinds == ["measure", "final"]
    assert not any(cell.status == "tainted" for cell in current_outcome(folder / "out").cells)
    assert run_again(folder).executed == 0


def test_its_places_are_in_the_rows_and_the_answer_rests_on_them(held: Path) -> None:
    rows = derive(current_outcome(held / "out")).cells
    placed = [row for row in rows if row["final"]]

    (final,) = finals(held)
    assert {row["final"] for row in placed} == {final["stage"]}
    compiled = [row for row in placed if row["runtime"] == "tvm"]
    assert min(row["final_ratio_to_best"] for row in compiled) == 1.0
    assert all(row["final_rounds"] == 5 for row in placed)


def test_who_does_not_keep_the_limits_of_the_study_takes_no_part(held: Path, tmp_path: Path) -> None:
    rows = derive(current_outcome(held / "out")).cells
    sizes = sorted(row["artifact_bytes"] for row in rows if row["runtime"] == "tvm")
    limit = sizes[0]
    folder = begun(tmp_path, f"{STUDY}objective: {{subject_to: {{artifact_bytes: {limit}}}}}\n")

    limited = derive(current_outcome(folder / "out")).cells
    assert sorted(row["artifact_bytes"] for row in limited if row["runtime"] == "tvm") == sizes
    compiled = [row for row in limited if row["final"] and row["runtime"] == "tvm"]
    assert [row["artifact_bytes"] for row in compiled] == [limit]
    assert [row["meets_objective"] for row in compiled] == [True]


def test_one_that_was_interrupted_is_held_by_the_next_run(tmp_path: Path) -> None:
    folder = begun(tmp_path, STUDY)
    lines = (folder / "out" / "ledger.jsonl").read_text().splitlines(keepends=True)
    kept = next(n for n, line in enumerate(lines) if '"stage_done"' in line and '"kind":"final"' in line)
    (folder / "out" / "ledger.jsonl").write_text("".join(lines[:kept]))

    assert run_again(folder).executed == 1
    assert len(finals(folder)) == 1


@pytest.mark.parametrize("said", ["final: null\n", ""])
def test_without_being_asked_for_pretended_devices_hold_none(tmp_path: Path, said: str) -> None:
    folder = begun(tmp_path, STUDY.replace("final: {seconds: 5, best: 2}\n", said))

    assert finals(folder) == []
    assert "final" not in events(folder)[0]["conditions"]


def test_a_sweep_that_was_begun_without_has_none_unless_its_study_asks() -> None:
    study = sweep.load_study({"study": "s", "models": ["onnx-light:squeezenet"]})
    asking = sweep.load_study({"study": "s", "models": ["onnx-light:squeezenet"], "final": {"best": 2}})
    without = sweep.load_study({"study": "s", "models": ["onnx-light:squeezenet"], "final": None})
    cluster = sweep.load_cluster(Path(__file__).parents[3] / "clusters" / "local.yaml")
    new, older, later = LedgerState(), LedgerState(runs=1), LedgerState(runs=1, has_finals=True)

    assert [final_of(study, cluster, state) for state in (new, older, later)] == [Final(), None, Final()]
    assert final_of(asking, cluster, older) == Final(20.0, 2, is_asked=True)
    assert final_of(without, cluster, new) is None


def test_a_ledger_with_a_final_is_read_as_before(held: Path) -> None:
    state = read_ledger(held / "out")

    assert (state.runs, state.last_status, len(state.finals), state.has_finals) == (1, "done", 1, True)


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"seconds": 0}, "final.seconds"),
        ({"best": 0}, "final.best"),
        ({"rounds": 3}, "final.rounds"),
        ({"side_by_side": "on two"}, "final.side_by_side"),
        (7, "final"),
    ],
)
def test_a_slip_is_one_line(said: Any, wrong: str) -> None:
    with pytest.raises(sweep.errors.StudyError, match=wrong.replace(".", r"\.")):
        sweep.load_study({"study": "s", "models": ["onnx-light:squeezenet"], "final": said})


def test_its_slots_are_rows_of_the_measurements_and_two_that_met_in_it_are_compared_by_them(held: Path) -> None:
    results = derive(current_outcome(held / "out"))
    slots = [row for row in results.measurements if row["kind"] == "final"]
    placed = {row["cell_id"] for row in results.cells if row["final"]}

    assert {row["cell_id"] for row in slots} == placed
    assert len(slots) == 2 * 5 * len(placed)
    assert {(row["block"], row["repeat"]) for row in slots} == {
        (number, slot) for number in range(5) for slot in (0, 1)
    }
    compared = sweep.compare(held / "out", *sorted(placed)[:2])
    assert compared.final_rounds == 5


def test_to_ask_for_it_side_by_side_holds_it_again_and_it_says_why_it_took_turns(tmp_path: Path) -> None:
    """Which cells take part depends on made-up times, which differ by the CPU that a host has."""
    study = STUDY.replace("[0, 2, 3]", "[0, 2]")
    folder = begun(tmp_path, study)
    (folder / "study.yaml").write_text(study.replace("best: 2}", "best: 2, side_by_side: true}"))
    assert run_again(folder).executed == 1

    usual, asked = finals(folder)
    assert usual["stage"] != asked["stage"]
    assert "in_turns_because" not in usual["result"]
    assert asked["result"]["in_turns_because"] == "the device is simulated"
    runs = [event for event in events(folder) if event["event"] == "run_started"]
    assert [run["conditions"]["final"] for run in runs] == [
        {"seconds": 5.0, "best": 2},
        {"seconds": 5.0, "best": 2, "side_by_side": True},
    ]
    rows = [row for row in derive(current_outcome(folder / "out")).cells if row["final"]]
    assert {row["final"] for row in rows} == {asked["stage"]}
    assert {row["final_held"] for row in rows} == {"in turns"}
    assert {row["final_in_turns_because"] for row in rows} == {"the device is simulated"}


def test_what_a_final_in_turns_is_known_by_is_what_it_was_before_there_was_a_choice() -> None:
    draft = final_stage.draft("d", 5.0, [], {}, "what")

    assert set(draft.options.data) == {"device", "seconds", "contenders"}


def test_a_log_for_machines_tells_of_its_stage_and_of_each_place(tmp_path: Path) -> None:
    folder = begun(tmp_path, STUDY.replace("final: {seconds: 5, best: 2}", "final: null"))
    (folder / "study.yaml").write_text(STUDY)
    study, cluster = sweep.load_study(folder / "study.yaml"), sweep.load_cluster(folder / "cluster.yaml")
    with Journal(str(folder / "log.jsonl"), study.name) as journal:
        sweep.run(study, cluster, out=folder / "out", watchers=[journal.watch])
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]

    of_final = [line for line in lines if line.get("kind") == "final"]
    rows = {row["cell_id"]: row for row in derive(current_outcome(folder / "out")).cells if row["final"]}
    assert [line["event"] for line in of_final[:2]] == ["attempt_started", "stage_done"]
    assert {line["cell_id"] for line in of_final[2:]} == set(rows)
    for line in of_final[2:]:
        assert line["event"] == "final_placed"
        assert line["cell"] == rows[line["cell_id"]]["cell_name"]
        assert line["held"] == "in turns"
        assert line["ratio_to_best"] == pytest.approx(rows[line["cell_id"]]["final_ratio_to_best"], abs=1e-6)
    assert [line["event"] for line in lines].count("cell_settled") == 0, "the cells are of an earlier run"
