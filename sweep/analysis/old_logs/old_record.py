"""One trial of an old log, in one form for AutoTVM and Ansor, with the error class that its error number stands for."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from sweep.analysis.sentinel_values import is_time

__all__ = ["ERRORS", "Malformed", "OldRecord", "Result", "hashed", "plain_text", "read_result"]

ERRORS = {
    1: ("BuildFailed", "the configuration does not fit the workload"),
    2: ("BuildFailed", "compiling on the host failed"),
    3: ("MeasureFailed", "compiling on the device failed"),
    4: ("MeasureFailed", "the device failed while running it"),
    5: ("OutputMismatch", "the answer was wrong"),
    6: ("BuildFailed", "building ran out of time"),
    7: ("MeasureTimeout", "running ran out of time"),
    8: ("MeasureFailed", "unknown error"),
}
"""Class and words of each error number, the same in both formats. Source: `MeasureErrorNo` of tvm.autotvm and of
tvm.auto_scheduler.
"""
_BUILD_ENDED_IT = (1, 2, 6)


class Malformed(ValueError):
    """A line that is no record: what is wrong with it, and what is allowed."""

    def __init__(self, problem: str, *, allowed: str, value: object = None) -> None:
        super().__init__(problem)
        self.problem, self.allowed, self.value = problem, allowed, value


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one trial: the seconds of each repeat, or a class of error and its reason."""

    run_secs: tuple[float, ...] | None
    """Seconds of each repeat; None for a failure."""
    error_class: str | None
    error: str | None
    build_s: float | None
    """Known where the build ended it: otherwise the formats give the sum of build and run alone."""
    t: float
    """Unix time."""


@dataclass(frozen=True, slots=True)
class OldRecord:
    """One trial of an old log."""

    tuner: str
    """autotvm or ansor."""
    workload: str
    """Hash of task name and arguments, or of Ansor's workload key. Not of the target: devices meet in it."""
    layer: str
    """The workload for people."""
    target: str
    """As it stands in the log."""
    configuration: str
    """Hash of the knobs' choices, or of the transform steps. Not of the index, which depends on the target's space."""
    result: Result

    def digest(self) -> bytes:
        """The same for the same trial, however its line is written."""
        result = self.result
        what = (self.workload, self.target, self.configuration, result.t, result.run_secs, result.error)
        return hashlib.blake2b(repr(what).encode(), digest_size=16).digest()

    def as_row(self, device: str, log: str, line: int) -> dict[str, Any]:
        """Row of tuning_records.parquet; `line` of `log` (from 0) is where its configuration stands."""
        result = self.result
        return {
            "workload": self.workload,
            "task": self.layer,
            "trial": line,
            "tuner": self.tuner,
            "device": device,
            "target": self.target,
            "t": result.t,
            "run_secs": result.run_secs,
            "error_class": result.error_class,
            "error": result.error,
            "build_s": result.build_s,
            "measure_s": None,
            "trace_hash": self.configuration,
            "design": None,
            "record": None if result.run_secs is None else line,
            "origin": "search",
            "validated_s": None,
            "log": log,
        }


def read_result(written: object) -> Result:
    """The part of a line that both formats share. Raises Malformed."""
    if not isinstance(written, list) or len(written) != 4:
        raise _malformed_result("is not a list of four", written)
    costs, number, spent_s, t = written
    if not isinstance(costs, list) or not all(map(_is_number, costs)):
        raise _malformed_result("has times that are no list of numbers", costs)
    if type(number) is not int:
        raise _malformed_result("has an error number that is none", number)
    if not (_is_number(spent_s) and _is_number(t) and abs(spent_s) < 1e300 and abs(t) < 1e300):
        raise _malformed_result("has a cost or a time of day that is no number", [spent_s, t])
    if number:
        error_class, words = ERRORS.get(number, ("MeasureFailed", "neither format knows this error"))
        build_s = float(spent_s) if number in _BUILD_ENDED_IT else None
        return Result(None, error_class, f"{words} (error number {number})", build_s, float(t))
    if costs and all(map(is_time, costs)):
        return Result(tuple(map(float, costs)), None, None, None, float(t))
    shown = ", ".join(str(cost)[:20] for cost in costs[:3]) or "none"
    return Result(None, "MeasureFailed", f"no error number, and times that are no times: {shown}", None, float(t))


def hashed(content: object) -> str:
    """16 hex digits of a content that came out of JSON."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def plain_text(value: object, name: str) -> str:
    """The value, where it is text that any file can hold. Raises Malformed."""
    if isinstance(value, str) and value:
        try:
            value.encode()
        except UnicodeEncodeError:
            pass
        else:
            return value
    raise Malformed(f"has no {name}", allowed=f"text as {name}", value=value)


def _is_number(value: object) -> bool:
    return type(value) is float or type(value) is int


def _malformed_result(problem: str, value: object) -> Malformed:
    allowed = "[[seconds, ...], error number, seconds spent, Unix time]"
    return Malformed(f"has a result that {problem}", allowed=allowed, value=value)
