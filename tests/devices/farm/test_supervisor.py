from __future__ import annotations

import pytest

from sweep.devices.farm.supervisor import back_off_s


@pytest.mark.parametrize(
    ("short_lives", "seconds"), [(0, 0.0), (1, 0.0), (2, 1.0), (3, 2.0), (6, 16.0), (7, 30.0), (1100, 30.0)]
)
def test_a_server_that_dies_at_each_start_is_started_less_and_less_often(short_lives: int, seconds: float) -> None:
    assert back_off_s(short_lives) == seconds
