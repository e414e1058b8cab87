"""What an error of a stage becomes."""

from __future__ import annotations

import errno
import os

import pytest

from sweep.engine.stage_calls import perform
from sweep.errors import BuildFailed, DeviceLost, TuneFailed


@pytest.mark.parametrize(
    ("error", "error_class"),
    [
        (DeviceLost("the tracker is away"), "DeviceLost"),
        (ValueError("a bug"), "Bug"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/x/lib.so"), "DiskFull"),
        (OSError(errno.ENOENT, os.strerror(errno.ENOENT), "/x/lib.so"), "Bug"),
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
