"""A sweep directory: whose it is, and what is written there before the work begins."""

from __future__ import annotations

import errno
import json
import os
import platform
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from sweep.api.written_studies.study_document import as_document
from sweep.errors import LedgerUnwritable, StudyError
from sweep.files.atomic import write_bytes, write_text
from sweep.files.sweep_dir import SweepDir, is_text
from sweep.files.typed_json import WrongContent, as_type, parsed
from sweep.planning.earlier import Earlier
from sweep.planning.stage import Plan
from sweep.redaction import redacted_arguments
from sweep.running.ledger.ledger import Ledger
from sweep.running.ledger.saved_plan import saved
from sweep.study.runtimes import runtime_of
from sweep.study.spec import Study

__all__ = ["check", "claim", "conditions_of", "default_sweep_dir", "write_inputs"]

_PACKAGES = ("apache-tvm", "apache-tvm-ffi", "ray", "mlflow", "onnx", "onnxruntime", "xgboost-cpu", "numpy")
"""Whose versions a run notes, beside those of the study's runtimes."""

_ALLOWED = "a new, an empty or a sweep's folder"


def default_sweep_dir(study: Study) -> Path:
    """`sweeps/<study>` in the current folder."""
    return Path("sweeps") / study.name


def check(sweep_dir: Path, study: Study, *, fresh: bool = False) -> None:
    """Look whether a folder is this study's, or free; with `fresh`, any sweep's. Changes nothing.

    Raises:
        StudyError: it holds something else, or cannot be read.
        LedgerError: something in it leads out of it.
    """
    if not is_text(sweep_dir.absolute()):
        raise StudyError("is not UTF-8", key="--out", value=str(sweep_dir), allowed="a folder whose path is UTF-8")
    try:
        if sweep_dir.exists() and not sweep_dir.is_dir():
            raise StudyError("is not a folder", key="--out", value=str(sweep_dir), allowed=_ALLOWED)
        if not sweep_dir.is_dir() or not any(sweep_dir.iterdir()):
            return
        SweepDir(sweep_dir).check_inside()
        if not SweepDir(sweep_dir).is_taken:
            raise StudyError("holds other things", key="--out", value=str(sweep_dir), allowed=_ALLOWED)
        if not SweepDir(sweep_dir).is_sweep:
            return
        name = None if fresh else _study_of(sweep_dir)
    except OSError as error:
        raise _unusable(sweep_dir, error) from error
    if name not in (None, study.name):
        raise StudyError(
            f"holds the sweep of study {name!r}",
            key="--out",
            value=str(sweep_dir),
            allowed=f"another folder, or --fresh to move that sweep aside for {study.name!r}",
        )


def claim(sweep_dir: Path, study: Study, *, fresh: bool) -> None:
    """Make sure the folder is there and is this study's, or free; with `fresh`, move what is there aside.

    Raises:
        StudyError: it holds something else, or cannot be written.
        LedgerError: a run has it.
    """
    check(sweep_dir, study, fresh=fresh)
    try:
        if fresh and SweepDir(sweep_dir).is_sweep:
            with Ledger(sweep_dir) as ledger:  # refuses when a run has it
                ledger.move(_free_name(sweep_dir))
        sweep_dir.mkdir(parents=True, exist_ok=True)
        if not os.access(sweep_dir, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise _unusable(sweep_dir, error) from error


def _unusable(sweep_dir: Path, error: OSError) -> StudyError:
    problem = f"cannot be used: {error.strerror or error}"
    return StudyError(problem, key="--out", value=str(sweep_dir), allowed="a folder that can be written")


def _study_of(sweep_dir: Path) -> str | None:
    """The study that the plan there is of; None where no plan can be read, which is then written anew."""
    try:
        name: str = as_type(str, as_type(Mapping[str, Any], parsed(SweepDir(sweep_dir).plan.read_bytes())).get("study"))
        return name
    except (FileNotFoundError, WrongContent):
        return None


def write_inputs(sweep_dir: Path, study: Study, plan: Plan, earlier: Earlier | None = None) -> None:
    """The study as run, and the plan, each whole or not at all. earlier: answers of before, which the plan remembers.

    Raises:
        LedgerUnwritable: the disk refuses.
    """
    files = SweepDir(sweep_dir)
    try:
        if not study.path.is_file():  # it was made in Python
            import yaml

            text = yaml.safe_dump(as_document(study, sweep_dir), sort_keys=False, allow_unicode=True)
            write_text(files.study, text)
        elif study.path.resolve() != files.study.resolve():
            write_bytes(files.study, study.path.read_bytes())
        write_text(files.plan, json.dumps(saved(study, plan, earlier)), is_synced=True)
    except OSError as error:
        raise LedgerUnwritable(f"{sweep_dir}: cannot be written: {error}") from error


def _free_name(folder: Path) -> Path:
    number = 1
    while (aside := folder.with_name(f"{folder.name}.old-{number}")).exists():
        number += 1
    return aside


def conditions_of(study: Study) -> Mapping[str, Any]:
    """Host, command and versions, which the ledger notes of each run."""
    versions = {}
    packages = [*_PACKAGES, *(name for runtime in study.runtimes for name in runtime_of(runtime).distributions)]
    for name in dict.fromkeys(packages):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "host": platform.node(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": len(os.sched_getaffinity(0)),
        "command": " ".join(redacted_arguments(sys.argv)),
        "versions": versions,
    }
