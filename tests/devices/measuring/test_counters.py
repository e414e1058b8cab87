"""What a measurement takes beside time, where the machine tells."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from sweep.analysis.outcome import CellOutcome
from sweep.analysis.rows.column import CellFacts
from sweep.analysis.rows.column_groups.counter_columns import COUNTER_COLUMNS
from sweep.devices.measuring import conditions
from sweep.devices.measuring.counters import PerfEvents, Rapl, between, read_counters
from sweep.planning.results.measurement import MeasuredBlock, Measurement
from tests.api.made_sweep import MadeCell

SOFTWARE = {"page_faults": (1, 2), "task_clock": (1, 1)}
"""Events of the kernel itself, which virtual machines have too."""


def package(root: Path, name: str, energy: int, label: str = "package-0") -> None:
    place = root / name
    place.mkdir(parents=True, exist_ok=True)
    (place / "name").write_text(f"{label}\n")
    (place / "energy_uj").write_text(f"{energy}\n")
    (place / "max_energy_range_uj").write_text("1000000\n")


def test_energy_is_read_by_package_and_its_parts_are_in_it(tmp_path: Path) -> None:
    package(tmp_path, "intel-rapl:0", 900_000)
    package(tmp_path, "intel-rapl:1", 100, "package-1")
    package(tmp_path, "intel-rapl:0:0", 500, "core")
    before = Rapl(tmp_path).read()
    assert before == {"energy_uj:intel-rapl:0": [900_000, 1_000_000], "energy_uj:intel-rapl:1": [100, 1_000_000]}

    package(tmp_path, "intel-rapl:0", 100_000)  # the counter has begun anew
    package(tmp_path, "intel-rapl:1", 350, "package-1")
    assert between(before, Rapl(tmp_path).read()) == {"energy_uj": 200_000 + 250}


def test_a_machine_that_does_not_tell_leaves_nothing(tmp_path: Path) -> None:
    assert Rapl(tmp_path / "none").read() == {}
    package(tmp_path, "intel-rapl:0", 1)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()  # as where only root may read it
    assert Rapl(tmp_path).read() == {}
    assert PerfEvents({"none": (99, 99)}).read() == {}
    assert between({}, {"cycles": [1.0, 0.0]}) == {}
    merged = conditions.merge({"at": 1.0}, {"at": 2.0}, 1)
    assert "counted" not in merged
    assert "counters" not in conditions.merge(conditions.observe(), conditions.observe(), 1)


def test_events_are_of_all_threads_also_of_those_that_have_ended() -> None:
    counter = PerfEvents(SOFTWARE)
    before = counter.read()
    if not before:
        pytest.skip("this kernel lets no process count its own events")
    begun, go = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go.wait()
        bytearray(20_000_000)

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    seen = counter.read()
    go.set()
    thread.join()
    counted = between(seen, counter.read())
    assert counted["page_faults"] > 1000
    assert counted["task_clock"] > 0


def test_what_was_counted_stands_in_the_conditions() -> None:
    before = {"counters": {"cycles": [100.0, 0.0], "energy_uj:a": [5.0, 10.0]}}
    after = {"counters": {"cycles": [400.0, 0.0], "energy_uj:a": [2.0, 10.0]}}
    assert conditions.merge(before, after, 1)["counted"] == {"cycles": 300.0, "energy_uj": 7.0}
    assert isinstance(read_counters(), dict)


def test_columns_are_by_the_call_and_null_where_nothing_was_counted() -> None:
    blocks = tuple(
        MeasuredBlock(
            index, run_secs=(1e-3, 1e-3), conditions={"counted": {"energy_uj": 8_000.0 * (index + 1), "cycles": 400}}
        )
        for index in range(3)
    )
    columns = {column.name: column for column in COUNTER_COLUMNS}
    measured = Measurement(run_secs=(1e-3,) * 6, number=2, blocks=blocks)
    cell = MadeCell().cell
    facts = CellFacts.of(CellOutcome(cell, "done", stages={"measure": measured}))
    assert columns["energy_mj_per_call"].of(facts) == pytest.approx(16_000 / 4 / 1e3)
    assert columns["cycles_per_call"].of(facts) == 100
    assert columns["instructions_per_call"].of(facts) is None
    alone = Measurement(run_secs=(1e-3,) * 5, number=2, conditions={"counted": {"cycles": 50}})
    assert columns["cycles_per_call"].of(CellFacts.of(CellOutcome(cell, "done", stages={"measure": alone}))) == 5
