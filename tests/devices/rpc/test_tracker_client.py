"""What a tracker may answer, and that no answer takes for ever. The real one is in test_farm and test_session."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sweep.devices.rpc import tracker_client
from sweep.devices.rpc.tracker_client import Board, KeyState, TrackerClient
from sweep.devices.rpc.wire import TRACKER_MAGIC
from sweep.errors import DeviceLost

MAGIC = struct.pack("<i", TRACKER_MAGIC)
SUMMARY = [0, {"queue_info": {"a": {"free": 1, "pending": 2}, "gone": {"free": 0, "pending": 1}}, "server_info": [
    {"key": "server:a", "addr": ["127.0.0.1", 9092]},
    {"key": "server:a", "addr": ["127.0.0.1", 9091]},
    {"key": "server:b:c", "addr": ["127.0.0.1", 9093]},
]}]  # fmt: skip


def message(value: Any) -> bytes:
    text = json.dumps(value).encode()
    return struct.pack("<i", len(text)) + text


@pytest.fixture
def tracker() -> Iterator[Callable[..., TrackerClient]]:
    """A tracker that says the same to everybody, each part after one message of theirs."""
    threads: list[threading.Thread] = []
    server = socket.create_server(("127.0.0.1", 0))

    def serve(answers: tuple[bytes, ...], keep: bool) -> None:
        open_connections = []
        while True:
            try:
                connection, _ = server.accept()
            except OSError:  # it was shut down
                return
            for answer in answers:
                connection.recv(4096)
                connection.sendall(answer)
            if keep:
                open_connections.append(connection)
            else:
                connection.close()

    def start(*answers: bytes, keep: bool = True) -> TrackerClient:
        threads.append(threading.Thread(target=serve, args=(answers, keep), daemon=True))
        threads[-1].start()
        return TrackerClient("127.0.0.1", server.getsockname()[1])

    yield start
    server.shutdown(socket.SHUT_RDWR)  # before it is closed: another may get its number while a thread waits there
    for thread in threads:
        thread.join(30.0)
    server.close()


def test_keys_are_those_with_a_server(tracker: Callable[..., TrackerClient]) -> None:
    assert tracker(MAGIC, message(SUMMARY)).keys() == {
        "a": KeyState(total=2, free=1, waiting=2, ports=(9091, 9092), boards=("127.0.0.1:9091", "127.0.0.1:9092")),
        "b:c": KeyState(total=1, free=0, waiting=0, ports=(9093,), boards=("127.0.0.1:9093",)),
    }


@pytest.mark.parametrize(
    ("answers", "keep", "said"),
    [
        ((), False, "no tracker answers"),
        ((), True, "no tracker answers at .*: timed out"),
        ((b"HTTP/1.1 400 Bad Request\r\n",), True, "is not a TVM tracker"),
        ((MAGIC,), False, "no tracker answers"),
        ((MAGIC,), True, "timed out"),
        ((MAGIC, struct.pack("<i", -5)), True, "not a TVM tracker: a message of -5 bytes"),
        ((MAGIC, struct.pack("<i", 1 << 30)), True, "not a TVM tracker"),
        ((MAGIC, struct.pack("<i", 3) + b"{{{"), True, "not a TVM tracker"),
        ((MAGIC, message([-1, None])), True, "refused"),
    ],
)
def test_bad_answers_are_told_in_time(
    answers: tuple[bytes, ...],
    keep: bool,
    said: str,
    tracker: Callable[..., TrackerClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "timed out" in said:
        monkeypatch.setattr(tracker_client, "ANSWER_TIMEOUT_S", 0.3)
    client = tracker(*answers, keep=keep)
    with pytest.raises(DeviceLost, match=said) as caught:
        client.keys()
    assert "\n" not in str(caught.value)


def test_request_gives_the_board(tracker: Callable[..., TrackerClient]) -> None:
    board = tracker(MAGIC, message([0, ["127.0.0.1", 9090, "a:0.1"]])).request("a", 1.0)
    assert board == Board("127.0.0.1", 9090, "a:0.1")
    assert board.address == "127.0.0.1:9090"


def test_request_for_a_busy_key_ends(tracker: Callable[..., TrackerClient]) -> None:
    assert tracker(MAGIC).request("a", 0.2) is None
