"""`sweep overlay --measure` on a sweep that tuned for two devices: neither has the other's best, and one log for both
after."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sweep.cli import main
from tests.end_to_end.conftest import STUDY, Finished
from tests.end_to_end.place import CLUSTER_TWO, Ended, Place

pytestmark = [pytest.mark.integration, pytest.mark.tvm, pytest.mark.mlflow, pytest.mark.timeout(900)]

DEVICES = ("here", "there")
ASKED = ("overlay", "out", "--measure", "--cluster", "cluster.yaml", "--opt-level", "3", "--best", "2")
LAYERS = (*ASKED, "--no-network")
Known = tuple[str, str, str]
"""A device, a workload, and the hash of a schedule that the device has measured."""


@pytest.fixture(scope="module")
def place(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A copy of the finished sweep, to add to: in one process. On Ray it is killed, below."""
    made = Place(tmp_path_factory.mktemp("overlay"), STUDY, CLUSTER_TWO.format(engine="inline"))
    shutil.copytree(finished.out, made.out)
    return made


@pytest.fixture(scope="module")
def lost(place: Place) -> set[Known]:
    """What the devices of that copy have forgotten, for the overlay to measure."""
    return part(place)


@pytest.fixture(scope="module")
def measured(place: Place, lost: set[Known]) -> Ended:
    ended = place.call(*LAYERS)
    assert ended.code == 0, ended.err
    return ended


@pytest.fixture(scope="module")
def with_network(place: Place, measured: Ended) -> Ended:
    """After the layers, the network."""
    ended = place.call(*ASKED, "--json")
    assert ended.code == 0, ended.err
    return ended


def table(place: Place, name: str) -> list[dict[str, str]]:
    with (place.out / "overlay" / name).open() as file:
        return list(csv.DictReader(file))


def told(ended: Ended) -> list[str]:
    """On standard error, but for what is loaded, which is told each time."""
    return [line for line in ended.err.splitlines() if not line.startswith("loads what is compiled")]


def records(place: Place) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.read_table(place.out / "tuning_records.parquet").to_pylist()
    return rows


def part(place: Place) -> set[Known]:
    """Each device forgets of each layer what is fastest on the other: tuners begin alike, and find the same schedules.

    Gives what each then lacks. Lines of the trial logs go, of which each has a checksum of its own. The schedules stay
    in the native logs, which say nothing of who has measured what; the table is made again from the trial logs.
    """
    import pyarrow.parquet as pq

    rows = records(place)
    tasks = pq.read_table(place.out / "tuning_tasks.parquet").to_pylist()
    lost: set[Known] = set()
    for workload in {row["workload"] for row in tasks if row["opt_level"] == 3}:
        here, there = (times_of(rows, workload)[key] for key in DEVICES)
        here_first = min(here, key=lambda name: here[name], default=None)
        there_first = min({*there} - {here_first}, key=lambda name: there[name], default=None)
        if here_first is not None and there_first is not None:
            lost |= {("there", workload, here_first), ("here", workload, there_first)}
    assert lost, "no layer has two schedules"
    for log in place.out.glob("records/*/*/trials.jsonl"):
        lines = log.read_text().splitlines(keepends=True)
        log.write_text("".join(line for line in lines if known_of(json.loads(line)) not in lost))
    (place.out / "tuning_records.parquet").unlink()
    return lost


def known_of(trial: dict[str, Any]) -> Known:
    return trial["device"], trial["workload"], trial["trace_hash"]


def times_of(rows: list[dict[str, Any]], workload: str) -> dict[str, dict[str, float]]:
    """Seconds of each configuration on each device, the latest, and what was measured in turns before all others."""
    times: dict[str, dict[str, float]] = {key: {} for key in DEVICES}
    for row in sorted(rows, key=lambda row: (row["validated_s"] is not None, row["t"])):
        if row["workload"] == workload and row["run_secs"]:
            seconds = row["validated_s"] or statistics.median(row["run_secs"])
            times[row["device"]][row["trace_hash"]] = seconds
    return times


def candidates(rows: list[dict[str, Any]], workload: str) -> set[str]:
    """The two that each device's own search has found to be the fastest there."""
    times = times_of([row for row in rows if row["origin"] == "search"], workload).values()
    return {name for known in times for name in sorted(known, key=lambda name: (known[name], name))[:2]}


def by_hand(rows: list[dict[str, Any]], workload: str) -> dict[str, float]:
    """M of each candidate with a time on every device, by plain loops."""
    among = candidates(rows, workload)
    times = [
        {name: seconds for name, seconds in known.items() if name in among}
        for known in times_of(rows, workload).values()
    ]
    theta = [min(known.values()) for known in times]
    return {
        name: sum((known[name] - least) / least for known, least in zip(times, theta, strict=True))
        for name in set.intersection(*map(set, times))
    }


def test_every_layer_has_a_choice_and_it_is_the_one_of_least_metric(place: Place, measured: Ended) -> None:
    rows = records(place)
    workload_of = {row["layer"]: row["workload"] for row in table(place, "details.csv")}
    layers = table(place, "overlay.csv")
    assert len(layers) == len(workload_of) > 0
    for layer in layers:
        found = by_hand(rows, workload_of[layer["layer"]])
        assert layer["config"] in found
        assert float(layer["metric"]) == pytest.approx(found[layer["config"]], rel=1e-9, abs=1e-12)
        assert found[layer["config"]] == pytest.approx(min(found.values()), rel=1e-9, abs=1e-12)


def test_what_was_measured_elsewhere_is_among_the_tuning_records(
    place: Place, lost: set[Known], measured: Ended
) -> None:
    """The candidates that a device lacks, each once; what decides a layer is then measured again, on both in turns."""
    rows = records(place)
    workloads = {row["workload"] for row in table(place, "details.csv")}
    searched = {known_of(row) for row in rows if row["origin"] == "search"}
    in_turns = [row for row in rows if row["origin"] == "overlay" and row["validated_s"] is not None]
    alone = [row for row in rows if row["origin"] == "overlay" and row["validated_s"] is None]
    wanted = {(key, workload, name) for key in DEVICES for workload in workloads for name in candidates(rows, workload)}
    assert lost <= {known_of(row) for row in alone}
    assert sorted(map(known_of, alone)) == sorted(wanted - searched)
    assert {known_of(row) for row in in_turns} <= wanted
    assert all(row["validated_s"] > 0 for row in in_turns)
    assert all(by_hand(rows, workload) for workload in workloads), "a layer has no candidate with a time on both"
    own = {
        key: {row["target"] for row in rows if row["device"] == key and row["origin"] == "search"} for key in DEVICES
    }
    assert all({row["target"]} == own[row["device"]] for row in [*alone, *in_turns])


@pytest.mark.slow
def test_the_same_again_starts_nothing(place: Place, measured: Ended) -> None:
    before, text = place.trials(), (place.out / "overlay" / "overlay.csv").read_text()
    again = place.call(*LAYERS)
    assert again.code == 0, again.err
    assert told(again) == []
    assert place.trials() == before
    assert (place.out / "overlay" / "overlay.csv").read_text() == text


def test_the_merged_log_has_a_record_a_layer(place: Place, measured: Ended) -> None:
    log = place.out / "overlay" / "merged" / "database_tuning_record.json"
    assert len(log.read_text().splitlines()) == len(table(place, "overlay.csv"))


def test_the_run_is_in_the_sweeps_own_mlflow(place: Place, measured: Ended) -> None:
    from sweep.record.mlflow.tracking_store import embedded_store, open_client

    client = open_client(embedded_store(place.out)[0])
    experiment = client.get_experiment_by_name("main-job")
    [run] = client.search_runs([experiment.experiment_id], "attributes.run_name = 'overlay'")
    assert run.data.metrics["overlay/layers_undecided"] == 0
    assert run.data.metrics["overlay/M_mean"] >= 0
    assert run.data.params["devices"] == "here, there"
    assert {one.path for one in client.list_artifacts(run.info.run_id)} >= {"overlay.csv", "index.html", "merged"}


@pytest.mark.slow
def test_the_network_of_the_merged_log_is_right_on_both_devices(place: Place, with_network: Ended) -> None:
    networks = {row["device"]: row for row in table(place, "model.csv")}
    assert {*networks} == {*DEVICES} == {row["device"] for row in json.loads(with_network.out)["networks"]}
    for row in networks.values():
        assert row["reason"] == ""
        assert (row["merged_untuned_tasks"], row["own_untuned_tasks"]) == ("0", "0")
        assert float(row["merged_output_max_abs_diff"]) < 1e-3
        assert float(row["merged_ms"]) > 0
        assert row["verdict"] in ("FASTER", "SLOWER", "SAME", "AMBIGUOUS")
    assert "The whole network" in (place.out / "overlay" / "index.html").read_text()


@pytest.mark.slow
def test_the_network_is_not_measured_twice(place: Place, with_network: Ended) -> None:
    log = place.out / "overlay" / "networks.jsonl"
    before = log.read_text()
    assert len(before.splitlines()) == 2 * 2 * 5  # builds, devices, rounds
    again = place.call(*ASKED)
    assert (again.code, told(again)) == (0, [])
    assert log.read_text() == before
    # What is measured of one log is not shown for another
    assert place.call("overlay", "out", "--opt-level", "3", "--best", "2").code == 0
    assert (place.out / "overlay" / "model.csv").is_file()
    (place.out / "overlay" / "merged" / "database_tuning_record.json").write_text("")
    assert place.call("overlay", "out", "--opt-level", "3", "--best", "2").code == 0
    assert not (place.out / "overlay" / "model.csv").exists()


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_from_what_it_had(finished: Finished, tmp_path: Path) -> None:
    place = Place(tmp_path / "killed", STUDY, CLUSTER_TWO.format(engine="ray"))
    shutil.copytree(finished.out, place.out)
    lost = part(place)
    before, some = len(place.trials()), len(lost) // 2
    running = place._start(*ASKED, "--no-network")
    while len(place.trials()) < before + some:
        assert running.poll() is None, running.communicate()
    running.send_signal(signal.SIGKILL)
    running.communicate()
    kept = place.trials()
    assert len(kept) >= before + some
    ended = place.call(*ASKED, "--no-network")
    assert ended.code == 0, ended.err
    after = Counter(place.trials())
    assert not Counter(kept) - after
    measured = [json.loads(line) for line in after if json.loads(line)["origin"] == "overlay"]
    once = Counter(known_of(one) for one in measured if len(one["run_secs"] or ()) == 3)
    assert max(once.values()) == 1
    assert lost <= {known_of(one) for one in measured}
    assert all(row["config"] for row in table(place, "overlay.csv"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["--measure", "--cluster", "cluster.yaml"],
            "--opt-level: is needed: there are several opt levels; allowed: 1, 3",
        ),
        (["--opt-level", "2"], "--opt-level: is not there (got '2'); allowed: 1, 3"),
        (["--opt-level", "3", "--keys", "her"], "did you mean 'here'?"),
        (["--opt-level", "3", "--only", "tuner=ansor"], "fits no tuner of this grid"),
        (["--opt-level", "3", "--measure", "--cluster", "one.yaml"], "has no device 'there', which was tuned"),
    ],
)
def test_bad_input(
    place: Place, arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write("one.yaml", "{name: one, engine: inline, devices: [{key: here, cores: [-1]}]}")
    monkeypatch.chdir(place.folder)
    assert main(["overlay", "out", *arguments]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
