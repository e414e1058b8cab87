"""Functions of a network that have not changed are not compiled again, and one that is not whole is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sweep.toolchain.compiled_functions import make_room
from tests.toolchain.conftest import TARGET, Run, build, lower

pytestmark = pytest.mark.tvm


def test_a_second_build_compiles_what_has_changed_alone(run: Run, small: Path, tmp_path: Path) -> None:
    lower(run, small, tmp_path / "lower", 3)
    build(run, tmp_path / "lower", tmp_path / "untuned")
    again = build(run, tmp_path / "lower", tmp_path / "again")
    assert again["reused_functions"] == again["functions"] - 1  # one is compiled with the executable
    assert (tmp_path / "again" / "lib.so").read_bytes() == (tmp_path / "untuned" / "lib.so").read_bytes()
    records = {"lower_dir": str(tmp_path / "lower"), "records_dir": str(tmp_path / "records")}
    run(":invent_records", **records, target=TARGET, seed=31)
    tuned = build(run, tmp_path / "lower", tmp_path / "tuned", tmp_path / "records")
    assert tuned["reused_functions"] < again["reused_functions"]
    found = run(":run_artifact", artifact_dir=str(tmp_path / "tuned"), import_dir=str(small))
    assert found["difference"] <= 1e-5


def test_a_function_that_was_compiled_as_a_candidate_is_not_compiled_again(
    run: Run, small: Path, tmp_path: Path
) -> None:
    lower(run, small, tmp_path / "lower", 3)
    before = build(run, tmp_path / "lower", tmp_path / "untuned")
    records = str(tmp_path / "records")
    run(":invent_records", lower_dir=str(tmp_path / "lower"), records_dir=records, target=TARGET, seed=47)
    made = run(":build_recorded", records_dir=records, out_dir=str(tmp_path / "candidates"), target=TARGET)
    tuned = build(run, tmp_path / "lower", tmp_path / "tuned", tmp_path / "records")
    assert made["candidates"] == tuned["tuned_tasks"] == before["functions"]
    assert tuned["reused_functions"] == tuned["functions"] - 1  # one is compiled with the executable
    found = run(":run_artifact", artifact_dir=str(tmp_path / "tuned"), import_dir=str(small))
    assert found["difference"] <= 1e-5


def test_a_function_that_is_not_whole_is_compiled_again(run: Run, small: Path, tmp_path: Path) -> None:
    lower(run, small, tmp_path / "lower", 2)
    whole = build(run, tmp_path / "lower", tmp_path / "whole")
    kept = list(Path(run(":kept_functions")["folder"]).iterdir())
    assert len(kept) >= whole["functions"] - 1
    for file in kept:
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    again = build(run, tmp_path / "lower", tmp_path / "again")
    assert again["reused_functions"] == 0
    found = run(":run_artifact", artifact_dir=str(tmp_path / "again"), import_dir=str(small))
    assert found["difference"] <= 1e-5


def test_a_library_for_another_processor_reuses_nothing(run: Run, small: Path, tmp_path: Path) -> None:
    lower(run, small, tmp_path / "here", 3)
    build(run, tmp_path / "here", tmp_path / "first")
    other = {"kind": "llvm", "mcpu": "x86-64", "num-cores": 1}
    lower(run, small, tmp_path / "there", 3, target=other)
    arguments = {"options": {"target": other}, "lower_dir": str(tmp_path / "there"), "out_dir": str(tmp_path / "b")}
    assert run("build_artifact", **arguments)["reused_functions"] == 0


def test_objects_that_were_of_no_use_for_longest_make_room(tmp_path: Path) -> None:
    for number in range(8):
        file = tmp_path / str(number)
        file.write_bytes(b"x" * 100)
        os.utime(file, (1000 + number % 4, 1000 + number % 4))
    make_room(tmp_path, 800)
    assert len(list(tmp_path.iterdir())) == 8
    make_room(tmp_path, 799)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["3", "6", "7"]
    make_room(tmp_path / "nothing", 1)
