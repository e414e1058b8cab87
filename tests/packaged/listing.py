"""The list of packages and networks: packages.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

__all__ = ["LIST", "Packaged", "listed_networks"]

LIST = Path(__file__).with_name("packages.yaml")


@dataclass(frozen=True, slots=True)
class Packaged:
    """A network in a package."""

    registry: str
    """pypi or npm."""
    package: str
    version: str
    path: str
    """In the wheel or the tarball."""
    sha256: str
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """As in a study: a `shape` where the file leaves it open, a `range` where any value will not do."""

    @property
    def name(self) -> str:
        """One that no other has, for a folder."""
        return f"{self.package}__{self.path}".replace("/", "_").replace("@", "")


def listed_networks() -> list[Packaged]:
    """In the order of the file."""
    return [
        Packaged(entry["registry"], entry["package"], str(entry["version"]), **network)
        for entry in yaml.safe_load(LIST.read_text(encoding="utf-8"))
        for network in entry["networks"]
    ]
