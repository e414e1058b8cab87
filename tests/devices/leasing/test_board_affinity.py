from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from sweep.devices.leasing.board_affinity import BoardAffinity
from sweep.devices.rpc.tracker_client import Board, TrackerClient
from sweep.errors import DeviceLost

FIRST, SECOND, THIRD = (Board("127.0.0.1", port, "key") for port in (1, 2, 3))


def test_no_offer_is_left_behind_when_the_tracker_goes_away() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        tracker = TrackerClient("127.0.0.1", unused.getsockname()[1])
    boards = BoardAffinity(tracker, "key")
    assert boards.swapped(FIRST) == FIRST
    with pytest.raises(DeviceLost, match="no tracker answers"):
        boards.swapped(SECOND)  # it waits for its usual one
    with ThreadPoolExecutor(1) as other:
        assert other.submit(boards.swapped, THIRD).result() == THIRD
