"""What a run shows at its end is what it has made, whoever else wants its folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sweep.api.commands.report import print_report
from sweep.api.session.claim import claim
from sweep.errors import LedgerError
from sweep.study.gate import load_study
from tests.cli.conftest import Sweep

RUN = ["run", "study.yaml", "-c", "cluster.yaml", "--out", "out", "--json"]


def test_another_fresh_run_waits_until_the_results_are_shown(
    here: Path, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown(folder: Path, name: str) -> None:
        with pytest.raises(LedgerError, match="is in use by another `sweep run`"):
            claim(folder, load_study(here / "study.yaml"), fresh=True)
        print_report(folder, name)

    monkeypatch.setattr("sweep.api.commands.report.print_report", shown)
    monkeypatch.setattr("sweep.running.ledger.ledger._LOCK_WAIT_S", 0)
    for _ in ("run", "nothing is missing"):
        said = sweep(*RUN)
        assert said.code == 0
        assert len(json.loads(said.out)["cells"]) == 10
    claim(here / "out", load_study(here / "study.yaml"), fresh=True)  # and is free again
    assert (here / "out.old-1" / "ledger.jsonl").is_file()


@pytest.mark.parametrize(("at_most", "code"), [(1000, 2), pytest.param(0, 1, marks=pytest.mark.slow)])
def test_results_that_are_gone_are_told_of(
    at_most: int, code: int, here: Path, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody has moved the folder by hand. `at_most`: cells whose results this process shows."""
    monkeypatch.setattr("sweep.api.session.reporting.HERE_UP_TO_CELLS", at_most)
    monkeypatch.setattr("sweep.api.session.publication._note", lambda folder, _: folder.rename(here / "away"))

    said = sweep(*RUN)

    assert (said.code, said.out) == (code, "")
    assert "StudyError: DIR: is not a sweep directory" in said.err
    assert said.err.splitlines()[-1].startswith("sweep: ")
