"""A package that is installed as far as the import system sees: its metadata lie in a folder on the path."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

__all__ = ["install_toys"]


def install_toys(folder: Path, group: str, names: Mapping[str, str]) -> None:
    """Lay down its entry points. names: `module:attribute` by name."""
    about = folder / "toys-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n", encoding="utf-8")
    lines = [f"[{group}]", *(f"{name} = {place}" for name, place in names.items())]
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
