"""What the README and the pages under docs say is so: their commands run, their code works, their examples pass,
their files are there.

Commands run as they stand in a folder like a clone, with a finished sweep of made-up devices in it. Those that would
take minutes are given the simulated cluster, and run for real under the `slow` mark.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import typer
from onnx import TensorProto, helper

from benchmarks.__main__ import _parser as benchmark_parser
from sweep.study.gate import load_cluster, load_study
from tests.page import PAGES, ROOT, blocks, code, prose, table

SLOW_WORDS = ('count("R.nn.relu")', "network.relax()", "max_seconds=3600")
"""Of code that loads TVM, or runs a sweep to its end."""
IS_X86 = os.uname().machine == "x86_64"


COMMANDS = [line for block in blocks("sh") for line in block.splitlines()]
SWEEP_COMMANDS = [line for line in COMMANDS if line.startswith("sweep ")]
SHOWN = [
    line[line.index("sweep ") :].partition("  #")[0]
    for block in blocks("bash")
    for line in block.replace("\\\n", " ").splitlines()
    if re.match(r"(\w+=\S+ )*sweep ", line)
]
"""Commands that need more than a clone has: they are not run, and what they name exists."""


def clone(folder: Path, engine: str = "simulated") -> Path:
    """A folder with what the README's commands name, and `sweep` on its PATH. No simulated stage fails there."""
    for name in ("experiments", "clusters"):
        shutil.copytree(ROOT / name, folder / name)
    simulated = folder / "clusters" / "simulated.yaml"
    simulated.write_text(simulated.read_text().replace("failure_rate: 0.01", "failure_rate: 0"))
    if engine == "simulated":
        shutil.copy(simulated, folder / "clusters" / "local.yaml")
    command = folder / "bin" / "sweep"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sweep "$@"\n')
    command.chmod(0o755)
    return folder


def run(line: str, folder: Path, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=timeout_s
    )


def environment(folder: Path) -> dict[str, str]:
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = clone(tmp_path_factory.mktemp("clone"))
    first = run("sweep run experiments/quickstart.yaml", folder)
    assert first.returncode == 0, first.stderr
    return folder


# -- commands ---------------------------------------------------------------------------------------------------------


@pytest.mark.mlflow
@pytest.mark.parametrize(
    "line",
    [
        pytest.param(line, marks=pytest.mark.slow) if line.startswith("sweep mirror") else line
        for line in SWEEP_COMMANDS
        if line.split()[1] not in ("ui", "doctor")
    ],
)
def test_a_command_runs(line: str, here: Path) -> None:
    done = run(line, here)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.tvm
@pytest.mark.slow
def test_the_doctor_looks_at_this_machine(here: Path) -> None:
    assert "sweep doctor" in SWEEP_COMMANDS
    done = run("sweep doctor", here)
    assert done.returncode in (0, 1), done.stderr  # 1: this machine has something to mend
    assert "tuning database" in done.stdout


@pytest.mark.mlflow
@pytest.mark.slow
def test_the_ui_answers_on_its_port_and_ends_with_ctrl_c(here: Path) -> None:
    (line,) = [line for line in SWEEP_COMMANDS if line.startswith("sweep ui ")]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = f"exec {line.replace('--port 5000', f'--port {port}')}"
    assert str(port) in command
    server = subprocess.Popen(["bash", "-c", command], cwd=here, env=environment(here), start_new_session=True)
    try:
        assert any(_answers(port) for _ in waiting(60))
        again = run(command, here)
        assert (again.returncode, again.stdout) == (2, "")
        assert again.stderr.startswith("sweep: StudyError: --port: cannot be used: Address already in use")
    finally:
        os.killpg(server.pid, signal.SIGINT)
        server.wait(timeout=60)


@pytest.mark.parametrize("line", [line for line in COMMANDS if line not in SWEEP_COMMANDS])
def test_another_command_is_there(line: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    if line.startswith("make "):
        assert f"\n{line.split()[1]}:" in makefile
    else:
        (script,) = re.findall(r"^\. (\S+)/bin/activate$", line)
        assert f"VENV := {script}\n" in makefile


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.timeout(3000)
@pytest.mark.skipif(not IS_X86, reason="clusters/local.yaml has an AVX2 machine")
def test_the_commands_run_for_real_in_the_order_of_the_page(tmp_path: Path) -> None:
    folder = clone(tmp_path, engine="ray")
    for line in SWEEP_COMMANDS:
        if line.split()[1] in ("ui", "doctor"):
            continue
        done = run(line, folder, timeout_s=2700)
        assert done.returncode == 0, f"{line}: {done.stderr}"
    check_files(folder / "sweeps" / "cpu-quickstart")


def test_every_command_and_option_of_the_page_exists_and_no_command_is_missing() -> None:
    from sweep.cli import app

    group = typer.main.get_command(app)
    commands = {name: each for name, each in group.commands.items() if not each.hidden}  # type: ignore[attr-defined]
    named = {words.split()[1] for row in table("command") for words in code(row[0])[:1]}
    assert named == set(commands)
    inner = {}
    for name in ("farm", "predictor"):
        inner[name] = commands[name].commands
        rows = (row for row in table("command") if f"sweep {name}" in row[0])
        assert {words.split()[-1] for row in rows for words in code(row[0])} == set(inner[name])
    every = [*commands.values(), *(one for group in inner.values() for one in group.values())]
    options = {option for one in every for part in one.params for option in part.opts}
    assert len(SHOWN) > 5
    for line in (*SWEEP_COMMANDS, *SHOWN):
        _, name, *rest = line.split()
        command = inner[name][rest[0]] if name in inner else commands.get(name)
        known = {option for part in command.params for option in part.opts} if command else {}
        assert set(re.findall(r" (--[a-z-]+)", line)) <= {*known, "--help"}, line
    off = {option for one in commands.values() for part in one.params for option in part.secondary_opts}
    for text in code(prose()):
        known = {*options, *off, "--help", "--install-completion"}
        if text.startswith("python -m tvm."):
            continue
        if text.startswith("make bench ARGS="):
            benchmark_parser().parse_args(shlex.split(text.partition("=")[2].strip('"')))
            continue
        assert set(re.findall(r"(?<![\w-])(--[a-z-]+)", text)) <= known, text


def test_the_exit_codes_of_the_page_are_those_of_the_commands() -> None:
    from sweep.cli.arguments import EXIT_BAD_INPUT, EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED

    codes = [EXIT_DONE, EXIT_FAILED, EXIT_BAD_INPUT, EXIT_INTERRUPTED]
    assert [row[0] for row in table("exit code")] == [str(code) for code in codes]


@pytest.mark.slow
@pytest.mark.mlflow
def test_a_shell_sees_the_exit_codes(tmp_path: Path) -> None:
    folder = clone(tmp_path)
    failing, slow = (folder / "clusters" / f"{name}.yaml" for name in ("failing", "slow"))
    text = (folder / "clusters" / "simulated.yaml").read_text()
    failing.write_text(text.replace("failure_rate: 0", "failure_rate: 1"))
    slow.write_text(text.replace("speed: 0", "speed: 1"))
    failed = run(f"sweep run experiments/quickstart.yaml -c {failing} --out failed", folder)
    assert (failed.returncode, "Traceback" in failed.stderr) == (1, False)
    for bad in ("sweep run absent.yaml", "sweep plan experiments/quickstart.yaml -c absent.yaml", "sweep status bin"):
        answer = run(bad, folder)
        assert (answer.returncode, answer.stdout, answer.stderr.count("\n")) == (2, "", 1)
    running = subprocess.Popen(
        [folder / "bin" / "sweep", "run", "experiments/quickstart.yaml", "-c", slow, "--out", "slow"],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    ledger = folder / "slow" / "ledger.jsonl"
    assert any(ledger.is_file() and "attempt_started" in ledger.read_text() for _ in waiting(60))
    running.send_signal(signal.SIGINT)
    assert running.wait(timeout=60) == 130
    assert "interrupted" in run("sweep status slow", folder).stdout


# -- code and files ---------------------------------------------------------------------------------------------------


@pytest.mark.mlflow
@pytest.mark.parametrize(
    "source",
    [
        pytest.param(source, marks=pytest.mark.slow) if any(word in source for word in SLOW_WORDS) else source
        for source in blocks("python")
    ],
    ids=lambda source: source.splitlines()[-1][:40],
)
def test_python_runs(source: str, here: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=here, env=environment(here), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_tuner_of_ones_own_can_be_asked_for(here: Path) -> None:
    (source,) = [block for block in blocks("python") if "class Annealing" in block]
    (entry,) = re.findall(r"`(\{name: \"my_tuners:.*\})`", PAGES["docs/tuners.md"])
    (here / "my_tuners.py").write_text(source)
    study = here / "own.yaml"
    study.write_text(f"study: own\nmodels: [onnx-light:squeezenet]\ntuners: [{entry}]\n")
    simulated = (here / "clusters" / "simulated.yaml").read_text()
    (here / "unmirrored.yaml").write_text(f"{simulated}\nmlflow: {{enabled: false}}\n")
    line = "PYTHONPATH=$PWD:$PYTHONPATH sweep run own.yaml -c unmirrored.yaml && sweep report sweeps/own --format csv"
    done = run(line, here)
    assert done.returncode == 0, done.stderr
    assert ",annealing," in done.stdout
    study.write_text(study.read_text().replace("heat: 0.5", "heat: 0"))
    refused = run("PYTHONPATH=$PWD:$PYTHONPATH sweep plan own.yaml", here)
    assert refused.returncode == 2
    assert "tuners[0].options: refuses its options: heat is not above 0 (got {'heat': 0})" in refused.stderr


@pytest.mark.skipif(not IS_X86, reason="the examples are of an x86-64 machine")
@pytest.mark.parametrize("text", blocks("yaml"), ids=lambda text: text.splitlines()[0].partition("#")[0].strip())
def test_example_files_pass_the_gate(text: str, tmp_path: Path) -> None:
    path = tmp_path / "example.yaml"
    path.write_text(text, encoding="utf-8")
    if not text.startswith("study:"):
        assert load_cluster(path).devices
        return
    (tmp_path / "models").mkdir()
    data = helper.make_tensor_value_info("data", TensorProto.FLOAT, ["N", 3, "height", "width"])
    graph = helper.make_graph([helper.make_node("Relu", ["data"], ["y"])], "net", [data], [])
    (tmp_path / "models" / "net.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    _write_bert(tmp_path / "models")
    study = load_study(path)
    if study.name == "bert":
        assert set(study.models[0].given) == {"input_ids", "token_type_ids", "attention_mask"}
    else:
        assert {rule.get("opt_level") for rule in study.include} == {(4,)}


def _write_bert(folder: Path) -> None:
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["N", "length"])
        for name in ("input_ids", "token_type_ids", "attention_mask")
    ]
    graph = helper.make_graph([helper.make_node("Sum", [one.name for one in inputs], ["y"])], "net", inputs, [])
    (folder / "bert.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    np.savez(folder / "ids.npz", input_ids=np.zeros((1, 128), "int64"))


@pytest.mark.mlflow
def test_every_file_of_a_sweep_is_in_the_table(here: Path) -> None:
    check_files(here / "sweeps" / "cpu-quickstart")
    plan = json.loads((here / "sweeps" / "cpu-quickstart" / "plan.json").read_text())
    assert plan["cells"]


def check_files(sweep_dir: Path) -> None:
    named = [name for row in table("file") for name in code(row[0])]
    top = {name.split("/")[0] for name in named} | {f"mlflow.db-{kind}" for kind in ("wal", "shm")}
    assert {path.name for path in sweep_dir.iterdir()} <= top
    inside = {name for row in table("file") for name in code(" ".join(row)) if "." in name}
    for part in ("report", "artifacts", "records"):
        for path in (sweep_dir / part).rglob("*.*"):
            assert path.name in inside or path.parent.name == "tasks", path


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def waiting(limit_s: float) -> Iterator[None]:
    """One turn every tenth of a second, until the limit."""
    ends = time.monotonic() + limit_s
    while time.monotonic() < ends:
        yield
        time.sleep(0.1)
