"""Logs of trials on a disk that fills up: in a child whose files may not grow the kernel refuses as a full one does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.files.line_log import LineLog, check_whole, cut_torn_line
from sweep.toolchain.tuning.records.trial_logs import read_trials

LINE = "x" * 99


def test_a_full_disk_takes_whole_lines_only(tmp_path: Path) -> None:
    path = tmp_path / "log"
    code = (
        "import resource, signal, sys; from pathlib import Path;"
        "from sweep.files.line_log import LineLog;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (250, resource.RLIM_INFINITY));"
        f"log = LineLog(Path({str(path)!r}));"
        f"[log.append({LINE!r}) for _ in range(5)]"
    )
    full = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "OSError" in full.stderr
    assert path.read_text() == f"{LINE}\n" * 2
    LineLog(path).append(LINE)
    assert path.read_text() == f"{LINE}\n" * 3


def test_a_torn_line_of_a_foreign_writer_is_seen_and_cut(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(f"{LINE}\n")
    check_whole(path)
    path.write_text(f"{LINE}\n{LINE}")
    with pytest.raises(OSError, match="No space left"):
        check_whole(path)
    assert cut_torn_line(path) == len(LINE)
    check_whole(path)
    path.write_text("")
    check_whole(path)


def test_a_damaged_trial_costs_itself(tmp_path: Path) -> None:
    texts = dict.fromkeys("workload task tuner device target trace_hash".split(), "x")
    nulls = dict.fromkeys("run_secs error_class error build_s measure_s record".split())
    good = json.dumps({**texts, **nulls, "trial": 1, "t": 1.5, "of_a_newer_version": []}) + "\n"
    (tmp_path / "trials.jsonl").write_bytes(good.encode() + b'{"workload": \xff\n' + good.encode() + good[:9].encode())

    with (tmp_path / "trials.jsonl").open("a") as file:
        file.write("\n" + good.replace("1.5", '"noon"'))

    assert len(list(read_trials(tmp_path))) == 2
