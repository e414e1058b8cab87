"""Whose a folder is."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.api.session.claim import claim
from sweep.running.ledger.ledger import Ledger, is_held
from tests.planning import grids


def test_a_fresh_run_moves_a_folder_while_nobody_else_can_begin_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, held = tmp_path / "out", []
    with Ledger(out) as ledger:
        ledger.append("run_started", conditions={})
    rename = Path.rename

    def renamed(folder: Path, to: Path) -> Path:
        held.append((folder, is_held(folder)))
        return rename(folder, to)

    monkeypatch.setattr(Path, "rename", renamed)
    claim(out, grids.study(), fresh=True)

    assert held == [(out, True)]
    assert not list(out.iterdir())
    assert not is_held(tmp_path / "out.old-1")
