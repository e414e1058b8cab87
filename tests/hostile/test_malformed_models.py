"""Whatever a model's file is: one line, by a plan or by the import, and nothing around it is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import sweep
from sweep.errors import SweepError
from sweep.study.importers.importer_registry import importer_named
from sweep.study.spec import Model
from sweep.toolchain.compile_job import CompileJob
from sweep.toolchain.compile_workers.compile_pool import CompilePool
from tests.hostile.conftest import Snapshot
from tests.hostile.malformed_models import MALFORMED, write_malformed

_LIMIT_S = 120.0
_IMPORT = CompileJob("sweep.toolchain.jobs:import_model", "ImportFailed")


@pytest.fixture(scope="module")
def pool() -> Iterator[CompilePool]:
    with CompilePool(slots=1, memory_limit_bytes=4 << 30) as pool:
        yield pool


_BY_FRAMEWORK = ("keras: code of its own", "keras: a function of another module", "keras: a layer of 2**50 units")
"""The header of these is whole: Keras or PyTorch is loaded, in seconds."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in _BY_FRAMEWORK else name for name in MALFORMED]
)
def test_a_malformed_model_is_one_line(
    pool: CompilePool, place: Path, around: Callable[[], Snapshot], name: str
) -> None:
    path = write_malformed(name, place / "work", place / "outside/results.parquet")
    before = around()
    with pytest.raises(SweepError) as refused:
        _import(pool, path, place / "sweep")
    told = str(refused.value)
    assert told.strip()
    assert "\n" not in told
    assert "Traceback" not in told
    assert "not yours" not in told
    assert "ended" not in told, "the child crashed, ran out of time or of memory"
    assert around() == before


def _import(pool: CompilePool, path: Path, out: Path) -> None:
    """As a run does it: the gate reads the header, then a child imports the network."""
    model: Model = sweep.load_study({"study": "s", "models": [{"path": str(path)}]}).models[0]
    out.mkdir()
    hints = {"path": str(path), "name": "net", "source": path.name, "loader": importer_named(model.importer).loader}
    options = {"inputs": {}, "seed": 0, "batch": None, **model.options}
    arguments = {"options": options, "hints": hints, "out_dir": str(out / "imported")}
    pool.submit(_IMPORT.within(_LIMIT_S), arguments).result()
