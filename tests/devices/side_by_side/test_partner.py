"""Networks in processes of their own that run side by side: where they run, what ends them, what is told of them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from sweep.devices.measuring.duel import Contestant
from sweep.devices.runtimes import turns_process
from sweep.devices.side_by_side.partner import Partner, run_beside
from sweep.errors import MeasureFailed, MeasureTimeout, OutputMismatch, WorkerKilled
from sweep.files.npz import load_arrays, save_arrays
from sweep.installation import child_environment
from tests.devices.parts import ALL_CORES, until
from tests.processes import command_of, is_gone

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(len(ALL_CORES) < 2, reason="two networks run side by side on two cores"),
]

RUNTIMES = "tests.devices.side_by_side.runtimes"
GROUPS = [[core] for core in ALL_CORES]


def partner(
    runtime: str,
    network: tuple[Path, Path],
    *,
    is_compiled: bool = False,
    cache_flush: bool = False,
    limit_s: float = 60.0,
) -> Partner:
    return Partner(
        runtime,
        network[1],
        network[0] if is_compiled else None,
        {},
        cores=tuple(ALL_CORES[:1]),
        threads=1,
        threshold=1e-3,
        cache_flush=cache_flush,
        limit_s=limit_s,
    )


def loaded(one: Partner) -> Contestant:
    one.load()
    return one.open()


@pytest.mark.slow
def test_compiled_code_and_another_runtime_run_at_the_same_moment_and_change_their_cores(
    network: tuple[Path, Path],
) -> None:
    with partner("tvm", network, is_compiled=True) as compiled, partner("onnxruntime", network) as rival:
        assert [loaded(one).is_flushed for one in (compiled, rival)] == [False, False]
        for groups in (GROUPS, GROUPS[::-1], GROUPS):
            assert min(run_beside([compiled, rival], [200, 100], groups)) > 0
        for cores in GROUPS:
            seen = compiled.observe_on(cores)
            assert (seen["cores"], seen["thread_cores"], seen["runtime_threads"]) == (cores, cores, 1)
        assert rival.observe_on(GROUPS[1])["thread_cores"] == GROUPS[1]


@pytest.mark.slow
def test_caches_are_emptied_before_a_slot_where_that_is_asked_for(network: tuple[Path, Path]) -> None:
    with partner("onnxruntime", network, cache_flush=True) as one:
        assert loaded(one).is_flushed
        one.go_to(GROUPS[0])


def test_one_whose_clock_does_not_say_when_it_begins_takes_no_part(network: tuple[Path, Path]) -> None:
    with partner("tests.seams.toy_runtime:TALKATIVE", network) as talkative:
        loaded(talkative)
        with pytest.raises(MeasureFailed, match=r"^Talkative does not say when its clock begins"):
            talkative.go_to(GROUPS[0])


@pytest.mark.slow
def test_wrong_outputs_are_told_before_anything_is_timed(network: tuple[Path, Path], tmp_path: Path) -> None:
    shutil.copy(network[1] / "inputs.npz", tmp_path)
    right = load_arrays(network[1] / "reference.npz")
    save_arrays(tmp_path / "reference.npz", {name: value + 1 for name, value in right.items()})
    with partner("tvm", (network[0], tmp_path), is_compiled=True) as one, pytest.raises(OutputMismatch):
        loaded(one)


def test_one_that_is_killed_ends_the_slot_of_both_and_leaves_no_process(network: tuple[Path, Path]) -> None:
    with partner(f"{RUNTIMES}:DYING", network) as dying, partner(f"{RUNTIMES}:PLAIN", network) as plain:
        for one in (dying, plain):
            loaded(one)
        processes = [process for process in psutil.Process().children() if _is_partner(process)]
        assert len(processes) == 2
        with pytest.raises(WorkerKilled, match=r"^Dying's process was killed with SIGKILL"):
            run_beside([plain, dying], [200, 200], GROUPS)
    until(lambda: all(map(is_gone, processes)), "both have ended")


@pytest.mark.slow
def test_one_that_hangs_is_killed_at_its_limit(network: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    with partner(f"{RUNTIMES}:PLAIN", network) as plain:
        loaded(plain)
        monkeypatch.setattr(turns_process, "START_S", 0.0)
        with (
            partner(f"{RUNTIMES}:WAITING", network, limit_s=2.0) as waiting,
            pytest.raises(MeasureTimeout, match=r"^Waiting did not finish within 2 s$"),
        ):
            open_and_run(waiting, plain)


def open_and_run(waiting: Partner, plain: Partner) -> None:
    """On a busy machine the time is over before it is open."""
    loaded(waiting)
    run_beside([waiting, plain], [200, 200], GROUPS)


@pytest.mark.slow
def test_one_ends_with_whoever_started_it(network: tuple[Path, Path], tmp_path: Path) -> None:
    """Who is killed, and ends nothing any more."""
    script = tmp_path / "starts_one.py"
    script.write_text(
        "import sys, threading, pathlib\n"
        "from sweep.devices.side_by_side.partner import Partner\n"
        "usual = dict(cores=(int(sys.argv[2]),), threads=1, threshold=None, cache_flush=False, limit_s=60.0)\n"
        "with Partner('onnxruntime', pathlib.Path(sys.argv[1]), None, {}, **usual) as one:\n"
        "    one.load()\n"
        "    one.open()\n"
        "    print('open', flush=True)\n"
        "    threading.Event().wait()\n"
    )
    command = [sys.executable, str(script), str(network[1]), str(ALL_CORES[0])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=child_environment()) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "open\n"
        processes = [process for process in psutil.Process(starter.pid).children() if _is_partner(process)]
        assert len(processes) == 1
        starter.kill()
    until(lambda: is_gone(processes[0]), "it has ended")


def _is_partner(process: psutil.Process) -> bool:
    return Partner.module in command_of(process)
