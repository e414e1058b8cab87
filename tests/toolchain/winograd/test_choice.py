"""What a build makes of convolutions for which tuning found a form of Winograd's to be faster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.toolchain.winograd.layers import HOST, Layer, lowered, random_weights
from tests.toolchain.winograd.test_form import without_mean

pytestmark = pytest.mark.tvm

LAYER = Layer((8, 8), 16, 16)
USUAL = random_weights(LAYER)
DETECTORS = without_mean(random_weights(LAYER, seed=1))
MS = 1e-3
DIRECT, F23, F43 = range(3)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Makes a folder of records of the layer's workload: made-up seconds of the convolution as it is, by F(2,3) and by
    F(4,3), of those that are given.
    """
    from sweep.search.catalogue import make_tuner
    from sweep.toolchain.task_extraction import extract_tasks
    from sweep.toolchain.tuning.records.record_store import RecordStore
    from sweep.toolchain.tuning.space.workload_search import WorkloadSearch
    from sweep.toolchain.tvm_loader import load_tvm, resolve_target

    tvm, target = load_tvm(), resolve_target(HOST)
    folder = tmp_path_factory.mktemp("tasks")
    [task] = [one for one in extract_tasks(lowered(LAYER, [USUAL], 3), target, folder) if not one["trivial"]]
    module = tvm.ir.load_json((folder / f"{task['workload']}.json").read_text())

    def make(path: Path, seconds: dict[int, float]) -> str:
        store = RecordStore(path)
        tuner = make_tuner("random", {}, 1)
        search = WorkloadSearch("layer", task["workload"], module, target=target, tuner=tuner, store=store)
        by_form = {F43: search.ask(1), F23: search.ask(1), DIRECT: []}
        while not by_form[DIRECT]:
            by_form[DIRECT] = [one for one in search.ask(4) if search.designs.program(one.point[0]) is module]
        for form, took in seconds.items():
            store.database.commit_record(search.record(by_form[form][0], [took]))
        store.close()
        return str(task["workload"])

    return make


def built(folder: Path, each_weights: list[Any], level: int, scratch: Path, finished: bool = False) -> Any:
    """The records, and the module with the best of them."""
    from sweep.toolchain.best_records import BestRecords
    from sweep.toolchain.lowering import finish
    from sweep.toolchain.tvm_loader import resolve_target

    scratch.mkdir()
    best, target = BestRecords(folder, scratch), resolve_target(HOST)
    tuned = best.apply(lowered(LAYER, each_weights, level), target, level).module
    return best, finish(tuned, level, target)[0] if finished else tuned


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
def test_the_fastest_is_taken(records: Any, seconds: dict[int, float], expected: int, tmp_path: Path) -> None:
    workload = records(tmp_path / "records", seconds)
    best, module = built(tmp_path / "records", [USUAL], 3, tmp_path / "scratch")
    assert sizes(module) == [expected]
    assert best.has(workload)


def test_each_layer_has_a_form_that_is_exact_enough_for_its_level(records: Any, tmp_path: Path) -> None:
    records(tmp_path / "records", {DIRECT: 3 * MS, F43: 1 * MS})
    for level, expected in ((3, [6, LAYER.outputs]), (4, [6, 6])):
        _, module = built(tmp_path / "records", [USUAL, DETECTORS], level, tmp_path / f"scratch-{level}")
        assert sizes(module) == expected
    records(tmp_path / "more", {DIRECT: 3 * MS, F23: 2 * MS, F43: 1 * MS})
    _, module = built(tmp_path / "more", [USUAL, DETECTORS], 3, tmp_path / "scratch")
    assert sizes(module) == [6, 4], "the next fastest that is exact enough"


def test_a_lower_level_has_the_convolution_as_it_is(records: Any, tmp_path: Path) -> None:
    records(tmp_path / "records", {DIRECT: 3 * MS, F43: 1 * MS})
    _, module = built(tmp_path / "records", [USUAL], 2, tmp_path / "scratch")
    assert sizes(module) == [LAYER.outputs]


def test_the_built_network_gives_what_it_gave_and_transforms_nothing_when_it_runs(records: Any, tmp_path: Path) -> None:
    import tvm
    from tvm import relax

    from sweep.toolchain.tvm_loader import resolve_target

    records(tmp_path / "records", {F23: 2 * MS, F43: 1 * MS})
    _, module = built(tmp_path / "records", [USUAL, DETECTORS], 3, tmp_path / "scratch", finished=True)
    names = [name.name_hint for name in module.get_global_vars()]
    assert sum("winograd" in name for name in names) == 2, "one of each form, and none that packs"
    assert not any("layout_rewrite" in name for name in names)
    data = np.random.default_rng(5).normal(size=(1, *LAYER.size, LAYER.inputs)).astype(np.float32)
    given = []
    for each in (lowered(LAYER, [USUAL, DETECTORS], 0), module):
        executable = relax.build(each, resolve_target(HOST))
        given.append(relax.VirtualMachine(executable, tvm.cpu())["main"](tvm.runtime.tensor(data)).numpy())
    expected, found = given
    assert expected.max() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-5 * expected.max())


def test_a_record_that_does_not_fit_leaves_the_convolution_as_it_is(records: Any, tmp_path: Path) -> None:
    """A form without its schedule would be slower than anything."""
    folder = tmp_path / "records"
    records(folder, {DIRECT: 3 * MS, F43: 1 * MS})
    log = folder / "database_tuning_record.json"
    log.write_text(log.read_text().replace("winograd_back", "winograd_lost"))
    _, module = built(folder, [USUAL], 3, tmp_path / "scratch")
    assert sizes(module) == [LAYER.outputs]
