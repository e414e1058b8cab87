"""`sweep ui` shows runs to the user who started it, and nobody else of the host."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sweep.record.mlflow.own_server import app
from sweep.record.mlflow.tracking_store import ui_command, ui_environment
from tests.devices.parts import until

pytestmark = [
    pytest.mark.mlflow,
    pytest.mark.integration,
]

ASK = """
import sys, urllib.request
request = urllib.request.Request(sys.argv[1], headers={"X-Forwarded-For": "127.0.0.1"})
try:
    print(urllib.request.urlopen(request, timeout=20).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""
SYSTEM_PYTHON = shutil.which("python3", path="/usr/bin:/usr/local/bin") or "python3"


def asked_by(uid: int, url: str) -> int:
    done = subprocess.run(
        [SYSTEM_PYTHON, "-c", ASK, url], user=uid, group=uid, extra_groups=[], cwd="/", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.fixture
def server(empty_store: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    shutil.copy(empty_store, tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    log = tmp_path / "log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            ui_command(tmp_path, port=port), env=dict(ui_environment()), stdout=out, stderr=out, start_new_session=True
        )
    try:
        until(lambda: server.poll() is not None or answers(port), "the server answers", 120.0)
        assert server.poll() is None, log.read_text()
        yield server, port
    finally:
        os.killpg(server.pid, 9)
        server.wait()


@pytest.fixture
def address(server: tuple[subprocess.Popen[bytes], int]) -> str:
    return f"http://127.0.0.1:{server[1]}"


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to be another user for a moment")
def test_another_user_sees_nothing(address: str) -> None:
    for path in ("/", "/api/2.0/mlflow/experiments/search?max_results=5", "/health"):
        assert asked_by(65534, address + path) == 403
        assert asked_by(os.getuid(), address + path) == 200


@pytest.mark.parametrize(
    ("kind", "told"), [("http", ["http.response.start", "http.response.body"]), ("websocket", ["websocket.close"])]
)
@pytest.mark.parametrize("owner", [4242, None])
def test_what_is_not_this_users_does_not_reach_mlflow(
    kind: str, told: list[str], owner: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.devices.farm.peer._owner", lambda theirs, ours: owner)
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": kind, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2)}
    for given in (scope, {**scope, "client": None}):
        sent.clear()
        asyncio.run(app(given, None, send))
        assert [message["type"] for message in sent] == told


@pytest.mark.slow
def test_a_command_that_is_killed_keeps_no_port(server: tuple[subprocess.Popen[bytes], int]) -> None:
    command, port = server
    command.kill()
    until(lambda: not answers(port), "the port is free")
