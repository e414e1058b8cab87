"""The command line as a process: what it loads, its help, its exit codes, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from sweep.cli import app, main
from sweep.installation import __version__
from tests.devices.parts import until
from tests.networks import write_tiny

ROOT = Path(__file__).parents[1]

LOADED = """
import json, sys, time
begun = time.perf_counter()
from sweep.cli import main
code = main(sys.argv[1:])
seconds = time.perf_counter() - begun
print(json.dumps({"code": code, "seconds": seconds, "modules": sorted(sys.modules)}), file=sys.stderr)
"""
HEAVY = {"tvm", "tvm_ffi", "ray", "mlflow", "pandas", "pyarrow", "onnx", "onnxruntime", "plotly", "scipy", "xgboost"}


def process(*arguments: str, cwd: Path = ROOT, **options: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, *arguments], cwd=cwd, env=environment, **{**pipes, **options})


def commands(group: Any = None, names: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command, groups too, by its words."""
    yield names
    for name, command in getattr(group or typer.main.get_command(app), "commands", {}).items():
        if not command.hidden:
            yield from commands(command, (*names, name))


@pytest.mark.parametrize("line", ["--help", "plan experiments/quickstart.yaml"])
def test_nothing_heavy_is_loaded(line: str) -> None:
    answer = process("-c", LOADED, *line.split())
    out, err = answer.communicate(timeout=60)

    told = json.loads(err.splitlines()[-1])
    print(f"sweep {line}: {told['seconds']:.2f} s in the process")
    assert told["code"] == 0
    assert out
    assert HEAVY.isdisjoint(told["modules"])


@pytest.mark.parametrize("names", list(commands()), ids=" ".join)
def test_every_command_has_help_with_an_example(names: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*names, "--help"]) == 0

    text = capsys.readouterr().out
    assert f"Usage: {' '.join(('sweep', *names))}" in text
    example = text.partition("Example: ")[2].partition("\n\n")[0]
    assert example.startswith(f"sweep {' '.join(names)}".strip())
    assert not re.search(r"experiments/|clusters/", example)  # who has installed the package has no repository


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"tvm-sweep {__version__}\n"


def test_no_command_is_a_call_for_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out.startswith("Usage: sweep")


@pytest.mark.parametrize("line", ["schema", "plan experiments/quickstart.yaml", "--help"])
def test_a_reader_that_goes_away_is_no_error(line: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    answer = process("-m", "sweep", *line.split(), stdout=writing)
    os.close(writing)

    _, err = answer.communicate(timeout=60)

    assert (answer.returncode, err) == (0, "")


# -- exit codes of runs, on made-up devices ---------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path) -> Path:
    write_tiny(tmp_path / "tiny.onnx")
    (tmp_path / "study.yaml").write_text("study: s\nmodels: [tiny.onnx]\n")
    return tmp_path


def cluster(*, mirror: bool = False, **simulate: object) -> str:
    return json.dumps({"name": "c", "engine": "simulated", "simulate": simulate, "mlflow": {"enabled": mirror}})


def run(here: Path, *arguments: str, mirror: bool = False, **simulate: object) -> int:
    (here / "cluster.yaml").write_text(cluster(mirror=mirror, **simulate))
    return main(
        ["run", str(here / "study.yaml"), "-c", str(here / "cluster.yaml"), "--out", str(here / "out"), *arguments]
    )


@pytest.mark.mlflow
@pytest.mark.parametrize("mirror", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_done_is_0_and_so_is_nothing_to_do(mirror: bool, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(here, mirror=mirror) == 0
    assert "nothing was executed" not in capsys.readouterr().out
    ledger = (here / "out" / "ledger.jsonl").read_bytes()

    assert run(here, mirror=mirror) == 0

    assert "nothing was executed" in capsys.readouterr().out
    assert (here / "out" / "ledger.jsonl").read_bytes() == ledger


def test_failed_cells_are_1_and_told_with_their_reason(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(here, failure_rate=1.0) == 1

    said = capsys.readouterr()
    assert "MeasureFailed: simulated failure" in said.err
    assert "simulated failure" in " ".join(said.out.split())
    assert "Traceback" not in said.err


@pytest.mark.parametrize("option", ["retry_tainted", "retry_failed"])
def test_what_is_to_be_tried_again_reaches_the_run(
    option: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from sweep.api.commands import run as run_module

    asked = []

    def note(*arguments: Any, options: Any, **others: Any) -> Any:
        asked.append({"retry_tainted": options.retry_tainted, "retry_failed": options.retry_failed})
        raise KeyboardInterrupt

    monkeypatch.setattr(run_module, "run", note)
    assert run(here, f"--{option.replace('_', '-')}") == 130
    assert asked == [{"retry_tainted": False, "retry_failed": False} | {option: True}]


def test_fresh_moves_what_is_there_aside(here: Path) -> None:
    assert run(here, failure_rate=1.0) == 1

    assert run(here, "--fresh") == 0

    assert (here / "out.old-1" / "ledger.jsonl").is_file()
    assert main(["status", str(here / "out")]) == 0


@pytest.mark.mlflow
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_interrupted_is_130_and_the_same_command_goes_on(number: signal.Signals, here: Path) -> None:
    (here / "slow.yaml").write_text(cluster(mirror=True, devices=1, speed=1, stage_s={"measure": 600}))
    running = process("-m", "sweep", "run", "study.yaml", "-c", "slow.yaml", "--out", "out", cwd=here)
    ledger = here / "out" / "ledger.jsonl"
    until(
        lambda: running.poll() is not None or (ledger.exists() and '"kind":"measure"' in ledger.read_text()),
        "a measurement under way",
        60,
    )
    running.send_signal(number)

    out, err = running.communicate(timeout=60)

    assert running.returncode == 130, err
    assert "interrupted, everything kept; the same command resumes" in err
    assert "Traceback" not in out + err
    assert run(here, devices=1) == 0
    events = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert sum(event["event"] == "stage_done" and event["kind"] == "import" for event in events) == 1
