"""Sweeps with lock files of their own, as two users of a host have, take turns on a core."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from sweep.devices.leasing import all_users
from sweep.devices.leasing.all_users import name_of_core
from sweep.devices.leasing.cores import core_lock
from sweep.errors import DeviceLost

NOBODY = 65534
CORE = 4011
"""Of no machine here: other tests measure on real ones."""
BLOCKS, BLOCK_S = 20, 0.01
needs_another_user = pytest.mark.skipif(os.getuid() != 0, reason="needs root, to be another user for a moment")


def report(told: Connection, uid: int, work: Callable[..., Any], *arguments: Any) -> None:
    if uid != os.getuid():
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    told.send(work(*arguments))


@contextmanager
def another_process(
    work: Callable[..., Any], *arguments: Any, uid: int | None = None
) -> Iterator[tuple[int, Connection]]:
    """Runs a function beside the block, maybe as another user; gives its process, and where its result comes."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=report, args=(there, os.getuid() if uid is None else uid, work, *arguments))
    process.start()
    assert process.pid is not None
    try:
        yield process.pid, here
    finally:
        process.kill()
        process.join()


def measure_blocks(lock_dir: Path) -> list[tuple[float, float]]:
    """When each block began and ended."""
    blocks = []
    for _ in range(BLOCKS):
        with core_lock(lock_dir, [CORE], 30.0):
            begun = time.monotonic()
            time.sleep(BLOCK_S)
            blocks.append((begun, time.monotonic()))
        time.sleep(BLOCK_S / 2)
    return blocks


def overlaps(mine: list[tuple[float, float]], theirs: list[tuple[float, float]]) -> list[Any]:
    return [(one, other) for one in mine for other in theirs if one[0] < other[1] and other[0] < one[1]]


@pytest.fixture
def folder_of_nobody() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="sweep-test-nobody-"))
    os.chown(folder, NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder)


@needs_another_user
def test_blocks_of_two_users_do_not_overlap(tmp_path: Path, folder_of_nobody: Path) -> None:
    with another_process(measure_blocks, folder_of_nobody, uid=NOBODY) as (_, told):
        mine = measure_blocks(tmp_path)
        assert told.poll(60.0)
        theirs = told.recv()
    assert len(mine) == len(theirs) == BLOCKS
    assert overlaps(mine, theirs) == []


def hold_for_ever(number: int) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as name:
        name.bind(name_of_core(number))
        name.listen()
        time.sleep(60.0)


@needs_another_user
def test_who_never_lets_go_is_named(tmp_path: Path) -> None:
    with another_process(hold_for_ever, CORE, uid=NOBODY) as (pid, _):
        until_taken(CORE)
        said = f"core {CORE} was not free within 0.2 s: process {pid} of user nobody measures on it"
        with pytest.raises(DeviceLost, match=said), core_lock(tmp_path, [CORE], 0.2):
            raise AssertionError("it was not alone")
    with core_lock(tmp_path, [CORE], 5.0):  # who was killed holds nothing
        pass


def test_a_long_wait_still_tells_who_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A holder takes no questions, and the kernel keeps 129: after 0.7 s there was no answer to any more."""
    monkeypatch.setattr(all_users, "_POLL_S", 0.0)
    with another_process(hold_for_ever, CORE) as (pid, _):
        until_taken(CORE)
        with pytest.raises(DeviceLost, match=f"process {pid} of user "), core_lock(tmp_path, [CORE], 0.5):
            raise AssertionError("it was not alone")
        os.kill(pid, signal.SIGSTOP)
        with core_lock(tmp_path, [CORE], 5.0):  # nor has the wait before taken all room for questions
            pass


def test_two_lock_folders_of_one_user_do_the_same(tmp_path: Path) -> None:
    with another_process(measure_blocks, tmp_path / "theirs") as (_, told):
        mine = measure_blocks(tmp_path / "mine")
        assert told.poll(60.0)
        assert overlaps(mine, told.recv()) == []


def test_a_process_of_ones_own_that_was_stopped_holds_nobody_up(tmp_path: Path) -> None:
    """Its lease runs out, and the name stays with it."""
    with another_process(hold_for_ever, CORE) as (pid, _):
        until_taken(CORE)
        with pytest.raises(DeviceLost, match=f"process {pid} of user "), core_lock(tmp_path, [CORE], 0.2):
            raise AssertionError("it was not alone")
        os.kill(pid, signal.SIGSTOP)
        with core_lock(tmp_path, [CORE], 5.0):
            pass


def until_taken(core: int) -> None:
    deadline = time.monotonic() + 20.0
    while True:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            if asking.connect_ex(name_of_core(core)) == 0:
                return
        assert time.monotonic() < deadline
        time.sleep(0.01)
