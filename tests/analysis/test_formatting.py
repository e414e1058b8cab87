from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.analysis import formatting


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"), (2.168, "2.17"), (16.0, "16.0"), (142.33, "142"), (1234.4, "1,234"), (0.04559, "0.0456"),
        (0.594, "0.594"), (9.999, "10.0"), (99.96, "100"), (999.6, "1,000"), (0.9999, "1.00"), (1.0, "1.00"),
    ],
)  # fmt: skip
def test_three_significant_digits(value: float, shown: str) -> None:
    assert formatting.significant(value) == shown


@given(st.floats(1e-6, 1e9))
def test_significant_digits_are_near_the_value(value: float) -> None:
    assert float(formatting.significant(value).replace(",", "")) == pytest.approx(value, rel=0.0051)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0.0 s"), (9.94, "9.9 s"), (42.4, "42 s"), (59.7, "1 min 00 s"), (432, "7 min 12 s"), (3599.6, "1 h 00 min"),
     (11100, "3 h 05 min"), (187200, "2 d 4 h")],
)  # fmt: skip
def test_durations(seconds: float, shown: str) -> None:
    assert formatting.as_duration(seconds) == shown


def test_small_words() -> None:
    assert formatting.as_ms(None) == formatting.as_times(None) == formatting.as_bytes(None) == "-"
    assert formatting.as_times(7.4111) == "7.41x"
    assert [formatting.as_percent(share) for share in (0.61, 0.0042, 0.0, 1.0)] == ["61 %", "0.4 %", "0 %", "100 %"]
    assert [formatting.as_bytes(size) for size in (12, 4_943_648, 2e12)] == ["12 B", "4.94 MB", "2.00 TB"]
    assert [formatting.plural(n, noun) for n, noun in ((1, "cell"), (1200, "cell"), (2, "retry"))] == [
        "1 cell", "1,200 cells", "2 retries"]  # fmt: skip
