"""A log, line by line: which format it is, its records, and what of it is left out. The first wrong line ends it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from sweep.analysis.old_logs.ansor import ansor_record
from sweep.analysis.old_logs.autotvm import autotvm_record
from sweep.analysis.old_logs.old_record import Malformed, OldRecord
from sweep.errors import StudyError

__all__ = ["FORMATS", "LogReader"]

FORMATS = {"autotvm": "AutoTVM", "ansor": "Ansor"}
"""Name of each format for people."""
_ALLOWED = "a line of AutoTVM 0.2 or of Ansor v0.2 to v0.6, in JSON"
_PICKLED_FIELDS = (4, 6)
"""What AutoTVM's pickle protocol has of them in a line, between tabs: versions 0.1 and 0.2."""

Document = Mapping[str, Any]


class LogReader:
    """The records of one log. `tuner`, `lines` and `left_out` (counts by reason) are whole when it has been read."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tuner: str | None = None
        self.lines = 0
        self.left_out: Counter[str] = Counter()
        self._first = 0

    def records(self, lines: Iterable[bytes]) -> Iterator[tuple[bytes, OldRecord]]:
        """Each record with its line, without spaces around it.

        Raises:
            StudyError: a line is not a record, is of another format than the first or of an unknown version, or there
                is no record at all; names file, line and what is allowed.
        """
        for whole in lines:
            self.lines += 1
            line = whole.strip()
            if not line or line.startswith(b"#"):
                self.left_out["comment" if line else "blank line"] += 1
                continue
            try:
                document = _document(line)
            except Malformed as error:
                if self.tuner and not whole.endswith(b"\n"):  # its writer was killed
                    self.left_out["torn last line"] += 1
                    return
                raise self._complaint(error) from None
            yield line, self._record(document)
        if self.tuner is None:
            problem = "is empty" if not self.lines else "holds no tuning record"
            raise StudyError(problem, file=self.name, allowed=f"at least one line: {_ALLOWED}")

    def _record(self, document: Document) -> OldRecord:
        try:
            record = _parser_of(document)(document)
            if self.tuner not in (None, record.tuner):
                raise Malformed(
                    f"is of {FORMATS[record.tuner]}, and line {self._first} of {FORMATS[self.tuner or '']}",
                    allowed="one format in a file",
                )
        except Malformed as error:
            raise self._complaint(error) from None
        except RecursionError:
            raise self._complaint(Malformed("is nested too deep", allowed=_ALLOWED)) from None
        if self.tuner is None:
            self.tuner, self._first = record.tuner, self.lines
        return record

    def _complaint(self, error: Malformed) -> StudyError:
        return StudyError(
            error.problem, file=self.name, key=f"line {self.lines}", value=error.value, allowed=error.allowed
        )


def _document(line: bytes) -> Document:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        if line.count(b"\t") + 1 in _PICKLED_FIELDS:
            allowed = "a log that AutoTVM wrote as JSON, which is its default"
            raise Malformed("is pickled, and reading that would run code it holds", allowed=allowed) from None
        raise Malformed("is not JSON", allowed=_ALLOWED, value=line[:40].decode(errors="replace")) from None
    if not isinstance(document, dict):
        raise Malformed("is not a tuning record", allowed=_ALLOWED, value=document)
    return document


def _parser_of(document: Document) -> Callable[[Document], OldRecord]:
    keys = document.keys()
    if keys >= {"input", "config", "result"}:
        return autotvm_record
    if keys >= {"i", "r", "v"}:
        if isinstance(document["v"], str):
            return ansor_record
        allowed = "0.2; TVM 0.7 and later dropped version 0.1, whose task names and arguments were other ones"
        raise Malformed("is of AutoTVM's log version 0.1", allowed=allowed, value=document["v"])
    raise Malformed("is not a tuning record", allowed=_ALLOWED, value=sorted(keys))
