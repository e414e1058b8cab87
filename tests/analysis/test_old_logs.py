from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.analysis.old_logs import LogReader, OldRecord
from sweep.analysis.old_logs.layer import layer_name
from sweep.analysis.old_logs.old_record import ERRORS
from sweep.errors import StudyError
from tests.old_logs import ARM, CONV, TASKS, ansor, autotvm

SUBGRAPH = "0123456789abcdef0123456789abcdef"


def read(*lines: str | bytes, ends: bytes = b"\n") -> tuple[list[OldRecord], LogReader]:
    reader = LogReader("a.log")
    whole = [(line.encode() if isinstance(line, str) else line) + b"\n" for line in lines]
    if whole:
        whole[-1] = whole[-1][:-1] + ends
    return [record for _, record in reader.records(whole)], reader


def one(line: str) -> OldRecord:
    (record,), _ = read(line)
    return record


def complaint(*lines: str | bytes) -> str:
    with pytest.raises(StudyError) as raised:
        read(*lines)
    assert "\n" not in str(raised.value)
    return str(raised.value)


# -- what a line says -------------------------------------------------------------------------------------------------


def test_a_line_of_autotvm() -> None:
    record = one(autotvm())

    assert (record.tuner, record.target) == ("autotvm", ARM)
    assert record.layer == "conv2d_nchw_spatial_pack.arm_cpu (1,24,28,28) (48,24,3,3) [2,2] [1,1,1,1] [1,1] float32"
    result = record.result
    assert (result.run_secs, result.error_class, result.error) == ((2.5e-3, 2.7e-3), None, None)
    assert (result.t, result.build_s) == (1653898629.25, None)


@pytest.mark.parametrize("version", TASKS)
def test_a_line_of_each_version_of_ansor(version: str) -> None:
    record = one(ansor(version=version))

    assert (record.tuner, record.target) == ("ansor", "llvm -keys=cpu -mcpu=core-avx2")
    assert record.layer == "matmul_relu (96,64,32) float32"
    assert (record.result.run_secs, record.result.t) == ((4e-4,), 1714270206.0)
    newest = one(ansor())
    assert (record.workload, record.configuration) == (newest.workload, newest.configuration)


@pytest.mark.parametrize("line", [autotvm, ansor])
@pytest.mark.parametrize(
    ("number", "error_class", "words", "build_s"),
    [
        (1, "BuildFailed", "does not fit", 0.25),
        (2, "BuildFailed", "on the host", 0.25),
        (3, "MeasureFailed", "compiling on the device", None),
        (4, "MeasureFailed", "while running", None),
        (5, "OutputMismatch", "wrong", None),
        (6, "BuildFailed", "out of time", 0.25),
        (7, "MeasureTimeout", "out of time", None),
        (8, "MeasureFailed", "unknown", None),
        (42, "MeasureFailed", "neither format knows", None),
    ],
)
def test_each_error_number(
    line: Callable[..., str], number: int, error_class: str, words: str, build_s: float | None
) -> None:
    result = one(line(number=number, spent_s=0.25)).result

    assert result.run_secs is None
    assert (result.error_class, result.build_s) == (error_class, build_s)
    assert words in str(result.error)
    assert f"(error number {number})" in str(result.error)


def test_every_class_is_of_the_error_tree() -> None:
    from sweep import errors

    assert {name for name, _ in ERRORS.values()} <= set(errors.__all__)
    assert sorted(ERRORS) == list(range(1, 9))


@pytest.mark.parametrize("line", [autotvm, ansor])
@pytest.mark.parametrize(
    "costs",
    [(1e9,), (1e10,), (2e-3, 1e10), (0.0,), (-1e-3,), (), (float("nan"),), (float("inf"),), (10**400,)],
    ids=str,
)
def test_no_sentinel_is_ever_a_time(line: Callable[..., str], costs: tuple[float, ...]) -> None:
    result = one(line(costs=costs)).result

    assert result.run_secs is None
    assert result.error_class == "MeasureFailed"
    assert "times that are no times" in str(result.error)


# -- what is the same, and what is not --------------------------------------------------------------------------------


def test_a_configuration_is_its_choices_and_not_its_index() -> None:
    elsewhere = json.loads(autotvm(tile=8))
    elsewhere["config"]["index"] = 7
    elsewhere["tvm_version"] = "0.10.0"

    assert one(autotvm(tile=8)).configuration == one(json.dumps(elsewhere)).configuration
    assert one(autotvm(tile=8)).configuration != one(autotvm(tile=4)).configuration
    assert one(ansor(tile=8)).configuration != one(ansor(tile=4)).configuration


def test_devices_meet_in_a_workload_whatever_their_targets() -> None:
    here, there = one(autotvm()), one(autotvm(target="llvm -mcpu=skylake"))
    assert here.workload == there.workload
    assert here.target != there.target
    others = [autotvm(name="conv2d_nchw_winograd.arm_cpu"), autotvm(arguments=[*CONV[:2], [1, 1], *CONV[3:]])]
    assert len({here.workload, *(one(line).workload for line in others)}) == 3
    spaced = ansor(key='["matmul_relu",96,64,32,"float32"]')
    assert one(spaced).workload == one(ansor()).workload
    assert one(ansor(key='["matmul_relu", 96, 64, 33, "float32"]')).workload != one(ansor()).workload


def test_a_trial_is_the_same_however_its_line_is_written() -> None:
    line = json.loads(autotvm())
    shuffled = json.dumps(dict(reversed(line.items())), indent=None, separators=(" , ", ":"))
    assert one(shuffled).digest() == one(autotvm()).digest()
    different = [autotvm(tile=4), autotvm(costs=(1e-3,)), autotvm(t=1.0), autotvm(target="llvm"), autotvm(number=4)]
    assert len({one(line).digest() for line in [autotvm(), *different]}) == 6


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=12))
def test_any_configuration_has_an_id_that_depends_on_nothing_else(choice: object) -> None:
    entity = [["knob", "ot", choice]]
    first, second = (autotvm(t=t, config={"index": t, "entity": entity}) for t in (1, 2))
    assert one(first).configuration == one(second).configuration
    assert one(first).configuration != one(autotvm(config={"entity": [["knob", "ot", [choice]]]})).configuration


@given(st.lists(st.integers(0, 8), min_size=1, max_size=6), st.lists(st.floats(1e-9, 1e3), min_size=1, max_size=5))
def test_times_and_errors_exclude_each_other(numbers: list[int], costs: list[float]) -> None:
    records, _ = read(*(autotvm(costs=tuple(costs), number=number) for number in numbers))
    for number, record in zip(numbers, records, strict=True):
        result = record.result
        assert (result.run_secs is None) == (number != 0) == (result.error_class is not None)
        assert result.run_secs in (None, tuple(costs))


# -- rows -------------------------------------------------------------------------------------------------------------


def test_a_row_points_to_its_line() -> None:
    record = one(autotvm())
    row = record.as_row("rasp4", "records/rasp4/autotvm.jsonl", 5)

    assert (row["device"], row["log"], row["trial"], row["record"]) == ("rasp4", "records/rasp4/autotvm.jsonl", 5, 5)
    assert (row["tuner"], row["origin"], row["trace_hash"]) == ("autotvm", "search", record.configuration)
    failed = one(autotvm(number=7)).as_row("rasp4", "log", 6)
    assert (failed["run_secs"], failed["record"], failed["trial"]) == (None, None, 6)
    assert failed["error_class"] == "MeasureTimeout"


# -- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments", "layer"),
    [
        ("dense_nopack.x86", [["TENSOR", [1, 64], "int8"], None, "int32"], "dense_nopack.x86 (1,64)int8 int32"),
        ("matmul", [1, 256, 10], "matmul (1,256,10)"),
        (SUBGRAPH, [8, 32, [3, 3], 1], "subgraph-01234567 (8,32) [3,3] (1)"),
        ("nothing", [], "nothing"),
    ],
)
def test_layers_for_people(name: str, arguments: list[object], layer: str) -> None:
    assert layer_name(name, arguments, "fedcba9876543210") == layer


def test_long_layers_are_cut_and_stay_distinct() -> None:
    arguments = [["TENSOR", [1, channels, 7, 7], "float32"] for channels in range(30)]
    names = {layer_name("concatenate", arguments, workload) for workload in ("aaaaaaaa", "bbbbbbbb")}
    assert len(names) == 2
    assert all(len(name) <= 100 and name.startswith("concatenate (1,0,7,7)") for name in names)


@pytest.mark.parametrize("key", ["a key of one's own", "[[1, 2]]", "7", '"text"', "[" * 100_000])
def test_a_workload_key_of_any_kind_is_a_workload(key: str) -> None:
    assert one(ansor(key=key)).workload != one(ansor()).workload


# -- a whole log ------------------------------------------------------------------------------------------------------


def test_what_is_left_out_is_counted() -> None:
    records, reader = read("# begun", autotvm(), "", "   ", autotvm(tile=4), autotvm()[:50], ends=b"")

    assert len(records) == 2
    assert (reader.tuner, reader.lines) == ("autotvm", 6)
    assert reader.left_out == {"comment": 1, "blank line": 2, "torn last line": 1}


def test_lines_end_as_they_like() -> None:
    records, reader = read(*(f"\ufeff{autotvm()}\r", f"  {autotvm(tile=4)}\t"), ends=b"")
    assert (len(records), reader.left_out) == (2, {})


def test_versions_of_ansor_may_follow_each_other() -> None:
    records, _ = read(*(ansor(version=version) for version in TASKS))
    assert len(records) == len(TASKS)


def autotvm_1() -> str:
    configuration = {"i": 3, "t": "direct", "c": None, "e": [["tile_k", "sp", [8, 8]]]}
    task = ["cuda -model=unknown", "topi_nn_dense", [], {}, ["dense"], configuration]
    return json.dumps({"i": task, "r": [[7e-6], 0, 1.5, 1598530753.5], "v": 0.1})


REFUSED: dict[str, tuple[list[str | bytes], list[str]]] = {
    "empty": ([], ["a.log: is empty", "AutoTVM 0.2", "Ansor v0.2 to v0.6"]),
    "no record": (["# a", ""], ["a.log: holds no tuning record", "at least one line"]),
    "not JSON": ([autotvm(), "{", autotvm()], ["a.log: line 2: is not JSON", "'{'", "AutoTVM 0.2"]),
    "half a line and no more": ([autotvm()[:50]], ["line 1: is not JSON"]),
    "not text": ([b"\x1f\x8b\x08\x00\xff"], ["line 1: is not JSON"]),
    "nested without end": (["[" * 100_000], ["line 1: is not JSON"]),
    "a list": (["[1, 2]"], ["line 1: is not a tuning record", "[1, 2]"]),
    "other JSON": (['{"a": 1}'], ["line 1: is not a tuning record", "'a'"]),
    "mixed": (
        ["# two", autotvm(), ansor()],
        ["line 3: is of Ansor, and line 2 of AutoTVM", "allowed: one format in a file"],
    ),
    "mixed the other way": ([ansor(), autotvm()], ["line 2: is of AutoTVM, and line 1 of Ansor"]),
    "AutoTVM 0.1": ([autotvm_1()], ["line 1: is of AutoTVM's log version 0.1", "allowed: 0.2; TVM 0.7"]),
    "AutoTVM 0.1, pickled": (["cuda\tgANd\tgANd\tgANd"], ["line 1: is pickled", "would run code", "JSON"]),
    "AutoTVM 0.2, pickled": (["llvm\tgA\tgA\tgA\t0.2\t0.9.0"], ["line 1: is pickled"]),
    "AutoTVM 0.3": ([autotvm(version=0.3)], ["line 1: is of a version of AutoTVM's log", "0.3", "allowed: 0.2"]),
    "AutoTVM of no version": ([autotvm(version=None)], ["line 1: is of a version of AutoTVM's log"]),
    "Ansor v0.1": ([ansor(version="v0.1")], ["of Ansor's log that is not known", "'v0.1'", "v0.2 to v0.6"]),
    "Ansor v0.7": ([ansor(version="v0.7")], ["of Ansor's log that is not known", "'v0.7'", "v0.2 to v0.6"]),
    "a short input": ([autotvm(input=["llvm", "dense"])], ["an input that is not of AutoTVM", "task name"]),
    "no target": ([autotvm(target="")], ["has no target", "text as target"]),
    "half a character": ([autotvm(name="\ud800")], ["has no task name"]),
    "half a character below": ([autotvm(arguments=["\ud800"])], ["has no text in its arguments"]),
    "no knobs": ([autotvm(config={"index": 3})], ["a configuration without its knobs", "entity"]),
    "a pickled configuration": ([autotvm(config="gANd")], ["a configuration without its knobs", "'gANd'"]),
    "no state": ([ansor(i=[["key", "llvm"]])], ["an input that is not of Ansor", "transform step"]),
    "a short task": ([ansor(i=[["key"], [[], []]])], ["an input that is not of Ansor"]),
    "a key that is no text": ([ansor(i=[[7, "llvm"], [[], []]])], ["has no workload key"]),
    "a short result": ([autotvm(result=[[1e-3], 0])], ["a result that is not a list of four", "error number"]),
    "times as text": ([autotvm(result=[["1 ms"], 0, 1.0, 1.0])], ["times that are no list of numbers"]),
    "true as time": ([ansor(r=[[True], 0, 1.0, 1])], ["times that are no list of numbers"]),
    "an error as text": ([ansor(r=[[1e10], "8", 1.0, 1])], ["an error number that is none", "'8'"]),
    "no time of day": ([ansor(r=[[1e-3], 0, 1.0, None])], ["no number"]),
    "a time beyond all": ([ansor(r=[[1e-3], 0, 1.0, 10**400])], ["no number"]),
}


@pytest.mark.parametrize(("lines", "says"), REFUSED.values(), ids=REFUSED)
def test_a_line_that_is_refused(lines: list[str | bytes], says: list[str]) -> None:
    text = complaint(*lines)
    assert len(text) < 400
    for part in says:
        assert part in text


def test_nothing_is_unpickled(monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    monkeypatch.setattr(pickle, "loads", lambda *_: pytest.fail("a log was unpickled"))
    assert "is pickled" in complaint("cuda\tgANd\tgANd\tgANd")
