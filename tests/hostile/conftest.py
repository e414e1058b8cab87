"""A copy of a real sweep to do harm in, what lies around it, and the command line in this process."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import sweep as sweep

GOLDEN = Path(__file__).parents[1] / "golden" / "sweep-4932e56"

Snapshot = dict[str, str]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a home, a secret and a victim's files, in which the sweep lies as `sweep` and nothing else may
    change.
    """
    for name in ("home/.ssh", "outside", "work"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "home/.bashrc").write_text("# mine\n")
    (tmp_path / "home/.ssh/id").write_text("secret\n")
    (tmp_path / "outside/results.parquet").write_text("not yours\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


@pytest.fixture
def folder(place: Path) -> Path:
    """A finished sweep with records, an overlay and pairs."""
    return Path(shutil.copytree(GOLDEN, place / "sweep"))


@pytest.fixture
def around(place: Path) -> Callable[[], Snapshot]:
    """What lies around the sweep, by path: content, or where a link leads. The cache is the program's own."""
    return lambda: {
        str(path.relative_to(place)): _content(path)
        for part in ("home", "outside", "work", "")
        for path in ((place / part).rglob("*") if part else place.glob("*"))
        if path.name not in ("sweep", "cache", "store")
    }


def _content(path: Path) -> str:
    about = path.lstat()
    if path.is_symlink():
        return f"-> {path.readlink()}"
    return f"{about.st_mode:o} " + (hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
