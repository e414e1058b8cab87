"""A flush leaves nothing in the caches."""

from __future__ import annotations

import time

import numpy as np
import pytest

from sweep.devices.measuring.cache_flush import LEAST_BYTES, MOST_BYTES, flush_bytes, flusher


@pytest.mark.parametrize(
    ("cache_bytes", "wanted"),
    [(None, LEAST_BYTES), (1 << 20, LEAST_BYTES), (96 << 20, 192 << 20), (1 << 30, MOST_BYTES)],
)
def test_twice_the_largest_cache_is_written(cache_bytes: int | None, wanted: int) -> None:
    assert flush_bytes(cache_bytes) == wanted


@pytest.mark.slow
@pytest.mark.benchmark
def test_what_was_in_the_caches_is_read_from_memory_again() -> None:
    values = np.ones(1 << 15)  # 256 kB
    flush = flusher(LEAST_BYTES)
    cold_s, warm_s = [], []
    for _ in range(15):
        flush()
        for kept in (cold_s, warm_s):
            began = time.perf_counter()
            values.sum()
            kept.append(time.perf_counter() - began)
    assert min(cold_s) > 1.3 * min(warm_s)


def test_nothing_is_written_where_nothing_is_asked() -> None:
    flusher(0)()
