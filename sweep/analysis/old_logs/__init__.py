"""Logs of TVM's older tuners, AutoTVM and Ansor (auto_scheduler): lines to records. TVM itself no longer has either.

AutoTVM 0.2: one JSON mapping a line, with `input` [target, task name, arguments, named arguments], `config` {index,
code_hash, entity: [[knob, kind, choice], ...]}, `result` and `version`. Ansor v0.2 to v0.6: `i` [[workload key,
target, and from version to version more of the task], [[], [transform step, ...]]], `r` and `v`. The result is the same
in both: [[seconds of each repeat], error number, seconds of build and run together, Unix time].

Pure: lines come in, records and one-line complaints go out. Neither format says which device it was measured on.
"""

from sweep.analysis.old_logs.log_reader import FORMATS, LogReader
from sweep.analysis.old_logs.old_record import OldRecord

__all__ = ["FORMATS", "LogReader", "OldRecord"]
