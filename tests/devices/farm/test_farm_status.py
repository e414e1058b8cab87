"""The boards of a key in words and numbers, from what tracker, farm and register say."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from sweep.devices.farm.farm_registry import announced, farms_announced
from sweep.devices.farm.farm_status import FarmAddress, FarmStatus, KeyStatus, key_status, together
from sweep.devices.leasing.board_health import BoardHealth, Holder, failed, held_by, well
from sweep.devices.processes import identify
from sweep.devices.rpc.tracker_client import KeyState

ME = identify(os.getpid())
assert ME is not None
HELD = held_by(BoardHealth("h:2"), Holder(ME, "sweeps/one"), 100.0, 1000.0)
BROKEN = failed(failed(failed(well(BoardHealth("h:3"), 900.0), "no power", 90.0), "no power", 90.0), "no answer", 95.0)
RESTING = failed(BoardHealth("h:1"), "no answer", 99.9)


def there(*boards: int, free: int) -> KeyState:
    return KeyState(len(boards), free, 0, boards, tuple(f"h:{port}" for port in boards))


@pytest.mark.parametrize(
    ("expected", "state", "entries", "numbers"),
    [
        (0, None, [], (0, 0, 0, 0)),
        (2, None, [], (2, 0, 0, 2)),
        (0, there(1, 2, free=2), [], (2, 2, 0, 0)),
        (3, there(1, 2, free=2), [], (3, 2, 0, 1)),
        (2, there(1, 2, free=1), [HELD], (2, 1, 1, 0)),
        (2, there(1, 2, free=1), [], (2, 1, 1, 0)),  # leased on another host
        (3, there(1, 2, 3, free=2), [HELD, BROKEN], (3, 1, 1, 1)),  # the tracker offers the broken one
        (3, there(1, 2, 3, free=1), [HELD, BROKEN, RESTING], (3, 1, 1, 1)),
        (2, there(1, free=1), [BROKEN], (2, 1, 0, 1)),
    ],
)
def test_every_board_counts_once(
    expected: int, state: KeyState | None, entries: list[BoardHealth], numbers: tuple[int, ...]
) -> None:
    found = _status(expected, state, entries)
    assert (found.total, found.free, found.leased, found.broken) == numbers
    assert found.total == found.free + found.leased + found.broken


def test_each_board_says_what_it_does() -> None:
    found = _status(3, there(1, 2, 3, free=1), [HELD, BROKEN, RESTING])
    resting, leased, aside = found.boards
    assert (leased.state, leased.holder_pid, leased.sweep, leased.since) == ("leased", os.getpid(), "sweeps/one", 1000)
    assert (aside.state, aside.failures, aside.reason, aside.again_in_s) == ("set aside", 3, "no answer", 25.0)
    assert (resting.state, resting.failures, resting.again_in_s) == ("at the tracker", 1, None)
    assert found.last_seen == 900.0
    (away,) = _status(1, None, [BROKEN]).boards
    assert away.state == "away"


def test_farms_of_one_file_are_counted_together() -> None:
    one, other = ({"a": KeyStatus(2, 1, 1, 0, pids=(pid,))} for pid in (1, 2))
    address = FarmAddress("127.0.0.1", 1)
    down = FarmStatus(None, "no farm is up in x", {})
    both = together([down, FarmStatus(address, None, one), FarmStatus(address, None, other)])
    assert both == FarmStatus(address, None, {"a": KeyStatus(4, 2, 2, 0, pids=(1, 2))})
    assert together([down]) == down


def test_a_run_is_found_by_its_cluster_file_while_it_lives(tmp_path: Path) -> None:
    folder, state_dir = tmp_path / "runs", tmp_path / "farm"
    state_dir.mkdir()
    assert ME is not None
    (state_dir / "farm.json").write_text(json.dumps({"warden": asdict(ME)}))
    with announced(folder, tmp_path / "c.yaml", state_dir):
        assert farms_announced(folder, tmp_path / "c.yaml") == [state_dir]
        assert farms_announced(folder, tmp_path / "other.yaml") == []
        (state_dir / "farm.json").write_text(json.dumps({"warden": asdict(ME) | {"start_ticks": 1}}))
        assert farms_announced(folder, tmp_path / "other.yaml") == []
        assert list(folder.iterdir()) == [], "what a killed run left is gone"
    assert farms_announced(folder, tmp_path / "c.yaml") == []


def _status(expected: int, state: KeyState | None, entries: list[BoardHealth]) -> KeyStatus:
    known = {entry.name: entry for entry in entries}
    return key_status(expected, [], state, known, now_s=100.0, is_held=lambda entry, at_s: entry.is_leased(at_s))
