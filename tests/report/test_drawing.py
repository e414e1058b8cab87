"""The library that a page draws with: the small bundle where it is there whole, else that of Plotly's package."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs

from sweep.report.figures import drawing
from tools import plotly_bundle


def test_a_bundle_that_is_not_whole_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "templates").mkdir()
    monkeypatch.setattr(drawing.resources, "files", lambda package: tmp_path)
    assert drawing.library.__wrapped__() == get_plotlyjs()
    (tmp_path / "templates" / drawing.BUNDLE).write_text("/* plotly.js (cartes")
    assert drawing.library.__wrapped__() == get_plotlyjs()


@pytest.mark.skipif(shutil.which("npm") is None, reason="no npm, with which alone it is published")
def test_it_is_fetched_once_and_pages_draw_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "templates").mkdir()
    bundle = tmp_path / "templates" / drawing.BUNDLE
    if (reason := plotly_bundle.fetch(bundle)) is not None:
        pytest.skip(reason)  # its registry is not reached
    monkeypatch.setattr(drawing.resources, "files", lambda package: tmp_path)
    assert drawing.library.__wrapped__() == bundle.read_text(encoding="utf-8")
    assert len(bundle.read_bytes()) < 0.4 * len(get_plotlyjs())
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert plotly_bundle.fetch(bundle) is None


def test_where_npm_is_missing_the_reason_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert plotly_bundle.fetch(tmp_path / drawing.BUNDLE) == "npm is not there"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("script", ["exit 1", "true", "echo no archive > x.tgz", "exec sleep 9"])
def test_set_up_goes_on_whatever_npm_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """It fails, gives nothing or nonsense, or takes too long."""
    npm = tmp_path / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(npm))
    monkeypatch.setattr(plotly_bundle, "LIMIT_S", 2)
    assert "npm" in (plotly_bundle.fetch(tmp_path / drawing.BUNDLE) or "")
    assert not (tmp_path / drawing.BUNDLE).exists()
