"""A device's core, lent to the forge's children between measurements: they never run while it is measured on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sweep.core_sharing import freeze, is_frozen, members
from sweep.devices.leasing.cores import core_lock
from sweep.devices.processes import identify
from sweep.errors import BuildFailed
from sweep.toolchain.compile_job import CompileJob
from sweep.toolchain.compile_workers.compile_pool import CompilePool
from tests.devices.parts import LAST_CORE, until

JOBS = "tests.toolchain.forge_jobs"
OTHERS = sorted(os.sched_getaffinity(0) - {LAST_CORE})
"""Empty where there is one core: the forge's own slots are then on the lent one, which changes nothing of the rules."""

HOLD = """
import sys, time
from pathlib import Path
from sweep.devices.leasing.cores import core_lock
with core_lock(Path(sys.argv[1]), (int(sys.argv[2]),)):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[CompilePool]:
    """All of its children are on the lent core."""
    with CompilePool(0, preload=False, lent_cores=[LAST_CORE], lock_dir=tmp_path) as forge:
        yield forge


@pytest.fixture
def mixed(tmp_path: Path) -> Iterator[CompilePool]:
    """One child on a core of its own, another on the lent one."""
    with CompilePool(1, OTHERS or None, preload=False, lent_cores=[LAST_CORE], lock_dir=tmp_path) as forge:
        yield forge


def entries(lock_dir: Path) -> list[Path]:
    return list(lock_dir.glob("lent-*/*"))


def cpu_ns(pids: list[int]) -> dict[int, int]:
    """Nanoseconds on a core, of those that still live."""
    found = {}
    for pid in pids:
        try:
            found[pid] = int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
        except OSError:
            continue
    return found


def burning(forge: CompilePool, pid_file: Path) -> list[int]:
    """A child and a process that it started, both at work."""
    forge.submit(CompileJob(f"{JOBS}:burn_with_grandchild"), {"pid_file": str(pid_file)})
    until(lambda: pid_file.exists() and len(pid_file.read_text().split()) == 2, "both at work")
    return [int(pid) for pid in pid_file.read_text().split()]


def goes_on(pids: list[int]) -> Callable[[], bool]:
    """More than what is left to do for one that is being stopped."""
    before = cpu_ns(pids)
    return lambda: all(after > before[pid] + 5_000_000 for pid, after in cpu_ns(pids).items())


@contextmanager
def killed_holder(lock_dir: Path, core: int = LAST_CORE) -> Iterator[None]:
    """Somebody measures while the block runs, and is killed in the middle of it."""
    command = [sys.executable, "-c", HOLD, str(lock_dir), str(core)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
        holder.kill()


def test_a_lent_child_and_what_it_started_stand_still_while_the_core_is_held(
    forge: CompilePool, tmp_path: Path
) -> None:
    pids = burning(forge, tmp_path / "pids")
    assert [os.sched_getaffinity(pid) for pid in pids] == [{LAST_CORE}] * 2
    for _ in range(3):
        until(goes_on(pids), "they run")
        with core_lock(tmp_path, (LAST_CORE,)):
            before = cpu_ns(pids)
            assert all(is_frozen(pid) for pid in pids)
            time.sleep(0.05)  # time in which they would do something
            assert cpu_ns(pids) == before
    until(goes_on(pids), "they run again")


def test_an_error_in_a_measurement_lets_them_go_on(forge: CompilePool, tmp_path: Path) -> None:
    pids = burning(forge, tmp_path / "pids")
    with pytest.raises(ZeroDivisionError), core_lock(tmp_path, (LAST_CORE,)):
        _ = 1 / 0
    until(goes_on(pids), "they run again")


def test_another_core_is_no_business_of_theirs(forge: CompilePool, tmp_path: Path) -> None:
    pids = burning(forge, tmp_path / "pids")
    with core_lock(tmp_path, (LAST_CORE + 1,)):
        until(goes_on(pids), "they run on")


def test_a_child_that_comes_while_the_core_is_held_waits(forge: CompilePool, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with core_lock(tmp_path, (LAST_CORE,)):
        done = forge.submit(CompileJob(f"{JOBS}:note"), {"path": str(mark), "text": "here"})
        until(lambda: any(is_frozen(int(entry.name.split("-")[0])) for entry in entries(tmp_path)), "it waits")
        assert not mark.exists()
        assert not done.done()
    assert done.result(30) == {"cores": [LAST_CORE]}
    assert mark.read_text() == "here"


def test_a_measurer_that_is_killed_leaves_nobody_frozen(forge: CompilePool, tmp_path: Path) -> None:
    pids = burning(forge, tmp_path / "pids")
    with killed_holder(tmp_path):
        assert all(is_frozen(pid) for pid in pids)
    until(goes_on(pids), "they run again")


def test_the_time_limit_does_not_count_the_time_frozen(forge: CompilePool, tmp_path: Path) -> None:
    limit_s, mark = 1.5, tmp_path / "mark"
    done = forge.submit(CompileJob(f"{JOBS}:wait_for_file", limit_s=limit_s), {"path": str(mark)})
    until(lambda: bool(entries(tmp_path)), "it has begun")
    with core_lock(tmp_path, (LAST_CORE,)):
        time.sleep(limit_s + 0.5)
        mark.touch()
    assert done.result(30) == {}


def test_a_child_that_does_nothing_ends_at_its_limit_all_the_same(forge: CompilePool, tmp_path: Path) -> None:
    done = forge.submit(CompileJob(f"{JOBS}:build_forever", "BuildFailed", limit_s=0.5), {})
    until(lambda: bool(entries(tmp_path)), "it has begun")
    with core_lock(tmp_path, (LAST_CORE,)):
        pass
    with pytest.raises(BuildFailed, match=r"timed out after 0\.5 s"):
        done.result(10)
    assert not entries(tmp_path)


def test_cores_of_its_own_come_first(mixed: CompilePool, tmp_path: Path) -> None:
    release = tmp_path / "release"
    jobs = [mixed.submit(CompileJob(f"{JOBS}:wait_for_file"), {"path": str(release)})]
    jobs.append(mixed.submit(CompileJob(f"{JOBS}:note"), {"path": str(tmp_path / "mark"), "text": ""}))
    assert jobs[1].result(30) == {"cores": [LAST_CORE]}
    release.touch()
    assert jobs[0].result(30) == {}
    assert mixed.submit(CompileJob(f"{JOBS}:note"), {"path": str(tmp_path / "mark"), "text": ""}).result(30) == {
        "cores": OTHERS or [LAST_CORE]
    }


def test_a_frozen_child_moves_to_a_core_that_is_free(mixed: CompilePool, tmp_path: Path) -> None:
    release = tmp_path / "release"
    first = mixed.submit(CompileJob(f"{JOBS}:wait_for_file"), {"path": str(release)})
    pids = burning(mixed, tmp_path / "pids")
    with core_lock(tmp_path, (LAST_CORE,)):
        assert all(is_frozen(pid) for pid in pids)
        release.touch()
        assert first.result(30) == {}
        until(goes_on(pids), "they run elsewhere")
        assert [os.sched_getaffinity(pid) for pid in pids] == [set(OTHERS or [LAST_CORE])] * 2
        assert not entries(tmp_path)
        # A measurer that has read the register before the move may still stop them after it
        os.killpg(pids[0], signal.SIGSTOP)
        until(goes_on(pids), "they run on")


def test_one_that_waits_for_the_core_moves_too(mixed: CompilePool, tmp_path: Path) -> None:
    release = tmp_path / "release"
    first = mixed.submit(CompileJob(f"{JOBS}:wait_for_file"), {"path": str(release)})
    with core_lock(tmp_path, (LAST_CORE,)):
        second = mixed.submit(CompileJob(f"{JOBS}:note"), {"path": str(tmp_path / "mark"), "text": ""})
        until(lambda: any(is_frozen(int(entry.name.split("-")[0])) for entry in entries(tmp_path)), "it waits")
        release.touch()
        assert first.result(30) == {}
        assert second.result(30) == {"cores": OTHERS or [LAST_CORE]}


def test_the_register_is_empty_at_the_end_however_they_end(mixed: CompilePool, tmp_path: Path) -> None:
    jobs = [mixed.submit(CompileJob(f"{JOBS}:{name}"), {}) for name in ("echo", "crash", "leave", "stumble") * 3]
    for job in jobs:
        job.exception(30)
    assert not entries(tmp_path)
    burning(mixed, tmp_path / "own")
    pids = burning(mixed, tmp_path / "lent")
    with core_lock(tmp_path, (LAST_CORE,)):
        assert entries(tmp_path)
        mixed.close()  # ends the frozen too
    assert not entries(tmp_path)
    until(lambda: not any(identify(pid) for pid in pids), "the end of both")


def test_what_a_killed_server_leaves_is_cleared_away_by_the_next_measurer(forge: CompilePool, tmp_path: Path) -> None:
    pids = burning(forge, tmp_path / "pids")
    assert forge.server_pid is not None
    with killed_holder(tmp_path):
        os.kill(forge.server_pid, signal.SIGKILL)
        until(lambda: identify(pids[0]) is None, "the kernel ends the child")
    assert is_frozen(pids[1])
    with core_lock(tmp_path, (LAST_CORE,)):
        pass
    try:
        until(lambda: not is_frozen(pids[1]), "an orphan goes on, to end by itself")
    finally:
        os.kill(pids[1], signal.SIGKILL)
    until(lambda: identify(pids[1]) is None, "its end")
    with core_lock(tmp_path, (LAST_CORE,)):
        assert not entries(tmp_path)


def test_a_pid_that_was_handed_out_again_is_left_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as bystander:
        (tmp_path / f"lent-{LAST_CORE}").mkdir()
        (tmp_path / f"lent-{LAST_CORE}" / f"{bystander.pid}-1").touch()
        with core_lock(tmp_path, (LAST_CORE,)):
            assert not entries(tmp_path)
            assert not is_frozen(bystander.pid)
        bystander.kill()


def test_two_forges_and_two_measurers_share_a_core(forge: CompilePool, tmp_path: Path) -> None:
    """Short jobs come and go all the time; whoever is there when the core is taken gets nothing of it."""
    with CompilePool(0, preload=False, lent_cores=[LAST_CORE], lock_dir=tmp_path) as other:
        jobs: list[Future[Any]] = []
        seen = 0
        while seen <= 3 or not all(job.done() for job in jobs):
            if seen <= 3 and all(job.done() for job in jobs):
                jobs += [one.submit(CompileJob(f"{JOBS}:burn"), {"cpu_s": 0.01}) for one in (forge, other) * 12]
            with core_lock(tmp_path, (LAST_CORE,)):
                there = members({int(entry.name.split("-")[0]) for entry in entries(tmp_path)})
                before = cpu_ns([pid for pid in there if is_frozen(pid)])
                time.sleep(0.002)
                after = cpu_ns(list(before))
                seen += len(before)
            assert after == before
            time.sleep(0.005)
        assert {job.result(0)["cores"][0] for job in jobs} == {LAST_CORE}


def test_who_cannot_be_stopped_is_told(tmp_path: Path) -> None:
    assert freeze([], 0.0)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as process:
        assert freeze([process.pid], 5.0)
        assert is_frozen(process.pid)
        process.kill()


@pytest.mark.parametrize(
    "wrong", [{"slots": 0}, {"slots": 1, "lent_cores": [0]}, {"slots": -1, "lent_cores": [0], "lock_dir": Path()}]
)
def test_a_forge_without_a_place_to_work_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"slots must be at least|need a lock_dir"):
        CompilePool(preload=False, **wrong)  # type: ignore[arg-type]
