"""Old tuning logs become tuning records: several logs at once, all of them or none.

The folder that they go to keeps the logs (`records/DEVICE/TUNER.jsonl`) and the table made of them. It is no sweep's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from sweep.analysis.formatting import plural
from sweep.analysis.old_logs import FORMATS, LogReader
from sweep.errors import StudyError
from sweep.files.sweep_dir import SweepDir

if TYPE_CHECKING:
    from sweep.record.imported_logs import ImportedLogs

__all__ = ["Import", "ImportedLog", "LogSource", "import_logs", "sources_of"]

_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=-]*")
"""What a cluster file takes as a key."""
_LOGS = "an AutoTVM or Ansor log"
_WAIT_S = 600.0
"""For another import into the same folder."""


@dataclass(frozen=True, slots=True)
class LogSource:
    """One log, and the device that it was measured on."""

    path: Path
    device: str


@dataclass(frozen=True, slots=True)
class ImportedLog:
    """The result of importing one log: its format, its records, and the lines that were left out."""

    path: str
    device: str
    tuner: str
    """autotvm or ansor."""
    lines: int
    records: int
    """New ones."""
    workloads: int
    """Of these."""
    failed: Mapping[str, int]
    """Failed trials among them, by class of error."""
    left_out: Mapping[str, int]
    """Lines that are no new record, by reason."""

    def as_text(self) -> str:
        """One line, and one more for what was left out."""
        new = plural(self.records, "new record") + (f" of {plural(self.workloads, 'workload')}" if self.records else "")
        text = f"{self.path}: {FORMATS[self.tuner]} on {self.device}, {plural(self.lines, 'line')}, {new}"
        text += f", of these failed: {_counted(self.failed)}" if self.failed else ""
        return text + (f"\n  left out: {_counted(self.left_out)}" if self.left_out else "")


@dataclass(frozen=True, slots=True)
class Import:
    """The result of importing all logs, and the number of records that the folder now holds."""

    logs: Sequence[ImportedLog]
    table: str
    records: int
    workloads: int
    shared_workloads: int
    """Of these, those with a time on two devices or more."""
    devices: Sequence[str]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def as_text(self) -> str:
        """A line or two for each log, and one for the table."""
        held = f"{plural(self.records, 'record')} of {plural(self.workloads, 'workload')} on {', '.join(self.devices)}"
        shared = f"; {self.shared_workloads:,} with a time on two devices or more" if len(self.devices) > 1 else ""
        return "\n".join([*(log.as_text() for log in self.logs), f"{self.table}: {held}{shared}"])


def sources_of(arguments: Sequence[str], device: str | None) -> list[LogSource]:
    """Of `LOG` and `KEY=LOG`, as a person types them. Raises StudyError."""
    sources = []
    for argument in arguments:
        key, mark, path = argument.partition("=")
        if mark and not _is_there(Path(argument)):
            sources.append(LogSource(Path(path), _checked(key, "KEY=LOG")))
        elif device is None:
            allowed = "--device KEY, or KEY=LOG for each log"
            raise StudyError("names no device, and the log does not either", key="LOG", value=argument, allowed=allowed)
        else:
            sources.append(LogSource(Path(argument), _checked(device, "--device")))
    return sources


def import_logs(sources: Sequence[LogSource], out: Path | str) -> Import:
    """Read AutoTVM and Ansor logs, and add to the folder's logs and table what they do not have yet.

    Raises:
        StudyError: a log or a line of it cannot be read, or the folder is no place for it; nothing is written.
        RecordError: the folder cannot be written.
    """
    out = Path(out)
    for source in sources:
        _check_file(source.path)
    with _claimed(out):
        from sweep.record.imported_logs import ImportedLogs

        with ImportedLogs(out) as kept:
            logs = [_read(source, kept) for source in sources]
            table = kept.save()
    timed = table.filter(table["run_secs"].is_valid()).select(["workload", "device"])
    devices_of = timed.group_by("workload").aggregate([("device", "count_distinct")])["device_count_distinct"]
    return Import(
        logs=logs,
        table=str(SweepDir(out).table("records")),
        records=table.num_rows,
        workloads=len(table["workload"].unique()),
        shared_workloads=sum(count > 1 for count in devices_of.to_pylist()),
        devices=table["device"].unique().to_pylist(),
    )


def _read(source: LogSource, kept: ImportedLogs) -> ImportedLog:
    reader = LogReader(str(source.path))
    left_out: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    workloads: set[str] = set()
    records = 0
    try:
        with source.path.open("rb") as file:
            for line, record in reader.records(file):
                reason = kept.of(source.device, record.tuner).add(line, record)
                if reason is not None:
                    left_out[reason] += 1
                    continue
                records += 1
                workloads.add(record.workload)
                if record.result.error_class is not None:
                    failed[record.result.error_class] += 1
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
        raise StudyError(problem, file=source.path, allowed=_LOGS) from error
    return ImportedLog(
        path=str(source.path),
        device=source.device,
        tuner=str(reader.tuner),
        lines=reader.lines,
        records=records,
        workloads=len(workloads),
        failed=dict(failed.most_common()),
        left_out=dict((left_out + reader.left_out).most_common()),
    )


@contextmanager
def _claimed(out: Path) -> Iterator[None]:
    """The folder, for this import alone. Where the import is refused, nothing of it stays."""
    made: list[Path] = []
    try:
        made = [folder for folder in (out, *out.parents) if not folder.exists()]
        _check_folder(out)
        out.mkdir(parents=True, exist_ok=True)
        with FileLock(SweepDir(out).import_lock, timeout=_WAIT_S):
            yield
        made = []
    except Timeout:
        allowed = "another folder, or the same command when that is done"
        raise StudyError("is in use by another import", key="--out", value=str(out), allowed=allowed) from None
    except OSError as error:
        problem = f"cannot be used: {error.strerror or error}"
        allowed = "a folder that can be written"
        raise StudyError(problem, key="--out", value=str(out), allowed=allowed) from error
    finally:
        for folder in made:
            with suppress(OSError):
                SweepDir(folder).import_lock.unlink(missing_ok=True)
                folder.rmdir()


def _check_folder(out: Path) -> None:
    files = SweepDir(out)
    files.check_inside()
    if not out.exists() or (out.is_dir() and not any(path != files.import_lock for path in out.iterdir())):
        return
    allowed = "a new, an empty or an earlier import's folder"
    if not out.is_dir():
        raise StudyError("is not a folder", key="--out", value=str(out), allowed=allowed)
    if files.is_taken:
        raise StudyError("is a sweep's, which has records of its own", key="--out", value=str(out), allowed=allowed)
    if files.import_lock.exists():  # also while the first import into it writes its first log
        return
    if not any(path for name in FORMATS for path in files.records.glob(f"*/{name}.jsonl")):
        raise StudyError("holds other things", key="--out", value=str(out), allowed=allowed)


def _check_file(path: Path) -> None:
    if not _is_there(path):
        raise StudyError("does not exist", file=path, allowed=_LOGS)
    if not path.is_file():
        raise StudyError("is a directory" if path.is_dir() else "is not a file", file=path, allowed=_LOGS)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # such as a name that is too long
        return False


def _checked(device: str, key: str) -> str:
    if not _DEVICE.fullmatch(device):
        raise StudyError("is no key of a device", key=key, value=device, allowed="letters, digits and . _ + = -")
    return device


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in counts.items())
