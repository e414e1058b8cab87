"""The sweep directory: where everything lies, what makes a folder one, and that nobody else spells its names."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from sweep.errors import LedgerError, StudyError
from sweep.files.sweep_dir import ARTIFACTS, TABLES, SweepDir, records_folder, stage_folder
from tests.parsed import trees

NAMES = ("ledger.jsonl", "ledger.lock", "ledger.holder.json", "plan.json", "mlflow.db", "mlartifacts")
NAMES += ("mlflow.lock", "import.lock", "exec.jsonl", "artifacts/", "records/", *TABLES.values())


def test_names_of_earlier_sweeps_are_the_same(tmp_path: Path) -> None:
    home = SweepDir(tmp_path)
    paths = {
        home.study: "study.yaml",
        home.plan: "plan.json",
        home.ledger: "ledger.jsonl",
        home.lock: "ledger.lock",
        home.holder: "ledger.holder.json",
        home.damaged(70): "ledger.damaged-70",
        home.torn(70): "ledger.torn-70",
        home.records: "records",
        home.sentinel_kernel("cpu-0"): "artifacts/kernel/cpu-0.so",
        home.table("results"): "results.parquet",
        home.table("measurements"): "measurements.parquet",
        home.table("curves"): "tuning_curves.parquet",
        home.table("tasks"): "tuning_tasks.parquet",
        home.table("records"): "tuning_records.parquet",
        home.report: "report",
        home.reported: "report/.source",
        home.overlay: "overlay",
        home.mlflow_database: "mlflow.db",
        home.mlflow_artifacts: "mlartifacts",
        home.mlflow_lock: "mlflow.lock",
        home.farm: "farm",
        home.executions: "exec.jsonl",
        home.import_lock: "import.lock",
    }
    assert {str(path.relative_to(tmp_path)): path for path in paths} == {name: path for path, name in paths.items()}
    assert stage_folder("build", "0123") == "artifacts/build/0123"
    assert records_folder("0123", "xgb-cpu") == "records/0123/xgb-cpu"


def test_a_folder_is_a_sweep_when_a_run_has_written_there(tmp_path: Path) -> None:
    home = SweepDir(tmp_path)
    assert not home.is_sweep
    assert not home.is_taken
    with pytest.raises(LedgerError, match=r"is not a sweep directory: it has no ledger\.jsonl; allowed: .*`sweep run`"):
        home.require()
    with pytest.raises(StudyError) as refused:
        home.require_as("DIR", value="here")
    said = "DIR: is not a sweep directory: it has no ledger.jsonl (got 'here'); allowed: a folder that `sweep run` made"
    assert str(refused.value) == said

    home.lock.touch()
    assert (home.is_sweep, home.is_taken) == (False, True)
    home.ledger.touch()
    assert (home.is_sweep, home.is_taken) == (True, True)
    home.require()
    home.require_as("DIR")


def test_sweeps_below_a_folder_are_found_by_name(tmp_path: Path) -> None:
    for name in ("b", "a", "a/deeper", "no-sweep"):
        (tmp_path / name).mkdir(exist_ok=True)
    for name in ("b", "a", "a/deeper"):
        SweepDir(tmp_path / name).ledger.touch()

    assert [found.path.name for found in SweepDir.below(tmp_path)] == ["a", "b"]


@cache
def strings() -> list[tuple[str, str]]:
    """Modules and their strings, but for docstrings, which may speak of files."""
    found: list[tuple[str, str]] = []
    for module, tree in trees().items():
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in prose]
        found += [(module, node.value) for node in constants if isinstance(node.value, str)]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_nobody_else_spells_a_name(name: str) -> None:
    """A path is what begins with a name: it may stand in a sentence. A person's own file may be `study.yaml`, too."""
    spelt = [
        f"{module}: {text}"
        for module, text in strings()
        if module != "files/sweep_dir.py"
        if text == name or text.startswith((f"{name}/", f"*/{name}")) or (name.endswith("/") and text.startswith(name))
    ]
    assert spelt == []


def test_nobody_else_writes_beside_and_renames() -> None:
    """Two modules rename files: the one for it, and the one that merges a fetched folder into another."""
    renaming = {
        module
        for module, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ((node.func.attr == "replace" and len(node.args) == 1 and not node.keywords) or _is_os_replace(node.func))
    }
    assert renaming == {"files/atomic.py", "storage/restore.py"}


def _is_os_replace(function: ast.Attribute) -> bool:
    return isinstance(function.value, ast.Name) and function.value.id == "os" and function.attr in ("replace", "rename")


def test_what_killed_writers_have_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in ("build/abc", "build/.abc-x1y2", "lower/.def-z9", "kernel"):
        (tmp_path / ARTIFACTS / name).mkdir(parents=True)
        (tmp_path / ARTIFACTS / name / "lib.so").touch()
    SweepDir(tmp_path).remove_half_made()
    left = sorted(str(path.relative_to(tmp_path / ARTIFACTS)) for path in tmp_path.rglob("lib.so"))
    assert left == ["build/abc/lib.so", "kernel/lib.so"]
    SweepDir(tmp_path / "absent").remove_half_made()
