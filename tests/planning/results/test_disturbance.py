"""Disturbances as results keep them: as objects, and as the sentences that earlier versions wrote."""

from __future__ import annotations

import pytest

from sweep.planning.results.disturbance import Disturbance, DisturbanceKind
from sweep.planning.results.measurement import Measurement

SLOW = "the reference kernel was {} % slower than its best on this device (contention or throttling)"


@pytest.mark.parametrize(
    ("sentence", "kind", "measured"),
    [
        (SLOW.format(118), "kernel_slowed", 1.18),
        ("the reference kernel went from 16.0 to 20.0 ms", "kernel_drifted", 0.25),
        ("the reference kernel went from 2,000 to 1,000 ms", "kernel_drifted", 1.0),
        ("1 foreign thread wanted the cores", "foreign_threads", 1),
        ("12 foreign threads wanted the cores", "foreign_threads", 12),
        ("others took 50 % of the cores' time", "others_took", 0.5),
        ("the hypervisor took 20 % of the cores' time", "hypervisor_took", 0.2),
        ("the CPU's clock went from 3000 to 2400 MHz", "clock_changed", 0.25),
        ("it ran on cores 0, 1 instead of core 1", "other_cores", None),
        ("it ran with 2 threads instead of 1", "other_threads", None),
        ("something else; in which nobody was wrong", "unknown", None),
    ],
)
@pytest.mark.parametrize("blocks", ["", "; in 3 of 5 blocks"])
def test_a_sentence_of_an_earlier_version_is_understood(
    sentence: str, kind: str, measured: float | None, blocks: str
) -> None:
    read = Disturbance.from_json(sentence + blocks)

    assert (read.kind, read.text) == (kind, sentence)
    assert read.measured == pytest.approx(measured)
    assert (read.in_blocks, read.of_blocks) == ((3, 5) if blocks else (None, None))
    assert str(read) == sentence + blocks


def test_what_is_written_is_an_object_and_read_back_equal() -> None:
    written = Disturbance(DisturbanceKind.OTHERS_TOOK, 0.5, 0.1, "others took 50 % of the cores' time")
    payload = Measurement(run_secs=(1.0,), tainted=(written,)).to_json()

    assert payload["tainted"] == [
        {"kind": "others_took", "measured": 0.5, "bound": 0.1, "text": "others took 50 % of the cores' time"}
    ]
    assert Measurement.from_json(payload).tainted == (written,)


def test_old_and_new_results_tell_the_same() -> None:
    old = Measurement.from_json({"tainted": ["1 foreign thread wanted the cores; in 2 of 4 blocks"]})
    new = Disturbance(DisturbanceKind.FOREIGN_THREADS, 1, 1, "1 foreign thread wanted the cores", 2, 4)

    assert old.disturbances == Measurement(tainted=(new,)).disturbances
