"""The environment of the processes that actors are in, and how an embedded Ray comes to have it.

Ray gives an actor variables of its own only in a process that it starts for it. An embedded Ray has them from its start
on, so that the worker which it keeps ready is taken: else that one has loaded Ray, for a second of a core, for nobody.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sweep.installation import IMPORT_LAST

__all__ = ["given_to_what_starts", "worker_environment"]


def worker_environment(temp_dir: Path | None) -> dict[str, str]:
    """temp_dir: for temporary files: what a killed worker leaves goes away with it. None: the usual one."""
    own = {} if temp_dir is None else {"TMPDIR": str(temp_dir)}
    return {"OMP_NUM_THREADS": "1", "TVM_NUM_THREADS": "1", IMPORT_LAST: str(Path.cwd()), **own}


@contextmanager
def given_to_what_starts(variables: Mapping[str, str]) -> Iterator[None]:
    """Meanwhile this process's environment has the variables: for what it starts, and all that this starts later."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
