"""Programs of this host that a cluster file names: interpreters of device servers, and linkers."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from sweep.errors import StudyError
from sweep.study.cluster.cluster import Server
from sweep.study.cluster.cluster_form import ServerForm
from sweep.suggestions import listed

__all__ = ["read_program", "read_server"]

_OURS = ("OMP_NUM_THREADS", "PYTHONPATH", "PYTHONSAFEPATH", "TMPDIR", "TVM_BIND_THREADS", "TVM_NUM_THREADS")
"""Variables that the farm sets for each server, by the device's threads or by where its own files lie."""
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def read_server(form: ServerForm, file: Path, key: str) -> Server:
    """What a device's server runs under. Raises StudyError."""
    for name in form.env:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            allowed = "letters, digits and _"
            raise StudyError("is no name of a variable", file=file, key=f"{key}.env", value=name, allowed=allowed)
        if name in _OURS:
            allowed = f"any variable but {listed(_OURS)}"
            value = form.env[name]
            raise StudyError("is set by sweep", file=file, key=f"{key}.env.{name}", value=value, allowed=allowed)
    python = None if form.python is None else read_program(form.python, file, f"{key}.python")
    return Server(python, {name: _expanded(form.env[name], file, f"{key}.env.{name}") for name in sorted(form.env)})


def read_program(written: str, file: Path, key: str) -> str:
    """The absolute path of a program: by its name on PATH, or by a path that starts at the cluster file's folder.

    `~` and $VARIABLES are replaced. Raises StudyError where there is no such program.
    """
    expanded = _expanded(written, file, key)
    if "/" not in expanded:
        found = shutil.which(expanded)
        if found is None:
            raise StudyError(
                "is not on PATH", file=file, key=key, value=written, allowed="a program's name on PATH, or its path"
            )
        return found
    # Not resolved: an environment's interpreter is a link, and finds its packages by where the link is
    program = os.path.normpath(file.resolve().parent / Path(expanded).expanduser())
    if not Path(program).is_file() or not os.access(program, os.X_OK):
        problem = "cannot be executed" if Path(program).is_file() else "is not a file"
        raise StudyError(problem, file=file, key=key, value=program, allowed="a program")
    return program


def _expanded(text: str, file: Path, key: str) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in os.environ:
            raise StudyError(
                f"names a variable that is not set, {name}",
                file=file,
                key=key,
                value=text,
                allowed=f"variables of the environment; export {name} first",
            )
        return os.environ[name]

    return _VARIABLE.sub(value, text)
