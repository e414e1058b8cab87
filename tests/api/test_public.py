"""The public API: what there is, that it says what it does, and the example that uses it."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import sweep

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", sorted(set(sweep.__all__) - {"__version__"}))
def test_everything_is_there_typed_and_says_what_it_does(name: str) -> None:
    found = getattr(sweep, name)
    assert inspect.getdoc(found)
    if inspect.isfunction(found):
        told = inspect.signature(found)
        assert told.return_annotation is not inspect.Signature.empty
        assert all(one.annotation is not inspect.Parameter.empty for one in told.parameters.values())
        assert "Raises" in str(inspect.getdoc(found)) or name == "default_sweep_dir"


def test_what_type_checkers_see_is_what_there_is() -> None:
    source = (ROOT / "sweep" / "__init__.py").read_text()
    seen = source[source.index("if TYPE_CHECKING") : source.index("__all__ =")]
    assert all(name in seen for name in sweep.__all__ if name != "__version__")
    assert (ROOT / "sweep" / "py.typed").is_file()
    assert typing.get_type_hints(sweep.RunOptions)


@pytest.mark.mlflow
@pytest.mark.slow
def test_the_example_runs_as_it_stands(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "experiments" / "api_example.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "cpu-quickstart: 28 cells in 53 stages"
    assert lines[1].startswith("coarse: ")
    assert [line.split(":")[0] for line in lines[3:]] == ["sim-0", "sim-1", "sim-2", "sim-3"]
