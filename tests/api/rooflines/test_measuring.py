"""What `sweep roofline` says of sweeps that have no layers to time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from sweep.api.rooflines.measuring import measure_rooflines
from sweep.errors import StudyError
from sweep.study.gate import load_cluster
from tests.record.sweeps import run_simulated


class Silent:
    """Tells nobody."""

    def begin(self, what: str, total: Mapping[str, int]) -> None:
        pass

    def done(self, device: str, failed: str | None = None) -> None:
        pass

    def tick(self) -> None:
        pass


def test_a_sweep_without_lowered_networks_is_told_what_it_lacks(tmp_path: Path) -> None:
    """Nothing that is not in the tree of errors comes out, be it that the sweep was made by somebody else."""
    run_simulated(tmp_path, is_mirrored=False)
    cluster = load_cluster(tmp_path / "cluster.yaml")
    with pytest.raises(StudyError, match=r"has no lowered network of squeezenet .*LowerResult has no folder of files"):
        measure_rooflines(tmp_path / "sweep", cluster, Silent())
