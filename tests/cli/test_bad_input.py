"""Slips of a person at the real command line: exit 2, one line that names what is allowed, and nothing started."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from tests.cli.conftest import CLUSTER, STUDY, Said, Sweep

HERE = "name: here\nengine: inline\n"

STUDY_FILES = {
    "empty": ("", ["study.yaml", "is empty", "a mapping with keys"]),
    "a list": ("- study: s\n", ["holds a list", "a mapping with keys"]),
    "not YAML": ("study: [s\n", ["study.yaml:2: is not valid YAML"]),
    "a key twice": (STUDY + "seed: 1\nseed: 2\n", ["study.yaml:6: ", "'seed' is written twice (first in line 5)"]),
    "a misspelt key": (STUDY.replace("models", "modles"), ["modles", "did you mean 'models'"]),
    "a key from elsewhere": (STUDY + "engine: ray\n", ["engine", "is not a key here", "models"]),
    "no name": ("models: [tiny.onnx]\n", ["study", "is missing", "small letters"]),
    "a name with spaces": (STUDY.replace("good", "my study"), ["study", "'my study'", "small letters"]),
    "no models": ("study: s\n", ["models", "is missing"]),
    "empty models": (STUDY.replace("[tiny.onnx]", "[]"), ["models", "is empty"]),
    "an absent model": (STUDY.replace("tiny.onnx", "tin.onnx"), ["models[0]", "does not exist", "tiny.onnx"]),
    "an unknown shipped model": (
        STUDY.replace("tiny.onnx", "onnx-light:squeezenets"),
        ["models[0]", "did you mean 'squeezenet'"],
    ),
    "a model of another kind": (
        STUDY.replace("tiny.onnx", "tiny.caffemodel"),
        ["models[0]", "is not a model file", ".onnx"],
    ),
    "a model twice": (STUDY.replace("tiny.onnx", "tiny.onnx, ./tiny.onnx"), ["models[1]", "the same as models[0]"]),
    "a shape that batch overrides": (
        STUDY.replace("tiny.onnx", "{path: tiny.onnx, inputs: {x: [2, 3, 8, 8]}}") + "axes: {batch: [1]}\n",
        ["models[0].inputs.x", "axes.batch", "[2]"],
    ),
    "an input that the network does not have": (
        STUDY.replace("tiny.onnx", "{path: tiny.onnx, inputs: {image: [1, 3, 8, 8]}}"),
        ["study.yaml:2: models[0].inputs.image: is no input of the network", "x: [1, 3, 8, 8]"],
    ),
    "a shape of another rank": (
        STUDY.replace("tiny.onnx", "{path: tiny.onnx, inputs: {x: [1, 8, 8]}}"),
        ["study.yaml:2: models[0].inputs.x: has the wrong number of dimensions", "x: [1, 3, 8, 8]"],
    ),
    "the baseline alone": (
        STUDY + "exclude: [{runtime: tvm}]\n",
        ["study.yaml:5: exclude: leaves no cell that is compiled", "runtimes: [onnxruntime]"],
    ),
    "a shape of zeros": (
        STUDY.replace("tiny.onnx", "{path: tiny.onnx, inputs: {x: [1, 0]}}"),
        ["models[0].inputs.x[1]", "a whole number from 1"],
    ),
    "an unknown tuner": (STUDY.replace("random", "xgboost"), ["tuners[1]", "'xgboost'", "xgb"]),
    "a tuner misspelt": (STUDY.replace("random", "grid"), ["tuners[1]", "'grid'", "gridsearch"]),
    "a tuner without end": (
        STUDY.replace("random", "{name: ga, trials_per_task: null}"),
        ["tuners[1].trials_per_task", "has no end", "trials_total"],
    ),
    "a tuner of one's own that is not there": (
        STUDY.replace("random", "my_tuner:Annealing"),
        ["tuners[1]", "No module named 'my_tuner'", "PYTHONPATH"],
    ),
    "a tuner's option at another": (
        STUDY.replace("random", "{name: random, population: 8}"),
        ["tuners[1].population", "an option of ga, xgb, mlp", "trials_per_task"],
    ),
    "no trials": (
        STUDY.replace("random", "{name: random, trials_per_task: 0}"),
        ["tuners[1].trials_per_task", "a whole number from 1"],
    ),
    "an opt level too high": (STUDY.replace("[1, 3]", "[7]"), ["opt_levels[0]", "from 0 to 4"]),
    "an opt level as text": (STUDY.replace("[1, 3]", "[O3]"), ["opt_levels[0]", "'O3'", "from 0 to 4"]),
    "an opt level twice": (STUDY.replace("[1, 3]", "[3, 3]"), ["opt_levels[1]", "each value once"]),
    "an unknown tag": (STUDY + "targets: [arm/rasp4b65]\n", ["targets[0]", "rasp4b64"]),
    "an unknown CPU": (STUDY + 'targets: ["llvm -mcpu=core-avx3"]\n', ["targets[0]", "core-avx2"]),
    "a GPU": (STUDY + "targets: [cuda]\n", ["targets[0]", "cuda", "llvm"]),
    "an unknown device": (STUDY + "devices: [sim-7]\n", ["devices", "'sim-7'", "sim-0"]),
    "an unknown layout": (STUDY + "axes: {layout: [NWHC]}\n", ["axes.layout[0]", "NHWC"]),
    "a rule about nothing": (STUDY + "exclude: [{}]\n", ["exclude[0]", "names no axis", "opt_level"]),
    "a rule about an unknown tuner": (STUDY + "exclude: [{tuner: xgb}]\n", ["exclude[0].tuner", "'xgb'", "random"]),
    "nothing left": (
        STUDY + "exclude: [{runtime: [tvm, onnxruntime]}]\n",
        ["exclude", "leaves no cell"],
    ),
    "no repeats": (STUDY + "measure: {repeat: 0}\n", ["measure.repeat", "from 1"]),
    "a budget of nothing": (STUDY + "budget: {hours: -1}\n", ["budget.hours", "above 0"]),
    "no minutes for a cell": (STUDY + "budget: {cell_minutes: 0}\n", ["budget.cell_minutes", "above 0"]),
    "a seed as text": (STUDY + "seed: lucky\n", ["seed", "'lucky'", "a whole number"]),
}

CLUSTER_FILES = {
    "empty": ("", ["cluster.yaml", "is empty"]),
    "an unknown engine": (CLUSTER.replace("simulated", "dask", 1), ["engine", "'dask'", "ray"]),
    "no devices": (HERE, ["devices", "is missing or empty", "a key"]),
    "a device without a key": (HERE + "devices: [{cores: [-1]}]\n", ["devices[0].key", "is missing"]),
    "a key twice": (HERE + "devices: [{key: a}, {key: a}]\n", ["devices[1].key", "is there twice", "count"]),
    "a core that is not there": (
        HERE + "devices: [{key: a, cores: [1000]}]\n",
        ["devices[0].cores[0]", "is not a core that can be used here", "-1"],
    ),
    "more threads than cores": (
        HERE + "devices: [{key: a, cores: [-1], threads: 9}]\n",
        ["devices[0].threads", "up to 1"],
    ),
    "a target for another machine": (
        HERE + "devices: [{key: a, target: {kind: llvm, mtriple: riscv64-linux-gnu}}]\n",
        ["devices[0].target", "cannot run here", "managed: false"],
    ),
    "a tracker for everybody": (
        HERE + "devices: [{key: a}]\ntracker: {host: 0.0.0.0}\n",
        ["tracker.host", "is not loopback", "managed: false"],
    ),
    "a tracker elsewhere without a port": (
        HERE + "devices: [{key: a}]\ntracker: {managed: false}\n",
        ["tracker.port", "TVM_TRACKER_PORT"],
    ),
    "a port too high": (HERE + "devices: [{key: a}]\ntracker: {port: 70000}\n", ["tracker.port", "65535"]),
    "no address of a Ray cluster": (
        HERE + "devices: [{key: a}]\nray: {address: head}\n",
        ["ray.address", "'head'", "auto, or HOST:PORT"],
    ),
    "failures beyond all": (CLUSTER.replace("devices: 2", "failure_rate: 2"), ["simulate.failure_rate", "from 0"]),
}

ARGUMENTS = {
    "an unknown command": ("rnu study.yaml", ["'rnu'", "plan, run, ", "status, where"]),
    "no study": ("run", ["STUDY", "sweep run"]),
    "one study too many": ("plan study.yaml study.yaml", ["study.yaml", "sweep plan"]),
    "an unknown option": ("run study.yaml --output x", ["--output", "--out"]),
    "an option without its value": ("plan study.yaml --cluster", ["--cluster", "requires an argument"]),
    "an absent study": ("run experiments/quickstart.yml", ["experiments/quickstart.yml", "does not exist", ".yaml"]),
    "a folder as study": ("run .", ["is a directory", ".yaml"]),
    "an absent cluster": ("run study.yaml -c lab.yaml", ["lab.yaml", "does not exist", ".yaml"]),
    "hours as text": ("run study.yaml -c cluster.yaml --max-hours two", ["--max-hours", "a valid number"]),
    "negative hours": ("run study.yaml -c cluster.yaml --max-hours -1", ["--max-hours", "greater than or equal to 0"]),
    "an address for made-up devices": (
        "run study.yaml -c cluster.yaml --address auto",
        ["--address", "`engine: ray` alone", "simulated"],
    ),
    "no dashboard": (
        "submit study.yaml -c cluster.yaml --address head:8265",
        ["--address", "'head:8265'", "http://HOST:PORT of a cluster's dashboard"],
    ),
    "a dashboard where nobody is": (
        "submit study.yaml -c cluster.yaml --address http://127.0.0.1:1",
        ["--address: nobody answers there: Connection refused", "http://HOST:PORT of a cluster's dashboard"],
    ),
    "a mirror without a place": ("mirror out --to=", ["--to: is no MLflow store (got '')", "a tracking server"]),
    "a mirror where nobody is": (
        "mirror out --to http://127.0.0.1:1",
        ["--to: nobody answers there: Connection refused (got '127.0.0.1:1')", "a tracking server"],
    ),
    "a mirror in a database that is away": (
        "mirror out --to postgresql://me:secret@127.0.0.1:1/mlflow",
        ["--to: nobody answers there: Connection refused (got '127.0.0.1:1')", "database"],
    ),
    "cells of an unknown axis": (
        "plan study.yaml -c cluster.yaml --only tunner=random",
        ["--only", "'tunner'", "did you mean 'tuner'", "opt_level"],
    ),
    "cells that there are not": (
        "run study.yaml -c cluster.yaml --only model=res*",
        ["--only", "fits no model", "of model: tiny"],
    ),
    "a log in no folder": (
        "run study.yaml -c cluster.yaml --log-json nowhere/log",
        ["--log-json", "cannot be written", "a folder that is there"],
    ),
    "a warm start from nowhere": (
        "run study.yaml -c cluster.yaml --out out --warm-start /nowhere",
        ["--warm-start", "'/nowhere'", "holds no tuning records", "a sweep directory"],
    ),
    "port 0": ("ui sweep --port 0", ["--port", "greater than or equal to 1"]),
    "a port too high": ("ui sweep --port 70000", ["--port", "less than or equal to 65535"]),
    "a port as text": ("ui sweep --port http", ["--port", "a valid integer"]),
    "the UI of no sweep": ("ui .", ["is not a sweep directory", "sweep run"]),
    "the status of no sweep": ("status .", ["is not a sweep directory", "ledger.jsonl"]),
    "the report of nothing": ("report absent", ["is not a sweep directory", "'absent'", "sweep run"]),
    "an unknown schema": ("schema model", ["'model'", "study, cluster"]),
    "farm and no more": ("farm", ["up, status, down"]),
    "an unknown farm command": ("farm start", ["'start'", "up, status, down"]),
    "the farm of made-up devices": ("farm up cluster.yaml", ["cluster.yaml:2: engine: has no farm", "ray, inline"]),
    "the farm of no cluster": ("farm up absent.yaml", ["absent.yaml", "does not exist", ".yaml"]),
}


def test_the_table_is_long_enough() -> None:
    assert len(STUDY_FILES) + len(CLUSTER_FILES) + len(ARGUMENTS) >= 40


@pytest.mark.parametrize(("text", "says"), STUDY_FILES.values(), ids=STUDY_FILES)
@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_study_file(command: str, text: str, says: list[str], here: Path, sweep: Sweep) -> None:
    (here / "study.yaml").write_text(text)

    said = sweep(command, "study.yaml", "-c", "cluster.yaml", "--out", "out")

    assert_one_line(said, says)
    assert not (here / "out").exists()


@pytest.mark.parametrize(("text", "says"), CLUSTER_FILES.values(), ids=CLUSTER_FILES)
def test_a_cluster_file(text: str, says: list[str], here: Path, sweep: Sweep) -> None:
    (here / "cluster.yaml").write_text(text)

    said = sweep("run", "study.yaml", "-c", "cluster.yaml", "--out", "out")

    assert_one_line(said, says)
    assert not (here / "out").exists()


@pytest.mark.parametrize(
    ("text", "key", "allowed"),
    [
        ("name: c\nengine: ray\ndevices: [{key: a}]\nray: {address: '127.0.0.1:1'}\n", "ray.address", "HOST:PORT of"),
        (
            HERE + "devices: [{key: a, target: native, managed: false}]\ntracker: {managed: false, port: 1}\n",
            "tracker",
            "of a TVM tracker",
        ),
    ],
)
def test_nobody_answers_where_a_cluster_file_says(text: str, key: str, allowed: str, here: Path, sweep: Sweep) -> None:
    (here / "cluster.yaml").write_text(text)

    said = sweep("run", "study.yaml", "-c", "cluster.yaml", "--out", "out")

    line = next(n for n, line in enumerate(text.splitlines(), 1) if line.startswith(key.split(".")[0]))
    refused = f"cluster.yaml:{line}: {key}: nobody answers there: Connection refused (got '127.0.0.1:1'); allowed:"
    assert_one_line(said, [refused, allowed])
    assert not list((here / "out").glob("farm"))


@pytest.mark.tvm
def test_a_port_of_the_tracker_that_is_taken(here: Path, sweep: Sweep) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (here / "cluster.yaml").write_text(HERE + f"devices: [{{key: a}}]\ntracker: {{port: {port}}}\n")
        said = sweep("farm", "up", "cluster.yaml")

    refused = f"tracker.port {port}: Address already in use; allowed: a port that is free, or none for any"
    assert (said.code, said.out) == (1, "")
    assert said.err == f"sweep: DeviceLost: the farm did not start: {refused}\n"


@pytest.mark.parametrize(("line", "says"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_arguments(line: str, says: list[str], here: Path, sweep: Sweep) -> None:
    assert_one_line(sweep(*line.split()), says)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00"], ids=["empty", "not text"])
def test_files_that_hold_nothing_to_read(content: bytes, here: Path, sweep: Sweep) -> None:
    (here / "tiny.onnx").write_bytes(b"")
    (here / "other.yaml").write_bytes(content)

    assert_one_line(sweep("run", "other.yaml", "-c", "cluster.yaml"), ["other.yaml"])
    assert_one_line(sweep("run", "study.yaml", "-c", "cluster.yaml"), ["models[0]", "is an empty file"])


# -- the sweep directory ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize(
    ("out", "says"),
    [
        ("tiny.onnx", ["--out: is not a folder", "tiny.onnx'", "an empty"]),
        ("things", ["--out: holds other things", "things'", "an empty"]),
        ("x" * 300, ["--out: cannot be used: File name too long", "a folder that can be written"]),
    ],
    ids=["a file", "other things", "too long"],
)
def test_out_is_no_place_for_a_sweep(command: str, out: str, says: list[str], here: Path, sweep: Sweep) -> None:
    (here / "things").mkdir()
    (here / "things" / "photo.jpg").write_text("a cat")

    assert_one_line(sweep(command, "study.yaml", "-c", "cluster.yaml", "--out", out), says)

    assert [path.name for path in (here / "things").iterdir()] == ["photo.jpg"]


@pytest.mark.parametrize("out", ["tiny.onnx/out", "/proc/out"], ids=["below a file", "/proc"])
def test_out_cannot_be_made(out: str, here: Path, sweep: Sweep) -> None:
    said = sweep("run", "study.yaml", "-c", "cluster.yaml", "--out", out)

    assert_one_line(said, ["--out", "cannot be used", "a folder that can be written"])


def test_out_cannot_be_written(here: Path, sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the root user nothing is read-only, so the answer of the system is made up here."""
    access = os.access
    monkeypatch.setattr("os.access", lambda path, mode: Path(path).name != "out" and access(path, mode))

    said = sweep("run", "study.yaml", "-c", "cluster.yaml", "--out", "out")

    assert_one_line(said, ["--out", "Permission denied", "a folder that can be written"])


def test_out_is_the_sweep_of_another_study(here: Path, sweep: Sweep) -> None:
    assert sweep("run", "study.yaml", "-c", "cluster.yaml", "--out", "out").code == 0
    (here / "study.yaml").write_text(STUDY.replace("good", "other"))

    for command in ("run", "plan"):
        said = sweep(command, "study.yaml", "-c", "cluster.yaml", "--out", "out")
        assert_one_line(said, ["--out", "'good'", "another folder", "--fresh"])


def test_out_is_in_use(here: Path, sweep: Sweep) -> None:
    from sweep.running.ledger.ledger import Ledger

    with Ledger(here / "out"):
        said = sweep("run", "study.yaml", "-c", "cluster.yaml", "--out", "out")

    assert_one_line(said, ["out is in use by another `sweep run`", "process"])


def test_the_ledger_of_a_run_that_was_killed_at_once(here: Path, sweep: Sweep) -> None:
    (here / "out").mkdir()
    (here / "out" / "ledger.jsonl").write_bytes(b"")

    assert_one_line(sweep("status", "out"), ["LedgerError: out has no readable plan.json"])


@pytest.mark.parametrize("command", ["status", "report", "ui", "mirror"])
def test_a_folder_that_cannot_be_looked_into(
    command: str, here: Path, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the root user nothing is closed, so the answer of the system is made up here."""
    (here / "out").mkdir()
    stat = Path.stat

    def refusing(path: Path, **options: bool) -> os.stat_result:
        if path.parent.name == "out":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", refusing)

    assert_one_line(sweep(command, "out"), ["StudyError: out/ledger.jsonl: Permission denied"])


def test_an_unknown_format(here: Path, sweep: Sweep) -> None:
    assert sweep("run", "study.yaml", "-c", "cluster.yaml", "--out", "out").code == 0

    assert_one_line(sweep("report", "out", "--format", "pdf"), ["--format", "'pdf'", "markdown"])


def assert_one_line(said: Said, says: list[str]) -> None:
    assert said.code == 2, said
    assert said.out == ""
    assert said.err.startswith("sweep: ")
    assert said.err.count("\n") == 1
    assert said.err.endswith("\n")
    assert "Traceback" not in said.err
    for part in says:
        assert part in said.err
