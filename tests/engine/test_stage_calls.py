"""What an error of a stage becomes."""

from __future__ import annotations

import errno
import os
from dataclasses import replace

import pytest

from sweep.devices.measuring.rounds import Rounds
from sweep.devices.measuring.timing import Sampling
from sweep.engine.stage_calls import perform, tune_call
from sweep.errors import BuildFailed, DeviceLost, TuneFailed
from tests.engine.shop import Shop


def crossed(error: BuildFailed, number: int) -> BuildFailed:
    """As it comes back from the process in which it arose."""
    error.disk_errno = number
    return error


@pytest.mark.parametrize(
    ("error", "error_class"),
    [
        (DeviceLost("the tracker is away"), "DeviceLost"),
        (ValueError("a bug"), "Bug"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/x/lib.so"), "DiskFull"),
        (OSError(errno.ENOSPC, "kein Platz"), "DiskFull"),
        (OSError("[Errno 28] No space left on device"), "DiskFull"),  # as a library says it that keeps the number
        (OSError(errno.ENOENT, os.strerror(errno.ENOENT), "/x/lib.so"), "Bug"),
        (OSError(errno.ENOENT, os.strerror(errno.ENOENT), "/x/No space left on device"), "Bug"),
        (crossed(BuildFailed("unexpected OSError: kein Platz"), errno.EROFS), "DiskFull"),
        (BuildFailed("linking failed: ld: final link failed: No space left on device"), "DiskFull"),
        (BuildFailed("unexpected OSError: [Errno 30] Read-only file system: '/x'"), "DiskFull"),
    ],
)
def test_a_disk_that_refuses_is_no_fault_of_the_stage(error: Exception, error_class: str) -> None:
    def work() -> dict[str, object]:
        raise error

    outcome = perform(work, "w")

    assert (outcome.error_class, str(error).rpartition(":")[2] in outcome.error) == (error_class, True)


def test_what_lies_behind_an_error_counts() -> None:
    def work() -> dict[str, object]:
        try:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        except OSError as error:
            raise TuneFailed("the records cannot be written") from error

    assert perform(work, "w").error_class == "DiskFull"


def test_what_was_only_tried_before_does_not_count() -> None:
    def work() -> dict[str, object]:
        try:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            raise TuneFailed("no candidate was valid") from None

    assert perform(work, "w").error_class == "TuneFailed"


def test_a_network_that_is_still_tuned_is_measured_once_in_one_visit(simulated: Shop) -> None:
    """A disturbed block is not taken again: whoever does waits on the board for seconds."""
    attempt = simulated.attempt(simulated.stages("tune")[0])
    made = {role: replace(result, dir="artifacts/lower/0123") for role, result in attempt.inputs.items()}
    order = tune_call(replace(attempt, inputs=made)).job.network
    assert order is not None
    rounds = Rounds(order.measure, (), order.threads)
    visit = rounds.next_visit()
    assert visit is not None
    assert Sampling.of(visit).retakes == 0
    rounds.take({}, 0.1)
    assert rounds.next_visit() is None
