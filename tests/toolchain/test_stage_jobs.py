"""What the jobs of compile stages leave in a folder that several attempts at a stage write in turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sweep.errors import SweepError
from tests.toolchain.conftest import TARGET, Run, lower

pytestmark = [pytest.mark.integration, pytest.mark.tvm]

STEPS = {
    "import_model": "sweep.toolchain.models.network_import:import_network",
    "lower_model": "sweep.toolchain.lowering:lower",
    "build_artifact": "sweep.toolchain.artifacts:build_library",
}


@pytest.mark.parametrize("job", STEPS)
def test_an_attempt_that_another_has_overtaken_leaves_its_files_as_they_are(
    run: Run, small: Path, tmp_path: Path, job: str
) -> None:
    """Given up for lost, it ends after the next one, whose checksums are in the ledger by then."""
    arguments: dict[str, dict[str, Any]] = {
        "import_model": {
            "options": {"inputs": {}, "batch": None, "seed": 0},
            "hints": {"path": str(small.parent / "small.onnx")},
        },
        "lower_model": {
            "options": {"opt_level": 0, "layout": "NCHW", "precision": "float32", "target": TARGET},
            "import_dir": str(small),
        },
        "build_artifact": {"options": {"target": TARGET}, "lower_dir": str(tmp_path / "lower")},
    }
    if job == "build_artifact":
        lower(run, small, tmp_path / "lower", 0)
    out_dir = tmp_path / "out"

    with pytest.raises(SweepError):
        run(":overtaken", stage_job=job, step=STEPS[job], out_dir=str(out_dir), **arguments[job])

    assert [path.name for path in out_dir.iterdir()] == ["second"]
