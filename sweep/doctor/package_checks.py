"""Checks whether the packages that this package requires are installed, in the versions that were tested together.

Reads the metadata of distributions only, and imports none of them: a broken one must not end the doctor.
"""

from __future__ import annotations

import platform
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sweep.doctor.finding import Finding
from sweep.installation import SOURCE_ROOT
from sweep.study.runtimes import RUNTIMES

__all__ = ["SOURCE_ROOT", "check_packages", "check_python", "check_runtimes", "installed"]

DISTRIBUTION = "tvm-sweep"
OLDEST_PYTHON = (3, 11)
KNOWN_BAD = {
    ("mlflow", "3.18.0"): "its mlflow-skinny was never published",
    ("apache-tvm-ffi", "0.1.15.post2"): "every JSON serialisation of an IRModule crashes with it",
}
"""Why a version is kept out, where that is worth a word."""


def check_python() -> list[Finding]:
    mend = "" if sys.version_info >= OLDEST_PYTHON else "make the environment with Python 3.11 or newer"
    return [Finding("python", not mend, f"{platform.python_version()} in {sys.prefix}", mend)]


def check_packages(source_root: Path = SOURCE_ROOT) -> list[Finding]:
    """One finding for each package that is missing or unsuitable, one for those unlike the pins, else one for all."""
    wanted = _requirements(source_root)
    if wanted is None:
        return [Finding("packages", None, f"{DISTRIBUTION} is not installed: its requirements are unknown")]
    pins = _pins(source_root / "constraints.txt")
    findings = [found for requirement in wanted if (found := _check(requirement, pins)) is not None]
    unlike = [
        f"{name} {there} (tested with {pins[name]})"
        for name in sorted({canonicalize_name(requirement.name) for requirement in wanted} & set(pins))
        if (there := installed(name)) is not None and there != pins[name]
    ]
    if unlike and not findings:
        mend = "pip install -c constraints.txt -e . in the source folder, if something misbehaves"
        findings.append(Finding("pins", None, ", ".join(unlike), mend))
    if installed("xgboost") is not None and installed("xgboost-cpu") is not None:
        mend = "pip uninstall -y xgboost xgboost-cpu nvidia-nccl-cu12 && pip install xgboost-cpu"
        findings.append(
            Finding("xgboost", None, "xgboost and xgboost-cpu share one folder, and both are installed", mend)
        )
    against = "as pinned in constraints.txt" if pins else "within their ranges"
    return findings or [Finding("packages", True, f"{len(wanted)} direct requirements, {against}")]


def check_runtimes() -> list[Finding]:
    """Which runtimes networks can be compared with here."""
    there, absent, extras = [], [], []
    for runtime in RUNTIMES:
        if runtime.missing() is None:
            there.append(f"{runtime.name} {installed(runtime.distributions[0]) or ''}".strip())
        else:
            absent.append(runtime.name)
            extras.append(runtime.extra)
    known = ", ".join(there)
    if not absent:
        return [Finding("runtimes", True, known)]
    wanted = ",".join(dict.fromkeys(extra for extra in extras if extra))
    mend = f"pip install 'tvm-sweep[{wanted}]', to compare with them" if wanted else ""
    return [Finding("runtimes", None, f"{known}; not installed: {', '.join(absent)}", mend)]


def installed(name: str) -> str | None:
    """The version of a distribution; None when it is not there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _check(requirement: Requirement, pins: dict[str, str]) -> Finding | None:
    name = canonicalize_name(requirement.name)
    there = installed(name)
    if there is None and name == "xgboost-cpu":
        there = installed("xgboost")  # the same module, with CUDA
    if there is not None and requirement.specifier.contains(there, prereleases=True):
        return None
    mend = f"pip install '{name}=={pins[name]}'" if name in pins else f"pip install '{requirement}'"
    if there is None:
        return Finding(name, False, f"not installed; wanted: {requirement}", mend)
    reason = KNOWN_BAD.get((name, there))
    detail = f"{there} does not suit; wanted: {requirement.specifier}" + (f" ({reason})" if reason else "")
    return Finding(name, False, detail, mend)


def _requirements(source_root: Path) -> list[Requirement] | None:
    """Those of the source folder, where there is one: an editable installation's metadata may be older."""
    project = source_root / "pyproject.toml"
    if project.exists():
        lines = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    else:
        try:
            lines = requires(DISTRIBUTION) or []
        except PackageNotFoundError:
            return None
    parsed = [Requirement(line) for line in lines]
    return [
        requirement
        for requirement in parsed
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    ]


def _pins(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    lines = [line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    pairs = [line.partition("==") for line in lines if "==" in line]
    return {canonicalize_name(name): pin for name, _, pin in pairs}
