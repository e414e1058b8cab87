"""Performs one case in this process and says what was wrong with it."""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from tests.fuzz.room import Case, case_of

__all__ = ["perform"]

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGING = {
    "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown",
    "shutil.rmtree",
}  # fmt: skip
_HARMLESS = ("/dev/null", "/dev/tty", "/proc/self")
_MOST_ERROR_LINES = 12
"""Of a command. Several files may be damaged, each of which has a line."""


def perform(
    seed: int, base: Path, folder: Path, imports: float, begun: Callable[[Sequence[str]], None]
) -> tuple[str | None, Sequence[str]]:
    """What was wrong, or None, and the exit code of each command."""
    begun(["its files"])
    case = case_of(seed, base, folder)
    begun(case.changed)
    _Watch.folder = str(folder.resolve())
    _Watch.install()
    codes = []
    os.chdir(folder)
    try:
        for arguments in case.commands:
            what, code = _command(arguments)
            codes.append(code)
            if what is not None:
                return f"sweep {' '.join(arguments)}: {what}", codes
        if _is_model(case) and Random(seed).random() < imports / 0.15:
            from tests.fuzz.model_import import import_of

            codes.append("import")
            return import_of(folder / case.changed[0], folder), codes
    finally:
        _Watch.folder = ""
        os.chdir("/")
    return None, codes


def _is_model(case: Case) -> bool:
    return list(case.changed) == ["two_layers.onnx"]


def _command(arguments: Sequence[str]) -> tuple[str | None, str]:
    from sweep.cli import main

    _Watch.outside.clear()
    _build_commands_once()
    out, err = io.StringIO(), io.StringIO()
    handler = logging.StreamHandler(err)
    logging.lastResort, former = handler, logging.lastResort
    handler.setLevel(logging.WARNING)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(list(arguments))
    except Exception:
        return _where(traceback.format_exc()), "traceback"
    finally:
        logging.lastResort = former
    said = err.getvalue()
    if _Watch.outside:
        return f"writes outside: {', '.join(sorted(_Watch.outside)[:3])}", "outside"
    if "Traceback (most recent" in said:
        return _where(said), "traceback"
    if code not in ((0, 1, 2, 3) if arguments[0] == "compare" else (0, 1, 2)):  # 3: it cannot be told
        return f"ends with {code}", str(code)
    if code == 2 and not said.strip():
        return "is refused without a word", "2"
    if said.count("\n") > _MOST_ERROR_LINES:
        return f"says {said.count(chr(10))} lines: {said[:200]!r}", str(code)
    return None, str(code)


def _build_commands_once() -> None:
    """Typer makes all commands anew at each call, which takes a third of the time."""
    import typer.main

    if not hasattr(typer.main.get_command, "cache_info"):
        typer.main.get_command = functools.cache(typer.main.get_command)


def _where(trace: str) -> str:
    """The error and where in this program it came up."""
    lines = trace.strip().splitlines()
    own = [line.strip() for line in lines if "/sweep/" in line and "File" in line]
    return f"{lines[-1][:200]} ({own[-1] if own else lines[-2].strip()})"


class _Watch:
    """Notes files outside the folder of the case that are opened to be written, made, moved or removed."""

    folder = ""
    outside: set[str] = set()  # noqa: RUF012
    _is_installed = False

    @classmethod
    def install(cls) -> None:
        """For the life of this process: an audit hook cannot be taken out."""
        if not cls._is_installed:
            cls._is_installed = True
            sys.addaudithook(cls._hear)

    @classmethod
    def _hear(cls, event: str, arguments: tuple[object, ...]) -> None:
        if not cls.folder:
            return
        if event == "open":
            path, mode, flags = arguments
            is_writing = bool(flags & _WRITES) if isinstance(flags, int) else "r" not in str(mode)
            if is_writing:
                cls._note(path)
        elif event in _CHANGING:
            for path in arguments[:2]:
                cls._note(path)

    @classmethod
    def _note(cls, path: object) -> None:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        whole = Path.cwd() / os.fsdecode(path)
        real = str(whole.parent.resolve() / whole.name)
        if not real.startswith((cls.folder, *_HARMLESS)):
            cls.outside.add(real)
