"""What is fuzzed: a finished sweep, study and cluster files, models; and the commands that meet them.

The sweep is the recorded one of `tests/golden`, with what commands beside a run leave in a folder.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from sweep.api.commands import run as run_command
from sweep.errors import EngineError
from sweep.planning import versions
from sweep.study.targets import host
from tests.fuzz.mutations import mutated
from tests.golden.conftest import AVX2, HERE, VERSIONS

__all__ = ["Case", "case_of", "prepare", "settle_machine"]

FILES = ("study.yaml", "cluster.yaml", "every_option.yaml", "every_option_cluster.yaml", "two_layers.onnx")
PLANS = (("study.yaml", "cluster.yaml"), ("every_option.yaml", "every_option_cluster.yaml"))


@dataclass(frozen=True)
class Case:
    """One case: what it changes, and the commands that meet it."""

    seed: int
    changed: Sequence[str]
    """Files that are changed, below the folder of the case."""
    commands: Sequence[Sequence[str]]
    """Arguments of `sweep`, in the folder of the case."""


def settle_machine() -> None:
    """The machine and the versions of which the recorded ids are; no engine comes up."""
    host.architecture = lambda: "x86-64"
    host.features = lambda: frozenset(AVX2.split())
    host.cpu_id = lambda: "test-cpu"
    host.usable_cores = lambda: (0, 1, 2, 3)
    versions._version = lambda name: VERSIONS.get(name, "1.0")  # type: ignore[assignment]
    run_command.EngineSession = _no_engine  # type: ignore[misc, assignment]


@contextmanager
def _no_engine(*_: object, **__: object) -> Any:
    raise EngineError("nothing is executed here")
    yield


def prepare(home: Path, main: Callable[[list[str]], int]) -> Path:
    """The folder that each case begins with a copy of. main: of the command line."""
    base = home / "base"
    base.mkdir(parents=True)
    for name in (*FILES, "unsupported.onnx"):
        shutil.copyfile(HERE / name, base / name)
    out = Path(shutil.copytree(HERE / "sweep-4932e56", base / "out"))
    (out / "farm").mkdir()
    process = {"pid": 1, "start_ticks": 1, "boot_id": "x"}
    farm = {"warden": process, "owner": process, "tracker": {"host": "127.0.0.1", "port": 9190}, "processes": []}
    (out / "farm" / "farm.json").write_text(json.dumps(farm))
    (out / "ledger.holder.json").write_text(json.dumps({"pid": 1, "host": "elsewhere", "since": 1.0}))
    for arguments in (["report", str(out), "--format", "html"], ["overlay", str(out)]):
        if main(arguments) != 0:
            raise RuntimeError(f"{arguments} fails on the whole sweep")
    return base


READ: Sequence[tuple[int, Sequence[str]]] = (
    (6, ("status", "out")),
    (2, ("status", "out", "--json")),
    (3, ("where", "out")),
    (1, ("where", ".")),
    (4, ("report", "out")),
    (2, ("report", "out", "--format", "json,csv")),
    (2, ("report", "out", "--format", "markdown")),
    (1, ("report", "out", "--format", "html")),
    (3, ("compare", "out", "out")),
    (2, ("overlay", "out")),
    (3, ("plan", "study.yaml", "--cluster", "cluster.yaml", "--out", "out")),
    (5, ("run", "study.yaml", "--cluster", "cluster.yaml", "--out", "out")),
    (2, ("run", "study.yaml", "--cluster", "cluster.yaml", "--out", "out", "--retry-failed")),
    (1, ("export", "out", "--out", "bundle")),
    (1, ("farm", "status", "--cluster", "cluster.yaml")),
)


def case_of(seed: int, base: Path, folder: Path) -> Case:
    """Make the case of a seed in a new folder."""
    draw = Random(seed)
    kind = draw.random()
    if kind < 0.6:
        shutil.copytree(base, folder)
        changed = _change_sweep(folder, draw)
        weights, commands = zip(*READ, strict=True)
        return Case(seed, changed, draw.choices(commands, weights, k=2))
    folder.mkdir()
    for name in (*FILES, "unsupported.onnx"):
        shutil.copyfile(base / name, folder / name)
    study, cluster = draw.choice(PLANS)
    if kind < 0.85:
        changed = [draw.choice([study, cluster])]
        commands = [["plan", study, "--cluster", cluster, *draw.choice([[], ["--json"]])]]
    else:
        changed = ["two_layers.onnx"]
        model_study = folder / "model.yaml"
        model_study.write_text("study: one\nmodels: [two_layers.onnx]\ndevices: [sim-0]\n")
        (folder / "sim.yaml").write_text(
            "name: s\nengine: simulated\nsimulate: {devices: 1}\nmlflow: {enabled: false}\n"
        )
        commands = [["plan", "model.yaml", "--cluster", "sim.yaml"], ["init", "two_layers.onnx", "--out", "new"]]
    for name in changed:
        path = folder / name
        path.write_bytes(mutated(path, path.read_bytes(), draw))
    return Case(seed, changed, commands)


def _change_sweep(folder: Path, draw: Random) -> list[str]:
    """Some files of the sweep, the ledger and the plan more often than others."""
    out = folder / "out"
    files = sorted(path for path in out.rglob("*") if path.is_file())
    often = [out / "ledger.jsonl"] * 25 + [out / "plan.json"] * 15 + sorted(out.glob("*.parquet")) * 3
    changed = []
    for path in draw.choices([*files, *often], k=draw.choice([1, 1, 1, 2, 3])):
        if not path.is_file():
            continue
        way = draw.random()
        if way < 0.04:
            path.unlink()
        elif way < 0.06:
            path.unlink()
            path.mkdir()
        else:
            path.write_bytes(mutated(path, path.read_bytes(), draw))
        changed.append(str(path.relative_to(folder)))
    return changed
