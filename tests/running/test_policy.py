"""What is retried, how often and how late."""

from __future__ import annotations

import pytest

from sweep import errors
from sweep.running.policy import GiveUp, Retry, RetryPolicy


@pytest.mark.parametrize(
    "error_class", ["ImportFailed", "LowerFailed", "BuildFailed", "OutputMismatch", "Bug", "MeasureFailed"]
)
def test_what_cannot_come_out_differently_is_not_retried(error_class: str) -> None:
    assert RetryPolicy().decide(error_class, 1) == GiveUp()
    assert not RetryPolicy().is_transient(error_class)


@pytest.mark.parametrize("error_class", ["DeviceLost", "EngineError", "MeasureTimeout", "CompilerLost", "WorkerKilled"])
def test_what_may_pass_is_retried_and_not_for_ever(error_class: str) -> None:
    policy = RetryPolicy()
    assert hasattr(errors, error_class)
    assert isinstance(policy.decide(error_class, 1), Retry)
    assert policy.decide(error_class, 100) == GiveUp()


def test_a_full_disk_is_left_to_the_next_run() -> None:
    assert RetryPolicy().decide("DiskFull", 1) == GiveUp()
    assert RetryPolicy().is_transient("DiskFull")


def test_delays_double_up_to_a_bound() -> None:
    policy = RetryPolicy({"DeviceLost": 10}, first_delay_s=1.0, longest_delay_s=5.0)
    assert [policy.decide("DeviceLost", n) for n in (1, 2, 3, 4)] == [Retry(1.0), Retry(2.0), Retry(4.0), Retry(5.0)]


def test_what_is_lost_with_the_engine_is_none_of_a_stages_attempts() -> None:
    """The engine counts how often it is brought up again, and gives up itself."""
    policy = RetryPolicy()
    assert policy.decide("EngineDown", 1000) == Retry(policy.first_delay_s)


@pytest.mark.parametrize(
    ("error_class", "error", "is_again"),
    [
        ("ToolchainError", "the compile server ended (signal 9) before this job did", True),
        ("LowerFailed", "crashed with SIGKILL", True),
        ("BuildFailed", "crashed with SIGKILL (out of memory)", True),
        ("MeasureFailed", "here at 127.0.0.1:4711: the code died of SIGKILL", True),
        ("MeasureFailed", "ONNX Runtime's process ended with -9: no message", True),
        ("LowerFailed", "crashed with SIGSEGV", False),
        ("BuildFailed", "crashed with SIGILL", False),
        ("MeasureFailed", "here at 127.0.0.1:4711: the code died of SIGSEGV", False),
        ("MeasureFailed", "ONNX Runtime's process ended with -11: no message", False),
        ("MeasureFailed", "ONNX Runtime's process ended with -1x", False),
        ("BuildFailed", "timed out after 30 s", False),
    ],
)
def test_what_earlier_versions_lost_is_known_by_what_they_said(error_class: str, error: str, is_again: bool) -> None:
    assert RetryPolicy().is_transient(error_class, error) is is_again
