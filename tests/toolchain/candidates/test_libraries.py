"""The built candidates: the best few of a workload stay, and what a killed process has left goes."""

from __future__ import annotations

from pathlib import Path

from sweep.toolchain.candidates.libraries import Libraries, remove_left


def test_the_best_four_of_a_workload_stay(tmp_path: Path) -> None:
    libraries = Libraries(tmp_path)
    libs = [libraries.new() for _ in range(7)]
    for number, lib in enumerate(libs):
        lib.touch()
        libraries.keep("w", f"t{number}", None if number == 3 else 10.0 - number, lib)
    assert [lib.is_file() for lib in libs] == [False, False, True, False, True, True, True]
    assert libraries.of("w", "t6") == libs[6]
    assert libraries.of("w", "t0") is None
    assert libraries.of("other", "t6") is None
    libraries.clear()
    assert libraries.of("w", "t6") is None
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_has_left_goes_and_nothing_else(tmp_path: Path) -> None:
    Libraries(tmp_path).new().touch()
    (tmp_path / "trials.jsonl").touch()
    remove_left(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["trials.jsonl"]
