from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that can move its cursor, whichever the tests are run from: `TERM=dumb` has no live panel."""
    monkeypatch.setenv("TERM", "xterm-256color")
