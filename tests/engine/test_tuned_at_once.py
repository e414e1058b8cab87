"""How many tuners are at work at a time, by what they measure on."""

from __future__ import annotations

import pytest

from sweep.engine.device_worker import tuned_at_once
from sweep.study.cluster.cluster import Device


def device(key: str, cores: tuple[int, ...] = (), count: int = 1) -> Device:
    return Device(key, {"kind": "llvm"}, threads=1, cores=cores, managed=bool(cores), count=count)


@pytest.mark.parametrize(
    ("devices", "tuners"),
    [
        ([device("a", (1,)), device("b", (1,))], 1),  # they take turns on the core
        ([device("a", (1,)), device("b", (2,))], 2),
        ([device("a", (1,), count=3)], 1),  # three servers that take turns on its core
        ([device("lab", count=3), device("a", (1,))], 4),
        ([], 1),
    ],
)
def test_devices_that_share_a_core_keep_one_tuner_busy(devices: list[Device], tuners: int) -> None:
    assert tuned_at_once(devices) == tuners
