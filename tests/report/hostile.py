"""A sweep in which everything that others name is an attack."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sweep.analysis.outcome import SweepOutcome
from tests.record.fixtures import sweep_outcome

CANARY = "window.canary = 1"
SCRIPT = f"</script></title></style><script>{CANARY}</script><img src=x onerror='{CANARY}'><svg/onload='{CANARY}'>"
TERMINAL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"
MARKDOWN = "| **b** [x](javascript:1) `c` <b> &lt;"
RICH = "[bold red]x[/bold red][/][link=http://x]y[/link] :smile:"
LABEL = '<a href="javascript:window.canary=1">p</a><b>q</b>%{x}'
ALL = f"={SCRIPT}{TERMINAL}{MARKDOWN}{RICH}{LABEL}"


def hostile(sweep_dir: Path) -> SweepOutcome:
    """Names, question, errors, conditions."""
    outcome = sweep_outcome(sweep_dir, question=ALL, study=ALL)
    cells = [
        replace(
            each,
            cell=replace(each.cell, model=f"={ALL}", target=f"+{ALL}", device=f"@{each.cell.device}{ALL}")
            if each.cell.runtime != "tvm"
            else replace(
                each.cell,
                model=f"={ALL}",
                target=f"+{ALL}",
                device=f"@{each.cell.device}{ALL}",
                tuner=each.cell.tuner if each.cell.tuner == "none" else f"-{each.cell.tuner}{ALL}",
            ),
            error=None if each.error is None else ALL,
            error_class=None if each.error_class is None else f"X{ALL}",
        )
        for each in outcome.cells
    ]
    conditions = {"host": ALL, ALL: "x", "versions": {f"v{ALL}": ALL}}
    return replace(outcome, cells=cells, conditions=conditions)
