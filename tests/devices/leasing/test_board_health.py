"""What follows from failures, successes and leases of one board."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sweep.devices.leasing.board_health import (
    LEASE_S,
    BoardHealth,
    Holder,
    as_json,
    entry_from,
    failed,
    held_by,
    renewed,
    well,
)
from sweep.devices.processes import ProcessId

HOLDER = Holder(ProcessId(1, 2, "boot"), "sweeps/one")


def after(failures: int, now_s: float = 100.0) -> BoardHealth:
    entry = BoardHealth("127.0.0.1:9090")
    for number in range(failures):
        entry = failed(entry, f"failure {number + 1}", now_s)
    return entry


@pytest.mark.parametrize(
    ("failures", "rest_s", "is_set_aside"),
    [
        (1, 0.5, False),
        (2, 1.0, False),
        (3, 30.0, True),
        (4, 60.0, True),
        (7, 480.0, True),
        (8, 600.0, True),
        (1100, 600.0, True),  # a week of them
    ],
)
def test_a_board_that_fails_rests_longer_each_time(failures: int, rest_s: float, is_set_aside: bool) -> None:
    entry = after(failures)
    assert entry.rests_until_s == 100.0 + rest_s
    assert entry.is_set_aside is is_set_aside
    assert entry.rests(100.0 + rest_s - 0.01)
    assert not entry.rests(100.0 + rest_s), "one try, which shows whether it is well"
    assert entry.reason == f"failure {failures}"


def test_a_success_forgives_all() -> None:
    entry = well(after(5), seen=7.0)
    assert entry == BoardHealth("127.0.0.1:9090", last_seen=7.0)
    assert failed(entry, "again", 0.0).rests_until_s == 0.5


def test_tokens_grow_whatever_happened_to_the_register() -> None:
    first = held_by(BoardHealth("b"), HOLDER, 100.0, 0.0)
    assert held_by(first, HOLDER, 100.0, 0.0).token > first.token
    assert held_by(BoardHealth("b"), HOLDER, 100.001, 0.0).token > first.token, "the register was lost in between"


def test_a_lease_runs_out_unless_it_is_renewed() -> None:
    entry = held_by(BoardHealth("b"), HOLDER, 100.0, 0.0)
    assert entry.is_leased(100.0 + LEASE_S)
    assert not entry.is_leased(100.0 + LEASE_S + 0.01)
    assert renewed(entry, 105.0).is_leased(105.0 + LEASE_S)
    assert not replace(entry, holder=None).is_leased(100.0)


def test_an_entry_comes_back_from_its_file() -> None:
    for entry in (after(2), held_by(after(1), HOLDER, 5.0, 6.0), BoardHealth("core 1")):
        assert entry_from(json.loads(json.dumps(as_json(entry)))) == entry
