"""Candidates on their way, in a workshop whose answers a test chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import pytest

from sweep.api.overlay.overlay_targets import OverlayTarget
from sweep.api.overlay.pipeline import BuildMeasurePipeline, Completed, Request
from sweep.engine.overlay_runner import OverlayRunner
from sweep.errors import BuildFailed, DeviceLost, MeasureTimeout, ToolchainError
from sweep.study.cluster.cluster import Device
from sweep.toolchain.native_log import NativeRecord
from sweep.toolchain.tuning.records.overlay_records import Configuration

Answers = Mapping[str, Sequence[Any]]
"""By trace: what its builds or measurements end in, one after the other; the last for ever."""
TIMES = {"run_secs": [1.0], "seconds": 0.1}


class ChosenWorkshop:
    """Answers at once."""

    def __init__(self, builds: Answers | None = None, times: Answers | None = None) -> None:
        self._answers = {"build": dict(builds or {}), "time": dict(times or {})}
        self._trace_of: dict[Path, str] = {}
        self.timed: list[str] = []
        self.compared: list[list[str]] = []
        self.options: list[Mapping[str, Any]] = []
        self.going = self.most = 0

    def build(self, native: NativeRecord, device: str, target: Mapping[str, Any], lib: Path) -> Future[Any]:
        self.going += 1
        self.most = max(self.most, self.going)
        lib.touch()
        self._trace_of[lib] = native.record
        return self._settled("build", native.record, {"args": [], "build_s": 0.25})

    def time(self, device: str, lib: Path, args: Any, options: Mapping[str, Any]) -> Future[Any]:
        self.timed.append(self._trace_of[lib])
        self.options.append(options)
        self.going -= 1
        return self._settled("time", self._trace_of[lib], TIMES)

    def compare(self, device: str, candidates: Sequence[tuple[Path, Any]], options: Mapping[str, Any]) -> Future[Any]:
        self.compared.append([self._trace_of[lib] for lib, _ in candidates])
        return self._settled("time", self.compared[-1][0], {"run_secs": [[1.0]] * len(candidates), "seconds": 0.1})

    def _settled(self, kind: str, trace: str, usual: Mapping[str, Any]) -> Future[Any]:
        chosen = list(self._answers[kind].get(trace, [usual]))
        self._answers[kind][trace] = chosen[1:] or chosen
        future: Future[Any] = Future()
        if isinstance(chosen[0], Exception):
            future.set_exception(chosen[0])
        else:
            future.set_result(chosen[0])
        return future


SEAT = OverlayTarget(
    Device("a", {"kind": "llvm"}, 1, (), managed=False), {"kind": "llvm"}, "{}", "0123", "", "", frozenset()
)


def job(*traces: str, slow_s: float | None = None) -> Request:
    return Request(SEAT, [Configuration("ff00", "conv", trace, NativeRecord("w", trace)) for trace in traces], slow_s)


def performed(workshop: ChosenWorkshop, folder: Path, *jobs: Request, room: int = 4) -> list[Completed]:
    with BuildMeasurePipeline(cast("OverlayRunner", workshop), folder, lambda: None) as line:
        ended = list(line.perform(iter(jobs), room))
    assert not list(folder.iterdir())
    return ended


def test_each_job_ends_with_its_times_or_with_what_is_to_blame(tmp_path: Path) -> None:
    workshop = ChosenWorkshop({"b": [BuildFailed("no")]}, {"c": [MeasureTimeout("late")]})
    found = {
        ended.job.configurations[0].trace_hash: ended
        for ended in performed(workshop, tmp_path, job("a", slow_s=3.0), job("b"), job("c"))
    }
    assert (found["a"].result, found["a"].error, found["a"].build_s) == (TIMES, None, 0.25)
    assert (found["b"].result, str(found["b"].error), found["b"].build_s) == (None, "no", 0.0)
    assert (found["c"].result, str(found["c"].error)) == (None, "late")
    assert workshop.timed == ["a", "c"]
    assert workshop.options[0]["slow_s"] == 3.0


def test_several_take_turns_once_all_are_built_and_none_where_one_is_not(tmp_path: Path) -> None:
    workshop = ChosenWorkshop({"c": [BuildFailed("no")]})
    first, second = performed(workshop, tmp_path, job("a", "b"), job("a", "c"), room=1)
    assert workshop.compared == [["a", "b"]]
    assert first.result is not None
    assert (first.result["run_secs"], first.build_s) == ([[1.0], [1.0]], 0.5)
    assert (second.result, type(second.error)) == (None, BuildFailed)


def test_no_more_are_under_way_than_there_is_room_for(tmp_path: Path) -> None:
    workshop = ChosenWorkshop()
    assert len(performed(workshop, tmp_path, *(job(str(number)) for number in range(20)), room=3)) == 20
    assert workshop.most == 3


def test_a_lost_device_is_tried_again_once(tmp_path: Path) -> None:
    workshop = ChosenWorkshop(times={"a": [DeviceLost("away"), TIMES], "b": [TIMES]})
    assert [ended.result for ended in performed(workshop, tmp_path, job("a"), job("b"), room=1)] == [TIMES, TIMES]
    assert workshop.timed == ["a", "a", "b"]


@pytest.mark.parametrize(
    ("builds", "times", "error"),
    [
        ({}, {"a": [DeviceLost("away")]}, DeviceLost),
        ({"a": [ToolchainError("the forge ended")]}, {}, ToolchainError),
        ({}, {"a": [KeyError("bug")]}, KeyError),
    ],
)
def test_what_is_not_the_candidates_fault_ends_the_work(
    builds: Answers, times: Answers, error: type[Exception], tmp_path: Path
) -> None:
    with pytest.raises(error):
        performed(ChosenWorkshop(builds, times), tmp_path, job("a"))
    assert not list(tmp_path.iterdir())


def test_what_a_killed_overlay_has_left_goes_with_the_next(tmp_path: Path) -> None:
    (tmp_path / "candidates-left").mkdir()
    (tmp_path / "candidates-left" / "0.so").write_text("built")
    assert len(performed(ChosenWorkshop(), tmp_path, job("a"))) == 1
