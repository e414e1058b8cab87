"""A few mutations, and that the fuzzer finds what it looks for."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.fuzz import campaign as campaigns
from tests.fuzz.campaign import Campaign, Ended

CASES = 25
"""`make fuzz` has more."""


def test_a_few_mutations(tmp_path: Path) -> None:
    """`make fuzz ARGS="--seed SEED --mutations 1"` does one that fails again."""
    with Campaign(tmp_path, seed=1) as campaign:
        ended = campaign.run(CASES, most_s=200)
    assert not ended.failures, "\n".join(f"seed {one.seed}: {one.what} ({one.folder})" for one in ended.failures)
    assert ended.cases > CASES / 4
    assert {"0", "2"} <= set(ended.codes)


def key_error(_: Sequence[str]) -> int:
    raise KeyError("cells")


def write_outside(_: Sequence[str]) -> int:
    (Path.cwd().parent / "outside").write_text("x")
    return 0


def die(_: Sequence[str]) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def hang(_: Sequence[str]) -> int:
    time.sleep(60)
    return 0


def say_nothing(_: Sequence[str]) -> int:
    return 2


@pytest.mark.parametrize(
    ("main", "found"),
    [
        (key_error, "KeyError: 'cells'"),
        (write_outside, "writes outside"),
        (die, "its process ended with SIGKILL"),
        (hang, "takes more than 1 s"),
        (say_nothing, "is refused without a word"),
        (lambda _: 4, "ends with 4"),
    ],
)
def test_what_no_command_may_do_is_found(
    main: Callable[[Sequence[str]], int], found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaigns, "prepare", lambda home, _: _prepared(home))
    with Campaign(tmp_path, seed=3) as campaign:
        monkeypatch.setattr("sweep.cli.main", main)
        monkeypatch.setattr(campaigns, "CASE_LIMIT_S", 1.0 if main is hang else 60.0)
        ended: Ended = campaign.run(3, most_s=100, most_failures=2)
    assert found in ended.failures[0].what
    assert ended.failures[0].seed == 3
    assert Path(ended.failures[0].folder).is_dir()


def _prepared(home: Path) -> None:
    """With files enough for any case, and no command: they are others here."""
    from tests.fuzz import room

    room.prepare(home, lambda _: 0)
