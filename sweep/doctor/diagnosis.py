"""Runs all checks, in the order in which a person would mend their findings, and prints the findings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from json import dumps

from sweep.doctor.cluster_checks import check_cluster
from sweep.doctor.compiler_checks import check_compiler, check_tvm
from sweep.doctor.farm_checks import check_leftovers, check_tracker
from sweep.doctor.finding import Finding
from sweep.doctor.host_checks import check_machine
from sweep.doctor.package_checks import check_packages, check_python, check_runtimes

__all__ = ["diagnose", "run_doctor", "to_json"]

CHECKS = (
    check_python,
    check_packages,
    check_runtimes,
    check_compiler,
    check_tvm,
    check_machine,
    check_cluster,
    check_tracker,
    check_leftovers,
)
MARKS = {True: ("ok", "green"), None: ("note", "yellow"), False: ("WRONG", "bold red")}


def diagnose() -> list[Finding]:
    """Everything there is to say about this machine and installation; takes some seconds, most of them TVM's."""
    return [finding for check in CHECKS for finding in _run_check(check)]


def run_doctor(json: bool) -> int:
    """Print the findings; 0 when nothing must be mended, else 1."""
    findings = diagnose()
    if json:
        print(to_json(findings))
    else:
        _print_table(findings)
    return 1 if any(finding.ok is False for finding in findings) else 0


def to_json(findings: Sequence[Finding]) -> str:
    """`ok` is false when something must be mended; `findings` has the fields of Finding."""
    healthy = all(finding.ok is not False for finding in findings)
    return dumps({"ok": healthy, "findings": [asdict(finding) for finding in findings]}, indent=2)


def _run_check(check: Callable[[], list[Finding]]) -> list[Finding]:
    """A check that lacks a package of its own must not keep the others from being made."""
    try:
        return check()
    except ImportError as error:
        return [Finding(check.__name__.removeprefix("check_"), False, str(error), f"pip install {error.name}")]


def _print_table(findings: Sequence[Finding]) -> None:
    from rich.table import Table
    from rich.text import Text

    from sweep.report.terminal import TextConsole

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for finding in findings:
        mark, style = MARKS[finding.ok]
        detail = Text(finding.detail)
        if finding.mend:
            detail.append(f"\nmend: {finding.mend}", style="bold")
        table.add_row(Text(mark, style=style), finding.check, detail)
    console = TextConsole()
    console.print(table)
    wrong = sum(finding.ok is False for finding in findings)
    console.print(f"{wrong} to mend" if wrong else "nothing to mend", style="bold red" if wrong else "green")
