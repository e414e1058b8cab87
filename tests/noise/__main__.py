"""The command; `tests.noise` says what it does."""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.analysis.answering.answer import answer
from sweep.analysis.answering.standing import Best, best_cells, is_tuned
from sweep.analysis.rows.bounds import Reading
from sweep.analysis.rows.results import Results, derive
from sweep.api.session.reporting import current_outcome
from tests.analysis.answering.answer_checker import check_answer
from tests.noise import __doc__ as about
from tests.noise.bursts import beside_bursts
from tests.noise.duels import try_duels
from tests.noise.quiet_final import finals_in_quiet

ROOT = Path(__file__).parents[2]
WITHIN = 0.10


@dataclass(frozen=True)
class Found:
    """What a run has found on a device."""

    best: str
    is_tuned: bool
    ratio: float | None
    """Of the best compiled cell's time to the baseline's."""
    low: float
    high: float


def main(arguments: Sequence[str]) -> int:
    """1 where a sentence is false by its rows, or a bar is missed."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=0, help="times beside the loops")
    parser.add_argument(
        "--first", type=int, default=1, help="number of the first of these, which its bursts are drawn by"
    )
    parser.add_argument("--study", type=Path, default=ROOT / "experiments" / "quickstart.yaml")
    parser.add_argument("--cluster", type=Path, default=ROOT / "clusters" / "local.yaml")
    parser.add_argument("--out", type=Path, default=Path("noise"), help="where sweeps and finals are kept")
    parser.add_argument("--aa", type=int, default=0, help="finals of each kind")
    parser.add_argument("--side-by-side", action="store_true", help="these on two cores at the same moment, too")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each of these at most")
    chosen = parser.parse_args(arguments)
    if chosen.aa:
        try_duels(chosen.aa, chosen.seconds, chosen.out, side_by_side=chosen.side_by_side)
    return _try_study(chosen) if chosen.runs else 0


def _try_study(chosen: argparse.Namespace) -> int:
    quiet, _ = _run(chosen, "quiet", None)
    near = dict.fromkeys(quiet, 0)
    holding = dict.fromkeys(quiet, 0)
    holding_own = dict.fromkeys(quiet, 0)
    tuned = false = 0
    for number in range(chosen.first, chosen.first + chosen.runs):
        name = f"noisy-{number}"
        found, is_true = _run(chosen, name, 1000 * number)
        false += not is_true
        tuned += all(one.is_tuned for one in found.values()) and set(found) == set(quiet)
        again = finals_in_quiet(chosen.out / name, chosen.out / f"{name}-again", chosen.study, chosen.cluster)
        own = _told(derive(current_outcome(again)))
        for where in found.keys() & quiet.keys():
            near[where] += _is_near(found[where], quiet[where])
            holding[where] += _holds(found[where], quiet[where])
            if where in own and own[where].best == found[where].best:
                holding_own[where] += _holds(found[where], own[where])
    print(f"answers with a tuned cell for every device: {tuned} of {chosen.runs}; with a false sentence: {false}")
    for where in quiet:
        print(f"{where}: ratio within 10 % of the quiet one {near[where]} of {chosen.runs}, held {holding[where]}")
        print(f"{where}: that of its own libraries in quiet held {holding_own[where]} of {chosen.runs}")
    least = math.ceil(0.8 * chosen.runs)
    is_met = tuned == chosen.runs and not false and all(near[w] >= least and holding[w] == chosen.runs for w in quiet)
    return int(not is_met)


def _is_near(one: Found, alone: Found) -> bool:
    return one.ratio is not None and alone.ratio is not None and abs(one.ratio / alone.ratio - 1) <= WITHIN


def _holds(one: Found, alone: Found) -> bool:
    return alone.ratio is not None and one.low <= alone.ratio <= one.high  # an end alone holds it, too


def _run(chosen: argparse.Namespace, name: str, seed: int | None) -> tuple[Mapping[str, Found], bool]:
    out, begun_s = chosen.out / name, time.monotonic()
    command = [sys.executable, "-m", "sweep", "run", str(chosen.study), "--cluster", str(chosen.cluster)]
    with nullcontext() if seed is None else beside_bursts(seed):
        ended = subprocess.run([*command, "--out", str(out), "--fresh"], capture_output=True, text=True, check=False)
    took_s = time.monotonic() - begun_s
    results = derive(current_outcome(out))
    told, is_true = answer(results), True
    try:
        check_answer(told, [dict(row) for row in results.cells])
    except AssertionError as error:
        is_true = False
        print(f"{name}: FALSE: {error}")
    statuses = [row["status"] for row in results.cells]
    found = _told(results)
    tainted = f"{statuses.count('tainted')} of {len(statuses)} tainted"
    print(f"{name}: exit {ended.returncode}, {took_s:.0f} s, {tainted}\n{told}")
    for where, one in found.items():
        print(f"    {where}: {one.best}; ratio to the baseline {one.ratio} [{one.low:.3f}, {one.high:.3f}]", flush=True)
    return found, is_true


def _told(results: Results) -> dict[str, Found]:
    """By network and device: the best cell and its ratio to the baseline."""
    return {f"{best.model} on {best.device}": _found(best) for best in best_cells(results.cells)}


def _found(best: Best) -> Found:
    against = best.against_baseline
    name, tuned = str(best.row["cell_name"]), is_tuned(best.row)
    if against is None:
        return Found(name, tuned, None, 0.0, math.inf)
    duel = against.duel
    if duel is not None and duel.ci_low is not None and duel.ci_high is not None:
        return Found(name, tuned, duel.value, duel.ci_low, duel.ci_high)
    low, high = _ends(best.row, against.against)
    return Found(name, tuned, against.ratio if against.is_exact else None, low, high)


def _ends(row: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[float, float]:
    """As far as they are known: of what was slowed its upper end alone."""
    one, against = Reading.of(row), Reading.of(other)
    return one.low_ms / against.high_ms, one.high_ms / against.low_ms if against.low_ms else math.inf


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
