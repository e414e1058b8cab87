from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest

from sweep.errors import BuildFailed, CompilerLost, ImportFailed, SweepError, ToolchainError, WorkerKilled
from sweep.toolchain.compile_job import CompileJob
from sweep.toolchain.compile_workers.compile_pool import CompilePool
from tests.toolchain.conftest import JOBS, Run, alive

OWNER = """
import sys, time
from sweep.toolchain.compile_job import CompileJob
from sweep.toolchain.compile_workers.compile_pool import CompilePool
forge = CompilePool(preload=False)
forge.submit(CompileJob("tests.toolchain.forge_jobs:hang_with_grandchild"), {"pid_file": sys.argv[1]})
print(forge.server_pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def bare() -> Any:
    """A forge without TVM: it starts in a moment."""
    with CompilePool(slots=2, preload=False) as forge:
        yield forge


def wait_until(condition: Callable[[], bool], timeout_s: float = 60) -> bool:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_client_does_not_import_tvm() -> None:
    module = "sweep.toolchain.compile_workers.compile_pool"
    code = f"import sys, {module}; print(sorted({{'tvm', 'onnx', 'numpy'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_result_comes_back(bare: CompilePool) -> None:
    assert bare.submit(CompileJob(f"{JOBS}:echo"), {"a": 1, "b": [None, "ü"]}).result(30) == {"a": 1, "b": [None, "ü"]}


@pytest.mark.parametrize(
    ("job", "kind", "text"),
    [
        ("refuse", ImportFailed, "input 'x' has no shape"),
        ("stumble", ToolchainError, "unexpected KeyError: 'missing'"),
        ("crash", ToolchainError, "crashed with SIGSEGV"),
        ("be_killed", WorkerKilled, "its worker was killed with SIGKILL"),
        ("leave", ToolchainError, "ended with exit code 3 and no answer"),
        ("no_such_job", ToolchainError, "unexpected AttributeError"),
    ],
)
def test_errors_come_back_as_their_class(bare: CompilePool, job: str, kind: type[Exception], text: str) -> None:
    with pytest.raises(SweepError, match=text) as caught:
        bare.submit(CompileJob(f"{JOBS}:{job}"), {}).result(30)
    assert type(caught.value) is kind
    assert bare.submit(CompileJob(f"{JOBS}:echo"), {"still": "here"}).result(30) == {"still": "here"}


def test_a_job_that_cannot_be_started_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk has no room for its folder; here there is none to make it in."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with CompilePool(preload=False) as forge:
        assert forge.submit(CompileJob(f"{JOBS}:echo"), {}).result(30) == {}
        pid, [home] = forge.server_pid, list(tmp_path.glob("sweep-compile-*"))
        home.rename(tmp_path / "away")
        with pytest.raises(ToolchainError, match=r"could not be started: .* No such file or directory"):
            forge.submit(CompileJob(f"{JOBS}:echo"), {}).result(30)
        (tmp_path / "away").rename(home)
        assert forge.submit(CompileJob(f"{JOBS}:echo"), {"still": "here"}).result(30) == {"still": "here"}
        assert forge.server_pid == pid


def test_traceback_is_kept(bare: CompilePool) -> None:
    error = bare.submit(CompileJob(f"{JOBS}:stumble"), {}).exception(30)
    assert isinstance(error, ToolchainError)
    assert "stumble" in error.traceback_text
    assert error.disk_errno is None


@pytest.mark.parametrize("how", ["raised", "wrapped", "written"])
def test_a_disk_that_refuses_a_job_is_told_by_its_number(bare: CompilePool, how: str) -> None:
    """`written`: by a library, on its output, before the child dies."""
    error = bare.submit(CompileJob(f"{JOBS}:find_the_disk_full"), {"how": how}).exception(30)
    assert isinstance(error, ToolchainError)
    assert error.disk_errno == errno.ENOSPC


def test_time_limit_kills_the_whole_group(bare: CompilePool, tmp_path: Path) -> None:
    pid_file = tmp_path / "pids"
    with pytest.raises(ToolchainError, match="timed out after 2 s"):
        bare.submit(CompileJob(f"{JOBS}:hang_with_grandchild", limit_s=2), {"pid_file": str(pid_file)}).result(30)
    pids = [int(pid) for pid in pid_file.read_text().split()]
    assert wait_until(lambda: not any(alive(pid) for pid in pids))


def test_time_limit_has_the_class_of_the_job(bare: CompilePool) -> None:
    with pytest.raises(BuildFailed, match=r"timed out after 0\.3 s"):
        bare.submit(CompileJob(f"{JOBS}:build_forever", "BuildFailed", limit_s=0.3), {}).result(30)


def test_time_limit_counts_from_the_start_not_from_the_queue() -> None:
    with CompilePool(slots=1, preload=False) as forge:
        slow = [forge.submit(CompileJob(f"{JOBS}:build_forever", "BuildFailed", limit_s=0.4), {}) for _ in range(3)]
        last = forge.submit(CompileJob(f"{JOBS}:echo", limit_s=5), {"n": 1})
        assert all(isinstance(future.exception(30), BuildFailed) for future in slow)
        assert last.result(30) == {"n": 1}


def test_memory_limit() -> None:
    with CompilePool(preload=False, memory_limit_bytes=200_000_000) as forge:
        assert forge.submit(CompileJob(f"{JOBS}:swallow"), {"mb": 20}).result(30) == {"bytes": 20_000_000}
        with pytest.raises(ToolchainError, match=r"ran out of memory \(limit 200 MB\)"):
            forge.submit(CompileJob(f"{JOBS}:swallow"), {"mb": 500}).result(30)
        wide = forge.submit(CompileJob(f"{JOBS}:swallow", memory_bytes=900_000_000), {"mb": 500})
        assert wide.result(30) == {"bytes": 500_000_000}


def test_many_jobs_from_many_threads(bare: CompilePool) -> None:
    results: list[int] = []

    def submit(start: int) -> None:
        futures = [bare.submit(CompileJob(f"{JOBS}:echo"), {"n": n}) for n in range(start, start + 25)]
        results.extend(future.result(60)["n"] for future in futures)

    threads = [threading.Thread(target=submit, args=(start,)) for start in range(0, 100, 25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == list(range(100))


def test_at_most_so_many_children(tmp_path: Path) -> None:
    with CompilePool(slots=2, preload=False) as forge:
        files = [tmp_path / str(n) for n in range(4)]
        for file in files:
            forge.submit(CompileJob(f"{JOBS}:hang_with_grandchild"), {"pid_file": str(file)})
        assert wait_until(lambda: sum(file.exists() for file in files) == 2)
        time.sleep(0.3)
        assert sum(file.exists() for file in files) == 2


@pytest.mark.parametrize(("many", "one"), [(False, True), (True, False)], ids=["stages", "candidates"])
def test_of_two_slots_each_kind_that_waits_has_one(tmp_path: Path, many: bool, one: bool) -> None:
    """What many of one kind wait for is made by one of the other, which came last: behind them it would never be."""
    made, blocked = tmp_path / "made", tmp_path / "blocked"
    wait, make = f"{JOBS}:wait_for_file", f"{JOBS}:note"
    with CompilePool(slots=2, preload=False) as forge:
        blockers = [forge.submit(CompileJob(wait), {"path": str(blocked)}) for _ in range(2)]
        waiting = [forge.submit(CompileJob(wait, is_candidate=many), {"path": str(made)}) for _ in range(4)]
        making = forge.submit(CompileJob(make, is_candidate=one), {"path": str(made), "text": "made"})
        blocked.touch()
        for job in (*blockers, making, *waiting):
            job.result(30)


def test_a_candidate_that_is_dropped_is_not_built(tmp_path: Path) -> None:
    release, order = tmp_path / "release", tmp_path / "order"
    with CompilePool(slots=1, preload=False) as forge:
        forge.submit(CompileJob(f"{JOBS}:wait_for_file"), {"path": str(release)})
        text = {"path": str(order), "text": "dropped "}
        assert forge.submit(CompileJob(f"{JOBS}:build_candidate", is_candidate=True), text).cancel()
        release.touch()
        forge.submit(CompileJob(f"{JOBS}:note"), {"path": str(order), "text": "s"}).result(30)
    assert order.read_text() == "s"


def test_cancel_frees_the_slot(tmp_path: Path) -> None:
    with CompilePool(slots=1, preload=False) as forge:
        hanging = forge.submit(CompileJob(f"{JOBS}:hang_with_grandchild"), {"pid_file": str(tmp_path / "pids")})
        waiting = forge.submit(CompileJob(f"{JOBS}:refuse"), {})
        assert wait_until((tmp_path / "pids").exists)
        assert waiting.cancel()
        assert hanging.cancel()
        assert forge.submit(CompileJob(f"{JOBS}:echo"), {"n": 1}).result(30) == {"n": 1}
        with pytest.raises(CancelledError):
            hanging.result()


def test_arguments_must_be_json(bare: CompilePool) -> None:
    with pytest.raises(TypeError):
        bare.submit(CompileJob(f"{JOBS}:echo"), {"path": Path()})
    assert bare.submit(CompileJob(f"{JOBS}:echo"), {"n": 1}).result(30) == {"n": 1}


def test_cores_and_a_single_thread() -> None:
    core = min(os.sched_getaffinity(0))
    with CompilePool(cores=[core], preload=False) as forge:
        found = forge.submit(CompileJob(f"{JOBS}:surroundings"), {}).result(30)
    assert found["cores"] == [core]
    assert found["threads"] == 1


@pytest.mark.tvm
def test_the_server_is_single_threaded_with_tvm_loaded(run: Run, forge: CompilePool) -> None:
    assert run(":surroundings")["parent"] == forge.server_pid
    assert len(list(Path(f"/proc/{forge.server_pid}/task").iterdir())) == 1


def test_a_childs_files_go_with_it_and_the_servers_with_the_server() -> None:
    with CompilePool(preload=False) as forge:
        left = forge.submit(CompileJob(f"{JOBS}:litter"), {}).result(30)
        assert left["folder"].startswith(left["tmpdir"])
        assert wait_until(lambda: not Path(left["folder"]).exists())
        server_folder = Path(left["tmpdir"]).parent
        assert server_folder.exists()
    assert not server_folder.exists()


def test_a_dead_server_fails_its_jobs_and_the_next_submit_starts_another(bare: CompilePool) -> None:
    pending = bare.submit(CompileJob(f"{JOBS}:build_forever", "BuildFailed"), {})
    first = bare.server_pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    with pytest.raises(CompilerLost, match=r"the compile server ended \(signal 9\)"):
        pending.result(30)
    assert bare.submit(CompileJob(f"{JOBS}:echo"), {"n": 2}).result(30) == {"n": 2}
    assert bare.server_pid != first


def test_a_job_that_is_stopped_has_its_time_all_the_same(bare: CompilePool, tmp_path: Path) -> None:
    job, go = CompileJob(f"{JOBS}:wait_for_file", "BuildFailed"), tmp_path / "go"
    waiting = bare.submit(job.within(2.0), {"path": str(go)})
    assert bare.server_pid is not None
    children = Path(f"/proc/{bare.server_pid}/task/{bare.server_pid}/children")
    assert wait_until(lambda: bool(children.read_text().split()))
    child = int(children.read_text().split()[0])
    os.kill(child, signal.SIGSTOP)
    time.sleep(3.0)
    assert not waiting.done()
    go.touch()
    os.kill(child, signal.SIGCONT)
    waiting.result(30)


def test_close_ends_everything(tmp_path: Path) -> None:
    forge = CompilePool(preload=False)
    pending = forge.submit(CompileJob(f"{JOBS}:hang_with_grandchild"), {"pid_file": str(tmp_path / "pids")})
    assert wait_until((tmp_path / "pids").exists)
    forge.close()
    forge.close()
    with pytest.raises(ToolchainError, match="the compile server ended"):
        pending.result(30)
    with pytest.raises(ToolchainError, match="the compile server is closed"):
        forge.submit(CompileJob(f"{JOBS}:echo"), {})
    assert forge.server_pid is None
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert wait_until(lambda: not any(alive(pid) for pid in pids))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_orphan_after_the_owner_is_killed(tmp_path: Path, number: int) -> None:
    pid_file = tmp_path / "pids"
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(pid_file)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    server = int(owner.stdout.readline())
    assert wait_until(lambda: pid_file.exists() and len(pid_file.read_text().split()) == 2)
    family = [server, *(int(pid) for pid in pid_file.read_text().split())]
    assert all(alive(pid) for pid in family)
    owner.send_signal(number)
    owner.wait()
    owner.stdout.close()
    assert wait_until(lambda: not any(alive(pid) for pid in family))


def test_interrupts_of_the_terminal_do_not_reach_it(bare: CompilePool) -> None:
    assert bare.submit(CompileJob(f"{JOBS}:echo"), {}).result(30) == {}
    assert bare.server_pid is not None
    assert os.getsid(bare.server_pid) == bare.server_pid
    os.kill(bare.server_pid, signal.SIGINT)
    assert bare.submit(CompileJob(f"{JOBS}:echo"), {"n": 1}).result(30) == {"n": 1}


def test_started_from_a_thread_that_ends() -> None:
    made: list[CompilePool] = []
    thread = threading.Thread(target=lambda: made.append(CompilePool(preload=False)))
    thread.start()
    thread.join()
    with made[0] as forge:
        assert forge.submit(CompileJob(f"{JOBS}:echo"), {"n": 1}).result(30) == {"n": 1}
