"""The ledger: one writer, whole lines, the same state however it was reached."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import filelock
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.errors import LedgerError
from sweep.planning.results.compiling import BuildResult
from sweep.running.ledger.ledger import EventRefused, Ledger, is_held, read_ledger
from sweep.running.ledger.state import LedgerState
from sweep.running.ledger.tail import LedgerTail
from sweep.running.signals import OrderlyEnd


def fill(folder: Path) -> None:
    """Of numbers that no other text means: `2e0` is 2.0, and the clock's last digit is below what a float can tell."""
    done = {"result": {"build_s": 1.5}, "seconds": 2.5, "worker": "w"}
    failed = {"error_class": "BuildFailed", "error": "ä\nb", "retry": False}
    with Ledger(folder) as ledger:
        ledger.append("run_started", t=0.5, conditions={"host": "h"})
        for stage in ("a", "b", "c"):
            ledger.append("attempt_started", t=1.5, stage=stage, kind="build", attempt=1)
        ledger.append("stage_done", t=2.5, stage="a", kind="build", attempt=1, **done)
        ledger.append("attempt_failed", t=3.5, stage="b", kind="build", attempt=1, **failed)


def test_state_survives_reopening(tmp_path: Path) -> None:
    fill(tmp_path)
    with Ledger(tmp_path) as ledger:
        state = ledger.state
        assert state.done["a"].result == BuildResult(build_s=1.5)
        assert state.failed["b"].error == "ä\nb"
        assert state.started == {"c"}
        assert [state.attempts_of(stage) for stage in "abcd"] == [1, 1, 1, 0]
        assert (state.runs, state.seq) == (1, 6)
        ledger.append("run_started", conditions={})
        assert ledger.state.seq == 7
    assert read_ledger(tmp_path).seq == 7


def test_the_pauses_between_runs_are_no_work(tmp_path: Path) -> None:
    """The second run was killed: its last line ends it. A clock that was set back takes nothing away."""
    story = [
        ("run_started", 100.0),
        ("attempt_started", 110.0),
        ("run_ended", 130.0),
        ("run_started", 10_000.0),
        ("attempt_started", 10_005.0),
        ("run_started", 20_000.0),
        ("attempt_started", 19_000.0),
        ("run_ended", 19_002.0),
        ("pair_measured", 50_000.0),
    ]
    state = LedgerState()
    for seq, (event, t) in enumerate(story, 1):
        line = {"seq": seq, "t": t, "event": event, "stage": "a", "attempt": 1, "status": "done"}
        state.apply({**line, "cells": ["a", "b"], "blocks": []})
    assert state.worked_s == 30.0 + 5.0 + 2.0


def test_a_success_after_a_failure_clears_it(tmp_path: Path) -> None:
    fill(tmp_path)
    with Ledger(tmp_path) as ledger:
        ledger.append("stage_done", stage="b", kind="build", attempt=2, result={}, seconds=1.0, worker="w")
        assert "b" not in ledger.state.failed


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400))
def test_a_torn_tail_costs_only_itself(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    folder = tmp_path_factory.mktemp("ledger")
    fill(folder)
    path = folder / "ledger.jsonl"
    data = path.read_bytes()
    path.write_bytes(data[:-cut] if cut < len(data) else b"")
    whole = path.read_bytes().count(b"\n")
    with Ledger(folder) as ledger:
        assert ledger.state.seq == whole
        ledger.append("run_started", conditions={})
    assert read_ledger(folder).seq == whole + 1
    torn = list(folder.glob("ledger.torn-*"))
    assert b"".join([path.read_bytes(), *[t.read_bytes() for t in torn]]).count(b"run_started") >= 1


@settings(max_examples=3 * settings.default.max_examples)
@given(st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_a_wrong_byte_is_put_right(tmp_path_factory: pytest.TempPathFactory, place: float, difference: int) -> None:
    """Wherever it is, the line breaks included, but for the last one: there it is the torn end of a line."""
    folder = tmp_path_factory.mktemp("ledger")
    fill(folder)
    path = folder / "ledger.jsonl"
    right = path.read_bytes()
    wrong = bytearray(right)
    wrong[int(place * (len(right) - 1))] ^= difference
    path.write_bytes(bytes(wrong))

    state = read_ledger(folder)
    assert path.read_bytes() == bytes(wrong), "a reader changes nothing"
    with Ledger(folder) as ledger:
        assert ledger.state == state
        assert (state.seq, state.done["a"].result, state.failed["b"].error) == (6, BuildResult(build_s=1.5), "ä\nb")
    assert path.read_bytes() == right
    (aside,) = folder.glob("ledger.damaged-*")
    assert aside.read_bytes() in bytes(wrong)


def test_a_writer_reads_results_back_from_its_file_as_a_reader_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a line was lost, a byte was put right, and a line break had become another byte."""
    monkeypatch.setattr("sweep.running.ledger.finished_stages._AT_HAND", 0)
    with Ledger(tmp_path) as ledger, ledger.together():
        for number, stage in enumerate("abcdef"):
            fields = {"kind": "build", "seconds": 1.0, "worker": "w"}
            ledger.append(
                "stage_done", stage=stage, attempt=number, result={"ä": number, "artifact_bytes": number}, **fields
            )
    path = tmp_path / "ledger.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = bytes(len(lines[1]) - 1) + b"\n"
    lines[3] = lines[3].replace(b"build", b"built")
    lines[4] = lines[4][:-1] + b"?"
    path.write_bytes(b"".join(lines))

    read = read_ledger(tmp_path)
    with Ledger(tmp_path) as ledger:
        assert dict(ledger.state.done) == dict(read.done)
        assert {stage: one.result for stage, one in ledger.state.done.items()} == {
            stage: BuildResult(artifact_bytes=number) for stage, number in zip("acdef", (0, 2, 3, 4, 5), strict=True)
        }
        ledger.append(
            "stage_done", stage="b", kind="build", attempt=7, result={"ä": 1, "lib": "ä"}, seconds=1.0, worker="w"
        )
        assert (ledger.state.done["b"].result, ledger.state.attempts_of("b")) == (BuildResult(lib="ä"), 7)
        data = path.read_bytes()
        path.write_bytes(bytes(len(data)))
        with pytest.raises(LedgerError, match="was damaged while it was in use"):
            ledger.state.done["b"]
        path.write_bytes(data)
    assert read_ledger(tmp_path) == ledger.state


def test_a_line_that_cannot_be_put_right_costs_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path)
    path = tmp_path / "ledger.jsonl"
    data = bytearray(path.read_bytes())
    place = data.index(b"stage_done")
    data[place : place + 8] = bytes(8)  # as a disk that lost power may leave it
    path.write_bytes(bytes(data))

    state = read_ledger(tmp_path)
    assert "a" not in state.done
    assert state.started == {"a", "c"}
    assert "1 damaged lines are left out" in caplog.text
    with Ledger(tmp_path) as ledger:
        ledger.append("stage_done", stage="a", kind="build", attempt=2, result={}, seconds=1.0, worker="w")
        assert ledger.state.seq == 7
    assert read_ledger(tmp_path).done["a"].attempt == 2
    assert path.read_bytes().startswith(bytes(data)), "a ledger is added to, and nothing is taken out"


def test_several_damaged_lines_cost_themselves(tmp_path: Path) -> None:
    fill(tmp_path)
    path = tmp_path / "ledger.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    spoilt = [lines[0], b"\0" * 40 + b"\n", lines[2].replace(b"attempt", b"\xffxx\0\0\0\0", 1), *lines[3:]]
    path.write_bytes(b"".join(spoilt))

    state = read_ledger(tmp_path)

    assert (state.seq, set(state.attempts), set(state.done)) == (6, {"c"}, {"a"})


def test_a_follower_sees_what_a_reader_sees(tmp_path: Path) -> None:
    fill(tmp_path)
    path = tmp_path / "ledger.jsonl"
    data = bytearray(path.read_bytes())
    place = data.index(b"stage_done")
    data[place : place + 8] = bytes(8)
    data[10] ^= 4
    path.write_bytes(b"")
    tail = LedgerTail(path)
    for byte in range(0, len(data), 7):
        with path.open("ab") as file:
            file.write(data[byte : byte + 7])
        tail.news()

    assert tail.state == read_ledger(tmp_path)


def test_the_lock_of_a_folder_that_was_moved_is_not_taken_for_its_successors(tmp_path: Path) -> None:
    """`--fresh` moves the folder while it holds the lock, and another run may be waiting for it."""
    sweep_dir = tmp_path / "out"
    first = Ledger(sweep_dir)
    code = (
        "import sys; from sweep.running.ledger.ledger import Ledger; from pathlib import Path;"
        f"print('here', flush=True); ledger = Ledger(Path({str(sweep_dir)!r})); ledger.append('run_started');"
        "print('holds', flush=True); sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    other = subprocess.Popen([sys.executable, "-c", code], **pipes)  # type: ignore[call-overload]
    assert other.stdout.readline() == "here\n"
    first.move(tmp_path / "out.old-1")
    first.close()

    assert other.stdout.readline() == "holds\n"
    assert is_held(sweep_dir)
    assert not is_held(tmp_path / "out.old-1")
    assert not (tmp_path / "out.old-1" / "ledger.holder.json").exists()
    assert (sweep_dir / "ledger.holder.json").exists()
    other.communicate()
    assert read_ledger(sweep_dir).runs == 1


def test_looking_whether_a_folder_is_held_keeps_no_run_out(tmp_path: Path) -> None:
    fill(tmp_path)
    looker = filelock.FileLock(tmp_path / "ledger.lock", thread_local=False)
    with looker:
        threading.Timer(0.2, looker.release, kwargs={"force": True}).start()
        with Ledger(tmp_path) as ledger:
            assert ledger.state.seq == 6


def test_two_who_look_do_not_see_each_other(tmp_path: Path) -> None:
    """A look that took the lock was taken for a driver by another look: in 21 of 1,500."""
    fill(tmp_path)

    def look(_: int) -> bool:
        return any(is_held(tmp_path) for _ in range(500))

    with ThreadPoolExecutor(4) as threads:
        assert not any(threads.map(look, range(4)))
    with Ledger(tmp_path):
        assert is_held(tmp_path)
    assert not is_held(tmp_path)
    assert not is_held(tmp_path / "absent")


def test_a_missing_line_is_found(tmp_path: Path) -> None:
    fill(tmp_path)
    path = tmp_path / "ledger.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2] + lines[3:]))
    with pytest.raises(LedgerError, match="line 3 is damaged"):
        read_ledger(tmp_path)


def test_values_that_json_cannot_hold_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        with pytest.raises(EventRefused, match="x of no stage -: value is nan; allowed: a finite number, so it is not"):
            ledger.append("x", value=float("nan"))
        ledger.append("run_started", conditions={})
    assert read_ledger(tmp_path).seq == 1


_FULL = """
import resource, signal, sys
from pathlib import Path
from sweep.errors import LedgerUnwritable
from sweep.running.ledger.ledger import Ledger

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
ledger = Ledger(Path(sys.argv[1]))
for n in range(3):
    try:
        with ledger.together():
            for n in range(100 if n == 1 else 8):
                ledger.append("run_started", conditions={"n": n})
    except LedgerUnwritable as error:
        print(error)
    print(ledger.state.seq)
try:
    ledger.append("run_started", conditions={"n": "x" * 2000})
except LedgerUnwritable as error:
    print(error)
"""


def test_a_full_disk_is_named_and_leaves_whole_lines(tmp_path: Path) -> None:
    """In a child whose files may not grow beyond 2,000 bytes: the kernel refuses as a full disk does."""
    full = subprocess.run([sys.executable, "-c", _FULL, str(tmp_path)], capture_output=True, text=True, check=False)
    path = tmp_path / "ledger.jsonl"
    refused = f"{path}: cannot be written: [Errno 27] File too large"
    assert full.stdout.splitlines() == ["8", refused, "8", "16", refused], full.stderr
    assert path.read_bytes().count(b"\n") == 16
    assert path.read_bytes().endswith(b"\n"), "nothing is left of what was refused, however often"
    with Ledger(tmp_path) as ledger:
        ledger.append("run_started", conditions={})
    assert read_ledger(tmp_path).seq == 17


def test_what_is_written_together_waits_for_the_disk_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync, synced = os.fsync, []

    def counted(number: int) -> None:
        fsync(number)
        synced.append(read_ledger(tmp_path).seq)

    with Ledger(tmp_path) as ledger, monkeypatch.context() as patched:
        patched.setattr(os, "fsync", counted)
        with ledger.together():
            for stage in "abc":
                ledger.append("attempt_started", stage=stage, kind="build", attempt=1)
            assert (ledger.state.seq, read_ledger(tmp_path).seq) == (0, 0)
        assert (ledger.state.started, synced) == (set("abc"), [3])
        with ledger.together():
            pass
        assert synced == [3]

        def spoilt() -> None:
            with ledger.together():
                ledger.append("attempt_started", stage="d", kind="build", attempt=1)
                ledger.append("x", value=float("nan"))

        with pytest.raises(EventRefused):
            spoilt()
    assert synced == [3, 4]
    assert read_ledger(tmp_path) == ledger.state


def test_a_second_writer_is_refused_with_the_holder_named(tmp_path: Path) -> None:
    code = f"from sweep.running.ledger.ledger import Ledger; from pathlib import Path; Ledger(Path({str(tmp_path)!r}))"
    with Ledger(tmp_path):
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert other.returncode != 0
    assert "is in use by another `sweep run` (process " in other.stderr
    with Ledger(tmp_path):
        pass  # and is free again


def test_a_killed_writer_leaves_the_folder_free(tmp_path: Path) -> None:
    code = (
        "from sweep.running.ledger.ledger import Ledger; from pathlib import Path; import os;"
        f"l = Ledger(Path({str(tmp_path)!r}));"
        "l.append('run_started', conditions={}); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    with Ledger(tmp_path) as ledger:
        assert ledger.state.runs == 1
        assert ledger.state.last_status is None


def test_lines_are_json_with_a_checksum(tmp_path: Path) -> None:
    fill(tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, 7))
    assert all(len(line["crc"]) == 8 for line in lines)


def test_a_folder_without_ledger_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"is not a sweep directory: it has no ledger\.jsonl"):
        read_ledger(tmp_path)


def test_ctrl_c_in_the_middle_of_a_line_waits_for_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It came between the line and its state once: the next line had the same number, and both were set aside."""
    fsync = os.fsync

    def slow_disk(number: int) -> None:
        fsync(number)
        signal.raise_signal(signal.SIGINT)

    with Ledger(tmp_path) as ledger, OrderlyEnd():
        ledger.append("run_started")
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", slow_disk)
            with pytest.raises(KeyboardInterrupt):
                ledger.append("attempt_started", stage="a", kind="import", attempt=1)
        ledger.append("run_ended", status="interrupted", executed=0)
        assert ledger.state.seq == 3
    lines = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert [line["seq"] for line in lines] == [1, 2, 3]
    assert read_ledger(tmp_path).attempts == {"a": 1}
