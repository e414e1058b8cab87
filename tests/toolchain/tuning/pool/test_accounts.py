"""Where a pool's time goes."""

from __future__ import annotations

import pytest

from sweep.toolchain.tuning.pool.accounts import Accounts


def test_a_trial_costs_what_the_slower_of_builders_and_device_takes() -> None:
    accounts = Accounts()
    accounts.begin(build_slots=2)
    assert accounts.cost_s("any") == 1.0
    for workload, build_s, measure_s in (("built slowly", 0.8, 0.1), ("measured slowly", 0.2, 0.6)):
        for _ in range(2):
            accounts.book_build(workload, build_s)
            accounts.book_measure(workload, measure_s)
            accounts.book_trial(workload, None, "search")
    assert accounts.cost_s("built slowly") == pytest.approx(0.4)
    assert accounts.cost_s("measured slowly") == pytest.approx(0.6)
    assert accounts.cost_s("new") == pytest.approx(max(2.0 / 2, 1.4) / 4)


def test_measuring_the_best_again_is_no_part_of_what_a_trial_costs() -> None:
    accounts = Accounts()
    accounts.book_measure("a", 0.2)
    accounts.book_measure("a", 5.0, validating=True)
    accounts.book_trial("a", None, "search")
    assert accounts.cost_s("a") == pytest.approx(0.2)
