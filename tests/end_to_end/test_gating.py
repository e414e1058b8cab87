"""A study held against a baseline: the real compiler and the real devices, and a network that takes no time."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sweep.running.ledger.ledger import read_ledger
from tests.end_to_end.place import CLUSTER_ALONE, Place

pytestmark = [pytest.mark.integration, pytest.mark.tvm, pytest.mark.slow]

STUDY = """
study: gated
models: [tiny.onnx]
tuners: [none, {name: random, trials_per_task: 2, number: 1, repeat: 1, min_repeat_ms: 0}]
opt_levels: [3]
runtimes: [tvm]
measure: {repeat: 3, max_repeat: 3, rounds: 1, min_repeat_ms: 1, retakes: 0}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A folder with a baseline in `out`."""
    place = Place(tmp_path_factory.mktemp("gate") / "place", STUDY, CLUSTER_ALONE.format(engine="inline"))
    ended = place.call(*place.command)
    assert ended.code == 0, ended.err
    return place


def test_the_same_compiler_builds_the_same_code_with_the_schedules_of_the_baseline(place: Place) -> None:
    ended = place.call(
        *("gate", "study.yaml", "--cluster", "cluster.yaml", "--baseline", "out", "--out", "new", "--json"),
        *("--junit", "gate.xml", "--max-minutes", "1"),
    )
    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    assert [(cell["verdict"], cell["is_same_code"]) for cell in told["cells"]] == [("SAME", True)] * 2
    assert ElementTree.parse(place.folder / "gate.xml").getroot()[0].get("failures") == "0"
    workers = {one.kind: one.seconds for one in read_ledger(place.folder / "new").done.values()}
    assert workers["tune"] == 0.0


def test_other_code_is_measured_in_turns_and_all_of_it_is_kept(place: Place) -> None:
    """Another seed, other schedules: whatever the verdict, it is of pairs in alternating order."""
    place.write("other.yaml", STUDY.replace("trials_per_task: 2", "trials_per_task: 1") + "seed: 7\n")
    assert place.call("run", "other.yaml", "--cluster", "cluster.yaml", "--out", "other").code == 0
    command = (
        "compare",
        "out",
        "other",
        "--cluster",
        "cluster.yaml",
        "--measure-more",
        "--json",
        "--only",
        "tuner=random",
    )

    first = place.call(*command, "--max-minutes", "0.0001", "--fail-on", "slower > 5%")
    assert first.code in (0, 3), first.err  # 0: both seeds gave one library
    (cell,) = json.loads(first.out)["cells"]
    if cell["is_same_code"]:
        pytest.skip("both seeds gave the same code")
    assert cell["notes"][0].startswith("measured ")
    kept = lines(place.folder / "other" / "turns.jsonl")
    assert len(kept) == 1  # no time for a second pair

    again = place.call(*command, "--max-minutes", "0.2")
    assert again.code in (0, 1, 3), again.err
    pairs = lines(place.folder / "other" / "turns.jsonl")
    assert len(pairs) > len(kept)
    begun = [[block["conditions"]["at_before"] for block in pair["blocks"]] for pair in pairs]
    assert [new < old for new, old in begun[:2]] == [True, False][: len(begun)]
    assert len({tuple(pair["contents"]) for pair in pairs}) == 1


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
