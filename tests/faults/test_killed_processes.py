"""Any process of a run on Ray, killed at any moment, one of each kind: `--kills 100` does more."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.faults.kinds import DRIVER, KINDS
from tests.faults.strikes import Strikes

pytestmark = [pytest.mark.integration, pytest.mark.tvm, pytest.mark.ray, pytest.mark.mlflow, pytest.mark.slow]


@pytest.mark.timeout(2400)
def test_a_run_goes_on_without_any_of_them(tmp_path: Path, chance: random.Random) -> None:
    strikes = Strikes(tmp_path, chance)

    strikes.perform(len(KINDS))

    assert strikes.faults == []
    assert {one.kind for one in strikes.struck} == {kind.name for kind in KINDS}
    assert [one.kind for one in strikes.struck if not one.went_on] == [DRIVER]
