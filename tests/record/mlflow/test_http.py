"""An answer in two pieces does not wait for the 40 ms after which Linux acknowledges the first."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import urllib3

from sweep.record.mlflow.http import acknowledge_at_once

pytestmark = [
    pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="Linux alone has the option"),
    *(pytest.mark.slow, pytest.mark.benchmark),
]

LATE_S = 0.03
"""Sooner than the kernel's 40 ms."""
HEAD, BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"ok"


@pytest.fixture
def address() -> Iterator[str]:
    """Of a server that sends each answer in two pieces over a socket with Nagle's algorithm, as MLflow's does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server,), daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_answers_over_a_kept_connection_come_at_once(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for pool in (urllib3.HTTPConnectionPool, urllib3.HTTPSConnectionPool):
        monkeypatch.setattr(pool, "ConnectionCls", pool.ConnectionCls)  # put back afterwards
    if _least_s(address) < LATE_S:
        pytest.skip("this kernel acknowledges at once anyway")
    acknowledge_at_once()
    assert _least_s(address) < LATE_S


def _least_s(address: str) -> float:
    """Of twenty calls over one connection, but for the first. The least, which a busy machine leaves as it is."""
    found = []
    with urllib3.PoolManager() as pool:
        for _ in range(20):
            begun = time.perf_counter()
            answer = pool.request("GET", address, preload_content=False)  # as requests asks
            assert answer.read() == BODY
            answer.release_conn()
            found.append(time.perf_counter() - begun)
    return min(found[1:])


def _serve(server: socket.socket) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(client,), daemon=True).start()


def _answer(client: socket.socket) -> None:
    with client:
        while client.recv(65536):
            client.sendall(HEAD)
            client.sendall(BODY)
