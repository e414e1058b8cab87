"""A folder with a good study and a good cluster of made-up devices, and the command line called in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.networks import write_tiny

STUDY = "study: good\nmodels: [tiny.onnx]\ntuners: [none, random]\nopt_levels: [1, 3]\n"
CLUSTER = "name: made-up\nengine: simulated\nsimulate: {devices: 2}\nmlflow: {enabled: false}\n"


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str


Sweep = Callable[..., Said]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_tiny(tmp_path_factory.mktemp("network") / "tiny.onnx").read_bytes()


@pytest.fixture
def here(tmp_path: Path, tiny: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder."""
    (tmp_path / "tiny.onnx").write_bytes(tiny)
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    for name in ("TVM_TRACKER_HOST", "TVM_TRACKER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def sweep(capfd: pytest.CaptureFixture[str]) -> Sweep:
    """Call the command line as a person types it."""
    from sweep.cli import main

    def call(*arguments: object) -> Said:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        said = capfd.readouterr()
        return Said(code, said.out, said.err)

    return call
