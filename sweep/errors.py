"""The error tree: every failure a person can meet has a class here.

A stage that fails with one of these becomes an event in the ledger, by class name; anything else is a bug.
"""

from __future__ import annotations

import errno
import os
import re
import signal
from pathlib import Path

from sweep.plain_text import visible
from sweep.redaction import redacted, redacted_uri

__all__ = [
    "LOST",
    "STORED_CHARACTERS",
    "ArtifactDamaged",
    "BuildFailed",
    "CalibrateFailed",
    "CellTimeout",
    "CompilerLost",
    "DeviceError",
    "DeviceLost",
    "DiskFull",
    "EngineDown",
    "EngineError",
    "EvaluateFailed",
    "ImportFailed",
    "LedgerError",
    "LedgerUnwritable",
    "LowerFailed",
    "MeasureFailed",
    "MeasureTimeout",
    "NotRecorded",
    "OutOfMemory",
    "OutputMismatch",
    "OverTimeLimit",
    "PlanError",
    "QuantiseFailed",
    "RecordError",
    "StudyError",
    "SweepError",
    "ToolchainError",
    "TuneFailed",
    "WorkerKilled",
    "cut_to_length",
    "disk_refusal",
    "disk_refusal_in",
    "end_of_process",
    "in_one_line",
    "killed_by",
    "last_line",
    "was_lost",
]


_REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_LINE = 400


class SweepError(Exception):
    """Root of the tree."""

    traceback_text: str = ""
    """How it came about, where that was in another process."""
    disk_errno: int | None = None
    """With which number a disk has refused there, where that is behind it."""


def disk_refusal(error: BaseException | None) -> int | None:
    """With which number a disk has refused, if that is what an error says, or one that it was raised from.

    The number counts where there is one; of what other programs and libraries say there are only words.
    """
    while error is not None:
        number = getattr(error, "disk_errno", None) or getattr(error, "errno", None) or disk_refusal_in(str(error))
        if number in _REFUSALS:
            return number
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None


def disk_refusal_in(words: str) -> int | None:
    """The same of the output of a linker, or of a library that only writes what the matter is."""
    return next((number for number in _REFUSALS if os.strerror(number) in words), None)


def in_one_line(error: BaseException | str) -> str:
    """What an error says, in one line of 400 characters at most: compilers and libraries say more, over many. Of a
    longer one both ends: where it happened comes first, and the reason is often last.
    """
    text = visible(" ".join(redacted(str(error)).split()))
    return text if len(text) <= _LINE else f"{text[: _LINE // 2 - 3]} ... {text[-(_LINE // 2 - 2) :]}"


STORED_CHARACTERS = 4_000
"""Of an error that is stored: a compiler may say a megabyte, and a ledger is read whole."""


def cut_to_length(text: str, most: int = STORED_CHARACTERS) -> str:
    """A text of at most so many characters: of a longer one both ends, and between them how much is left out."""
    if len(text) <= most:
        return text
    mark = f" [... {len(text) - most:,} more characters ...] "
    kept = max(most - len(mark), 2)
    return f"{text[: kept // 2]}{mark}{text[len(text) - (kept - kept // 2) :]}"


def last_line(error: BaseException) -> str:
    """The last line of what an error says, where TVM has the reason below a trace; its class where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


class StudyError(SweepError):
    """Bad input from a person: says which file, which key, which value and what is allowed, in one line."""

    def __init__(
        self,
        problem: str,
        *,
        file: Path | str | None = None,
        key: str | None = None,
        value: object = None,
        allowed: str | None = None,
        line: int | None = None,
    ) -> None:
        self.problem, self.file, self.key, self.value, self.allowed = problem, file, key, value, allowed
        self.line = line
        """Of the file, from 1; `sweep.study.reading.line_numbers` finds it from the key."""
        super().__init__(str(self))

    def __str__(self) -> str:
        file = self.file if self.line is None else f"{self.file}:{self.line}"
        where = ": ".join(str(part) for part in (file, self.key) if part is not None)
        shown = "" if self.value is None else f" (got {_shorten(self.value)})"
        allowed = "" if self.allowed is None else f"; allowed: {self.allowed}"
        return visible(" ".join(f"{where}: {redacted(self.problem)}{shown}{allowed}".removeprefix(": ").split()))

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_study_error, (self.problem, self.file, self.key, self.value, self.allowed, self.line)


class PlanError(SweepError):
    """The plan cannot be made, or contradicts itself."""


class WorkerKilled(SweepError):
    """The process that did the work was killed from outside: by a person, or by the kernel for want of memory."""


class CellTimeout(SweepError):
    """A cell has used up its time, `budget: {cell_minutes}` of the study."""


class ToolchainError(SweepError):
    """The compiler's side failed."""


class ImportFailed(ToolchainError):
    """A model file could not be read into Relax: corrupt, an unsupported operator, a shape without a value."""


class CalibrateFailed(ToolchainError):
    """The ranges of a network's tensors could not be observed on samples."""


class QuantiseFailed(ToolchainError):
    """A network could not be put into integers, or TVM cannot read the network that this makes."""


class LowerFailed(ToolchainError):
    """An opt-level recipe could not be applied to a module."""


class TuneFailed(ToolchainError):
    """A tuner could not go on (a single failed candidate is a tuning record, not this)."""


class BuildFailed(ToolchainError):
    """Code generation or linking failed, crashed or ran out of time."""


class CompilerLost(ToolchainError):
    """The compile server ended, or could start no worker: what waited there was never tried."""


class OutputMismatch(ToolchainError):
    """Compiled code ran, and its output differs from the expected one by more than the threshold."""


class DeviceError(SweepError):
    """The device's side failed."""


class DeviceLost(DeviceError):
    """No session: the tracker or the server is away, the key is unknown, the connection broke."""


class MeasureFailed(DeviceError):
    """The device answered with an error."""


class MeasureTimeout(DeviceError):
    """The device did not answer in time."""


class OutOfMemory(DeviceError):
    """A network needs more memory than there is, or than its study allows: the same again would."""


class OverTimeLimit(DeviceError):
    """A call takes longer than the study's profile allows: the same again would."""


class EvaluateFailed(DeviceError):
    """Samples cannot be read, or are not of the form that a network takes, or it ranks no classes."""


class LedgerError(SweepError):
    """The ledger is held by another run, or is damaged beyond its torn last line."""


class LedgerUnwritable(LedgerError):
    """The disk refuses: full, gone or read-only. What was written before stays."""


class DiskFull(SweepError):
    """A stage could not write: the disk is full, over quota or read-only. What was written before stays."""


class ArtifactDamaged(SweepError):
    """Files that a stage has left are gone, or are not as they were: nothing is measured with them. The next run makes
    them again.
    """


class EngineError(SweepError):
    """The engine lost a worker: an actor died, a node left."""


class EngineDown(EngineError):
    """What the engine rests on is gone, Ray or the farm's supervisor, and all that was under way with it."""


class NotRecorded(EngineError):
    """The sweep that is replayed never ended such a stage."""


class RecordError(SweepError):
    """Results could not be recorded or read."""


LOST = (DeviceLost, CompilerLost, EngineError, EngineDown)
"""What did the work was lost, which says nothing of the work. `WorkerKilled` may say that it wants too much memory."""

_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
"""Signals that neither a compiler nor a network sends itself."""

_LOST_ONCE = re.compile(
    r"the compile server ended \(|the worker is gone: "  # ToolchainError, and BuildFailed of a candidate
    r"|crashed with SIG(KILL|TERM|HUP|INT)\b"  # of a compile worker: ImportFailed, LowerFailed, BuildFailed, ...
    r"|the code died of SIG(KILL|TERM|HUP|INT)\b|'s process ended with -(9|15|1|2):"  # MeasureFailed
)
"""How versions before these classes said it, under the class of the stage."""


def killed_by(code: int) -> str | None:
    """Of an exit code as `subprocess` gives it: the signal that came from outside, by its name."""
    return next((number.name for number in _FROM_OUTSIDE if code == -number), None)


def end_of_process(code: int) -> str:
    """An exit code as `subprocess` gives it, in words."""
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def was_lost(error_class: str | None, error: str | None) -> bool:
    """Whether an error that a ledger or a log of trials holds is the loss of what did the work."""
    if any(error_class == lost.__name__ for lost in LOST):
        return True
    return error is not None and _LOST_ONCE.search(error) is not None


def _shorten(value: object, limit: int = 80) -> str:
    """A value in one line; a long one by both of its ends, since a path is known by its last part."""
    text = repr(redacted_uri(value)) if isinstance(value, str) else redacted(repr(value))
    if len(text) <= limit:
        return text
    kept = limit - len("...")
    return f"{text[: kept // 2]}...{text[-(kept - kept // 2) :]}"


def _rebuild_study_error(
    problem: str, file: str, key: str, value: object, allowed: str, line: int | None = None
) -> StudyError:
    return StudyError(problem, file=file, key=key, value=value, allowed=allowed, line=line)
