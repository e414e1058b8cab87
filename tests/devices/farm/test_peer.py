"""Another user of the host gets nothing from a farm: no session, no list of devices, no false device into it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sweep.devices.farm import peer
from sweep.devices.farm.farm import Farm
from sweep.devices.farm.peer import FURTHER_UIDS, Caller, caller_of, uid_of_peer
from sweep.devices.rpc.tracker_client import TrackerClient
from tests.devices.parts import make_cluster, make_device

NOBODY = 65534
SYSTEM_PYTHON = shutil.which("python3", path="/usr/bin:/usr/local/bin")
needs_another_user = pytest.mark.skipif(
    os.getuid() != 0 or SYSTEM_PYTHON is None, reason="needs root, to be another user for a moment"
)
SCRIPT = (Path(__file__).parent / "neighbour.py").read_text()


def as_neighbour(uid: int, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [SYSTEM_PYTHON or "python3", "-c", SCRIPT, *arguments],
        user=uid,
        group=uid,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.fixture(scope="module")
def farm_of_one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with Farm(make_cluster(make_device("one")), tmp_path_factory.mktemp("farm")) as farm:
        yield farm


@pytest.mark.integration
@pytest.mark.tvm
@needs_another_user
def test_another_user_gets_nothing(farm_of_one: Farm) -> None:
    address = farm_of_one.status().address
    assert address is not None
    tracker = TrackerClient(address.tracker_host, address.tracker_port)
    board = tracker.request("one", 10.0)
    assert board is not None
    known = (str(address.tracker_port), "one", str(board.port), board.match_key)

    told = as_neighbour(NOBODY, *known)

    assert set(told) == {"summary", "session", "register", "server"}
    assert all(str(said).startswith("refused: Connection") for said in told.values()), told
    there = tracker.keys()
    assert list(there) == ["one"]
    assert there["one"].total == 1
    # The same words do get in where they are of this user: what refused the other was not a slip in them
    assert as_neighbour(os.getuid(), *known)["server"] == 0xFF271
    own = as_neighbour(os.getuid(), *known[:2])
    assert own["summary"] == 0
    assert own["session"] == "in"
    assert own["register"] == 0


@contextmanager
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as caller,
    ):
        taken, _ = listening.accept()
        with taken:
            yield taken, caller


@pytest.fixture(params=["asked", "in the table"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two ways in which the kernel tells."""
    if request.param == "in the table":
        monkeypatch.setattr("sweep.devices.farm.peer._SOCK_DIAG", 31)  # of no family


@pytest.mark.usefixtures("way")
def test_this_user_is_admitted() -> None:
    with connected() as (taken, _):
        assert uid_of_peer(taken) == os.getuid()
        assert caller_of(taken) is Caller.OWN


@pytest.mark.usefixtures("way")
def test_who_has_gone_is_nobody() -> None:
    """The kernel gives the rest of a closed connection to root, and all that was sent would still be read."""
    with connected() as (taken, caller):
        caller.sendall(b"a whole session")
        caller.close()
        assert uid_of_peer(taken) is None
        assert caller_of(taken) is Caller.GONE


def test_both_ways_tell_the_same() -> None:
    with connected() as (taken, _):
        ends = taken.getpeername(), taken.getsockname()
        assert peer._asked(*ends) == peer._in_table(*ends)
        assert peer._asked(*ends) is not None
        assert peer._asked(("127.0.0.1", 1), ends[1]) is None


def test_users_that_are_named_are_admitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweep.devices.farm.peer._owner", lambda theirs, ours: 4242)
    with connected() as (taken, _):
        assert caller_of(taken) is Caller.OTHER
        monkeypatch.setenv(FURTHER_UIDS, "7, 4242")
        assert caller_of(taken) is Caller.OWN


def test_where_the_kernel_does_not_tell_there_is_nothing_to_go_by(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sweep.devices.farm.peer._SOCK_DIAG", 31)
    monkeypatch.setattr("sweep.devices.farm.peer._TABLE", tmp_path / "tcp")
    with connected() as (taken, _):
        assert caller_of(taken) is Caller.OWN
