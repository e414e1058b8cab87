"""A command under guard ends with its owner, and takes its group and its temporary files along."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from benchmarks.tuning.guard import Guarded

ROOT = Path(__file__).parents[2]
BUSY = (
    "import os, pathlib, subprocess, sys, tempfile, time;"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "pathlib.Path(tempfile.mkdtemp(), 'left').touch();"
    "pathlib.Path('pids').write_text(f'{os.getpid()} {child.pid}');"
    "time.sleep(600)"
)


def pids_in(folder: Path) -> list[int]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (folder / "pids").is_file() and len(found := (folder / "pids").read_text().split()) == 2:
            return [int(pid) for pid in found]
        time.sleep(0.02)
    raise AssertionError("the command did not start")


def runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def wait_until_gone(pids: list[int], folder: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if not any(runs(pid) for pid in pids) and not (folder / "tmp").exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"left: {[pid for pid in pids if runs(pid)]}, {list(folder.glob('tmp/*'))}")


def test_it_ends_when_told(tmp_path: Path) -> None:
    with Guarded([sys.executable, "-c", BUSY], tmp_path, environment=dict(os.environ)) as child:
        pids = pids_in(tmp_path)
        assert child.wait(0.1) is None
        assert list(tmp_path.glob("tmp/*/left"))
    assert not (tmp_path / "tmp").exists()
    assert not any(runs(pid) for pid in pids)


def test_it_ends_by_itself_with_its_exit_code(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('said'); raise SystemExit(3)"]
    with Guarded(command, tmp_path, environment=dict(os.environ)) as child:
        assert child.wait(20) == 3
    assert (tmp_path / "output.txt").read_text() == "said\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_it_ends_with_an_owner_that_is_killed(tmp_path: Path, number: signal.Signals) -> None:
    owner = textwrap.dedent(f"""
        import os, pathlib, sys
        from benchmarks.tuning.guard import Guarded
        command, folder = [sys.executable, "-c", {BUSY!r}], pathlib.Path({str(tmp_path)!r})
        with Guarded(command, folder, environment=dict(os.environ)) as child:
            child.wait(600)
    """)
    process = subprocess.Popen([sys.executable, "-c", owner], cwd=ROOT, stderr=subprocess.DEVNULL)
    pids = pids_in(tmp_path)
    process.send_signal(number)
    process.wait(timeout=60)
    wait_until_gone(pids, tmp_path)
