"""Identities of processes, and groups that end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace

from sweep.devices.processes import end_groups, identify, is_alive
from tests.devices.parts import until

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
FAMILY = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"


def start(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True)


def test_this_process_is_itself_and_no_other() -> None:
    here = identify(os.getpid())
    assert here is not None
    assert is_alive(here)
    assert not is_alive(replace(here, start_ticks=here.start_ticks + 1))
    assert not is_alive(replace(here, boot_id="another"))


def test_neither_the_dead_nor_zombies_are_identified() -> None:
    with subprocess.Popen(["true"]) as process:
        until(lambda: identify(process.pid) is None, "it is a zombie")
    assert identify(process.pid) is None


def test_group_ends_with_its_children() -> None:
    with start(FAMILY) as process:
        assert process.stdout is not None
        child = identify(int(process.stdout.readline()))
        leader = identify(process.pid)
        assert child is not None
        assert leader is not None
        end_groups([leader], grace_s=5.0)
        until(lambda: not is_alive(child), "the child ended")


def test_one_that_ignores_sigterm_is_killed_after_the_grace() -> None:
    with start(DEAF) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "deaf\n"
        leader = identify(process.pid)
        assert leader is not None
        began = time.monotonic()
        end_groups([leader], grace_s=0.3)
        assert time.monotonic() - began >= 0.3
        assert process.wait() == -9


def test_another_process_with_the_pid_is_left_alone() -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        found = identify(process.pid)
        assert found is not None
        end_groups([replace(found, start_ticks=found.start_ticks - 1)], grace_s=0.0)
        assert process.poll() is None
        process.kill()
