from __future__ import annotations

import resource
import socket
from pathlib import Path

import pytest

from sweep.toolchain.compile_workers.job_process import fork


def open_files() -> list[str]:
    return sorted(entry.name for entry in Path("/proc/self/fd").iterdir())


def test_nothing_is_left_of_a_child_that_could_not_be_forked(tmp_path: Path) -> None:
    before, (soft, hard) = open_files(), resource.getrlimit(resource.RLIMIT_NOFILE)
    request = {"id": 1, "job": "echo", "kwargs": {}, "timeout_s": None, "memory_limit_bytes": None}
    with socket.socket() as control:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))  # no room for a pipe
        try:
            with pytest.raises(OSError, match="Too many open files"):
                fork(request, tmp_path, control, None)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert not list(tmp_path.iterdir())
    assert open_files() == before
