"""The script that makes an emulated board, as far as it goes without a download."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from sweep.errors import StudyError
from sweep.study.gate import load_cluster

ROOT = Path(__file__).parents[1]
SETUP = ROOT / "clusters" / "emulated-arm64" / "setup.sh"
CLUSTER = ROOT / "clusters" / "emulated-arm64.yaml"


@pytest.mark.parametrize("arguments", [[], ["one", "two"]])
def test_the_script_says_what_it_wants_and_touches_nothing(arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run([SETUP, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "emulated-arm64: one argument is wanted: the folder to fill\n"
    assert list(tmp_path.iterdir()) == []


def test_every_wheel_of_the_board_is_pinned_as_it_is_here() -> None:
    (wheels,) = re.findall(r"^wheels='(.*)'$", SETUP.read_text(), re.MULTILINE)
    pinned = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert {"apache-tvm", "apache-tvm-ffi", "numpy"} <= set(wheels.split()) <= pinned


def test_neither_script_nor_cluster_is_tied_to_a_machine() -> None:
    for path in (SETUP, CLUSTER):
        assert not re.findall(r"https?://|/home/|/tmp/|/work/", path.read_text()), path


def test_without_the_board_the_cluster_says_which_variable_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SWEEP_ARM64_ROOT", raising=False)
    with pytest.raises(StudyError, match=r"devices\[1\]\.server\.python: .* not set, SWEEP_ARM64_ROOT .*export"):
        load_cluster(CLUSTER)


def test_with_the_board_it_is_a_device_of_another_architecture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("python", "aarch64-linux-gnu-g++"):
        (tmp_path / "bin" / name).touch(mode=0o755)
    monkeypatch.setenv("SWEEP_ARM64_ROOT", str(tmp_path))
    here, board = load_cluster(CLUSTER).devices
    assert here.is_this_host
    assert not board.is_this_host
    assert board.target["mtriple"] == "aarch64-linux-gnu"
    assert (board.server.python, board.linker) == (f"{tmp_path}/bin/python", f"{tmp_path}/bin/aarch64-linux-gnu-g++")
    assert os.access(board.linker or "", os.X_OK)
