"""Lines that somebody made up cost time and memory by their length alone, and what they do wrong is told in a line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from sweep.cli import main
from sweep.errors import STORED_CHARACTERS, LedgerError, cut_to_length
from sweep.files.line_log import MOST_LINE_BYTES
from sweep.running.ledger.ledger import Ledger, read_ledger
from sweep.running.ledger.lines import decode_line, encode_line

READ = """
import resource, sys
from pathlib import Path
from sweep.errors import SweepError
from sweep.running.ledger.ledger import read_ledger
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    print(read_ledger(Path(sys.argv[1])).seq)
except SweepError as error:
    print(type(error).__name__, error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def read_in_a_child(folder: Path) -> tuple[str, int]:
    """What a reader says, and by how many MiB it grew. It ends within 100 s of processor time."""
    command = ["bash", "-c", 'ulimit -t 100; exec "$@"', "-", sys.executable, "-c", READ, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said, grown = done.stdout.splitlines()
    return said, int(grown)


def ledger_of(folder: Path, lines: Iterable[bytes]) -> Path:
    with (folder / "ledger.jsonl").open("wb") as file:
        file.writelines(lines)
    return folder


def event(seq: int, name: str, **fields: Any) -> bytes:
    return encode_line({"seq": seq, "t": 1.0 * seq, "event": name, **fields})


def test_a_damaged_line_of_many_objects_takes_no_memory(tmp_path: Path) -> None:
    """600 kB took 24 GB: each place where two lines might meet made two copies of the line, all of them at once."""
    objects = b",".join([b'{"x":"y"}'] * 66_000)
    line = b'{"a":[' + objects + b'],"crc":"00000000"}\n'
    said, grown = read_in_a_child(
        ledger_of(tmp_path, [event(1, "run_started"), line, event(2, "run_ended", status="done")])
    )
    assert said == "2"
    assert grown < 64


def test_seams_that_are_none_take_one_pass(tmp_path: Path) -> None:
    line = b'{"a":1,"crc":"00000000"}?' * 40_000 + b"\n"
    said, grown = read_in_a_child(ledger_of(tmp_path, [event(1, "run_started"), line, line, event(2, "x")]))
    assert said == "2"
    assert grown < 64


def test_a_line_without_an_end_is_not_read_whole(tmp_path: Path) -> None:
    ledger_of(tmp_path, [event(1, "run_started")])
    os.truncate(tmp_path / "ledger.jsonl", 2 << 30)  # as a disk that lost power leaves it; it takes no room
    said, grown = read_in_a_child(tmp_path)
    assert said.startswith("LedgerError")
    first = len(event(1, "run_started"))
    assert f"more than 64 MiB after byte {first} are no events: restore it from a copy, or keep what is before" in said
    assert grown < 256


def test_a_tail_of_zeros_is_set_aside(tmp_path: Path) -> None:
    ledger_of(tmp_path, [event(1, "run_started")])
    os.truncate(tmp_path / "ledger.jsonl", 40 << 20)
    with Ledger(tmp_path) as ledger:
        assert ledger.state.seq == 1
    first = len(event(1, "run_started"))
    assert (tmp_path / f"ledger.torn-{first}").stat().st_size == (40 << 20) - first


def test_a_long_line_of_a_wrong_checksum_is_not_parsed(tmp_path: Path) -> None:
    line = b'{"a":[' + b",".join([b"{}"] * 3_000_000) + b'],"crc":"00000000"}\n'
    said, grown = read_in_a_child(ledger_of(tmp_path, [event(1, "run_started"), line, event(2, "x")]))
    assert said == "2"
    assert grown < 64, "the objects alone would take 200 MB"


def test_very_many_lines_of_one_event_take_no_memory(tmp_path: Path) -> None:
    fields = {"stage": "a", "kind": "build", "attempt": 1}
    lines = (event(seq, "attempt_started", **fields) for seq in range(1, 80_001))
    said, grown = read_in_a_child(ledger_of(tmp_path, lines))
    assert said == "80000"
    assert grown < 32


def test_a_line_that_is_nested_deep_is_damaged(tmp_path: Path) -> None:
    body = '{"seq":2,"t":1,"event":"x","a":' + "[" * 50_000 + "]" * 50_000
    line = f'{body},"crc":"{zlib.crc32((body + "}").encode()):08x}"}}\n'.encode()
    assert decode_line(line) is None


DONE = {"stage": "a", "kind": "measure", "attempt": 1, "seconds": 1.0, "result": {}}
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("stage_done", {**DONE, "result": {"run_secs": "fast"}}, "`run_secs` is 'fast', where a list belongs"),
    ("stage_done", {**DONE, "result": {"run_secs": [None]}}, "`run_secs` is null, where a number belongs"),
    ("stage_done", {**DONE, "result": {"blocks": [1]}}, "in `blocks`: the content is 1, where an object belongs"),
    (
        "stage_done",
        {**DONE, "result": {"tainted": [[]]}},
        "in `tainted`: the content is a list, where an object belongs",
    ),
    ("stage_done", {**DONE, "result": []}, "of event stage_done: `result` is a list, where an object belongs"),
    ("stage_done", {**DONE, "seconds": "1"}, "of event stage_done: `seconds` is '1', where a number belongs"),
    ("stage_done", {"stage": "a"}, "of event stage_done: `kind` is missing"),
    ("run_started", {"conditions": [1]}, "of event run_started: `conditions` is a list, where an object belongs"),
    ("run_ended", {"status": 3}, "of event run_ended: `status` is 3, where text belongs"),
    ("attempt_failed", {"stage": ["a"]}, "of event attempt_failed: `stage` is a list, where text belongs"),
    ("pair_measured", {"cells": ["a"], "blocks": []}, "of event pair_measured: `cells` is a list, where a list of 2"),
    ("cell_skipped", {"cell": {}, "reason": ""}, "of event cell_skipped: `cell` is an object, where text belongs"),
]


@pytest.mark.parametrize(("name", "fields", "said"), WRONG)
def test_a_right_checksum_of_wrong_types_is_refused_by_name(
    tmp_path: Path, name: str, fields: dict[str, Any], said: str
) -> None:
    ledger_of(tmp_path, [event(1, "run_started"), event(2, name, **fields)])
    with pytest.raises(LedgerError) as caught:
        read_ledger(tmp_path)
    assert said in str(caught.value)
    assert "restore the ledger from a copy" in str(caught.value)


def test_events_and_keys_of_a_newer_version_are_left_alone(tmp_path: Path) -> None:
    ledger_of(tmp_path, [event(1, "run_started", new=[1]), event(2, "of_a_newer_version", stage=1)])
    assert (read_ledger(tmp_path).seq, read_ledger(tmp_path).runs) == (2, 1)


def test_null_is_taken_for_a_key_that_is_missing(tmp_path: Path) -> None:
    nothing = dict.fromkeys(("version", "conditions", "only"))
    ledger_of(tmp_path, [event(1, "run_started", **nothing), event(2, "run_ended", status="done", reason=None)])
    state = read_ledger(tmp_path)
    assert (state.runs, state.conditions, state.last_status) == (1, {}, "done")


def test_an_error_is_kept_with_both_of_its_ends(tmp_path: Path) -> None:
    text = "first " + "x" * 5_000_000 + " last"
    short = cut_to_length(text)
    assert len(short) == STORED_CHARACTERS == 4_000
    assert short.startswith("first x")
    assert short.endswith("x last")
    assert "[... 4,996,011 more characters ...]" in short
    assert cut_to_length("x" * 4_000) == "x" * 4_000
    fields = {"stage": "a", "kind": "build", "attempt": 1, "error_class": "BuildFailed", "error": text, "retry": False}
    ledger_of(tmp_path, [event(1, "run_started"), event(2, "attempt_failed", **fields)])
    assert read_ledger(tmp_path).failed["a"].error == short, "of a ledger that others wrote"


def test_what_would_not_be_read_is_not_written(tmp_path: Path) -> None:
    """It was, and was damage to each reader from then on: 64 MiB of it, and the ledger could not be opened."""
    with Ledger(tmp_path) as ledger:
        ledger.append("run_started")
        fields = {**DONE, "result": {"curve": "x" * MOST_LINE_BYTES}}
        with pytest.raises(LedgerError, match=r"stage_done of measure stage a takes 33,554,\d+ bytes; allowed: up to"):
            ledger.append("stage_done", **fields)
        ledger.append("run_ended", status="interrupted")
    state = read_ledger(tmp_path)
    assert (state.seq, state.last_status, dict(state.done)) == (2, "interrupted", {})


def test_text_that_is_no_unicode_is_written_as_it_is_shown(tmp_path: Path) -> None:
    """A command line in the conditions may hold any bytes."""
    with Ledger(tmp_path) as ledger:
        ledger.append("run_started", conditions={"command": ["sweep run a\udcff.yaml"]})
    assert read_ledger(tmp_path).conditions == {"command": ["sweep run a\\udcff.yaml"]}


def test_status_says_it_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger_of(tmp_path, [event(1, "run_started", conditions=3)])
    assert main(["status", str(tmp_path), "--json"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"sweep: LedgerError: {tmp_path}/ledger.jsonl: line 1: of event run_started: `conditions`")
    assert err.count("\n") == 1
    assert json.dumps(3) in err
