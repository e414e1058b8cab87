"""What a build makes of convolutions for which tuning found a form of Winograd's to be faster."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.toolchain.native_log import RECORDS, NativeRecord, read_log, write_log
from sweep.toolchain.winograd.program import MADE
from sweep.toolchain.winograd.winograd_form import FORMS
from tests.toolchain.quick_builds import machine_of, quick
from tests.toolchain.winograd.layers import HOST, Layer, lowered, random_weights
from tests.toolchain.winograd.test_winograd_form import without_mean

pytestmark = pytest.mark.tvm

LAYER = Layer((8, 8), 16, 16)
USUAL = random_weights(LAYER)
DETECTORS = without_mean(random_weights(LAYER, seed=1))
MS = 1e-3
DIRECT, F23, F43 = range(3)
F43_FORM = FORMS[1]


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[int, NativeRecord]]:
    """The layer's, and a record of the convolution as it is, by F(2,3) and by F(4,3)."""
    from sweep.search.catalogue import make_tuner
    from sweep.toolchain.task_extraction import extract_tasks
    from sweep.toolchain.tuning.records.record_store import RecordStore
    from sweep.toolchain.tuning.space.workload_search import WorkloadSearch
    from sweep.toolchain.tvm_loader import load_tvm, resolve_target

    tvm, target, folder = load_tvm(), resolve_target(HOST), tmp_path_factory.mktemp("tasks")
    [task] = [one for one in extract_tasks(network_of([USUAL], 3), target, folder) if not one["trivial"]]
    module = tvm.ir.load_json((folder / f"{task['workload']}.json").read_text())
    store = RecordStore(folder)
    tuner = make_tuner("random", {}, 1)
    search = WorkloadSearch("layer", task["workload"], module, target=target, tuner=tuner, store=store)
    candidates = sorted(search.ask(2), key=lambda one: one.point[0])  # what is worth a trial, one of each form
    while len(candidates) < 3:
        candidates += [one for one in search.ask(2) if search.designs.program(one.point[0]) is module]
    for candidate in candidates[:3]:
        store.database.commit_record(search.record(candidate, [1.0]))
    store.close()
    found = [record for _, record in read_log(folder)]
    assert len({record.workload for record in found}) == 3
    return task["workload"], dict(zip((F23, F43, DIRECT), found, strict=True))


@lru_cache
def _lowered(level: int, is_second: tuple[bool, ...]) -> Any:
    return lowered(LAYER, [DETECTORS if second else USUAL for second in is_second], level)


def network_of(each_weights: list[Any], level: int) -> Any:
    """Layers in a row, lowered."""
    return _lowered(level, tuple(weights is DETECTORS for weights in each_weights)).clone()


@pytest.fixture
def built(workload: tuple[str, dict[int, NativeRecord]], tmp_path: Path) -> Any:
    """Makes the records with made-up seconds, and layers in a row with the best of these records."""
    from sweep.toolchain.best_records import BestRecords
    from sweep.toolchain.tvm_loader import resolve_target

    def build(seconds: dict[int, float], each_weights: list[Any], level: int, **changed: str) -> Any:
        name, known = workload
        folder, scratch = (Path(tempfile.mkdtemp(dir=tmp_path)) for _ in range(2))
        write_log([known[form].measured([took], known[form].target) for form, took in seconds.items()], folder)
        for before, after in changed.items():
            log = folder / RECORDS
            log.write_text(log.read_text().replace(before, after))
        best, target = BestRecords(folder, scratch), resolve_target(HOST)
        module = best.apply(network_of(each_weights, level), target, level).module
        assert best.has(name)
        return module

    return build


def sizes(module: Any) -> list[int]:
    """Of the first dimension of the weights of the calls in a module, in their order."""
    from sweep.toolchain.passes.call import calls_of, constant_of, operator_of

    calls = [call for call in calls_of(module) if operator_of(call) == "relax.call_tir"]
    arrays = [constant_of(one) for call in calls for one in call.args[1].fields]
    return [array.shape[0] for array in arrays if array is not None and array.size > LAYER.outputs]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({DIRECT: 3 * MS, F23: 2 * MS, F43: 1 * MS}, 6),
        ({DIRECT: 3 * MS, F23: 1 * MS, F43: 2 * MS}, 4),
        ({DIRECT: 1 * MS, F23: 2 * MS, F43: 3 * MS}, LAYER.outputs),
        ({F23: 1 * MS}, 4),
    ],
)
def test_the_fastest_is_taken(built: Any, seconds: dict[int, float], expected: int) -> None:
    assert sizes(built(seconds, [USUAL], 3)) == [expected]


def test_each_layer_has_a_form_that_is_exact_enough_for_its_level(built: Any) -> None:
    with_f43 = {DIRECT: 3 * MS, F43: 1 * MS}
    assert sizes(built(with_f43, [USUAL, DETECTORS], 3)) == [6, LAYER.outputs]
    assert sizes(built(with_f43, [USUAL, DETECTORS], 4)) == [6, 6]
    assert sizes(built({**with_f43, F23: 2 * MS}, [USUAL, DETECTORS], 3)) == [6, 4], "the next fastest"


def test_a_lower_level_has_the_convolution_as_it_is(built: Any) -> None:
    assert sizes(built({DIRECT: 3 * MS, F43: 1 * MS}, [USUAL], 2)) == [LAYER.outputs]


def test_the_built_network_gives_what_it_gave_and_transforms_nothing_when_it_runs(built: Any) -> None:
    import tvm

    from sweep.toolchain.lowering import finish
    from sweep.toolchain.tvm_loader import resolve_target

    target = resolve_target(quick(HOST))
    module, left_out = finish(built({F23: 2 * MS, F43: 1 * MS}, [USUAL, DETECTORS], 3), 3, target)
    assert not left_out
    names = [name.name_hint for name in module.get_global_vars()]
    assert sum(MADE in name for name in names) == 2, "one of each form, and none that packs"
    assert not any("layout_rewrite" in name for name in names)
    data = np.random.default_rng(5).normal(size=(1, *LAYER.size, LAYER.inputs)).astype(np.float32)
    expected, found = (
        machine_of(each, target)["main"](tvm.runtime.tensor(data)).numpy()
        for each in (network_of([USUAL, DETECTORS], 3), module)
    )
    assert expected.max() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-5 * expected.max())


def test_a_layer_is_known_by_its_weights_as_they_were(built: Any) -> None:
    """Also where some are zero, and transformed ones are not."""
    from sweep.toolchain.lowering import finish
    from sweep.toolchain.rooflines.layer_places import kernel_calls
    from sweep.toolchain.rooflines.weight_prints import WeightPrint
    from sweep.toolchain.tvm_loader import resolve_target

    module, _ = finish(built({F43: 1 * MS}, [USUAL], 3), 3, resolve_target(HOST))
    [call] = [one for one in kernel_calls(module) if MADE in one.kernel]
    assert any(one.distance(WeightPrint.of(USUAL)) is not None for one in call.weights)
    assert all(one.distance(WeightPrint.of(DETECTORS)) is None for one in call.weights)
    sparse = np.where(np.abs(USUAL) < 0.1, 0, USUAL)
    restored = F43_FORM.restored(F43_FORM.transformed(sparse))
    assert WeightPrint.of(restored).distance(WeightPrint.of(sparse)) is None
    assert WeightPrint.of(restored, is_rounded=True).distance(WeightPrint.of(sparse)) is not None


def test_a_record_that_does_not_fit_leaves_the_convolution_as_it_is(built: Any) -> None:
    """A form without its schedule would be slower than anything."""
    module = built({DIRECT: 3 * MS, F43: 1 * MS}, [USUAL], 3, winograd_back="winograd_lost")
    assert sizes(module) == [LAYER.outputs]
