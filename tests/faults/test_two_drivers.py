"""Several drivers that want one sweep directory at the same moment."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Sequence

import pytest

from tests.end_to_end.place import LIMIT_S, Place
from tests.faults.invariant import Witness

pytestmark = [pytest.mark.integration]

AT_ONCE = 3


def test_one_runs_and_the_others_are_refused(place: Place) -> None:
    witness = Witness(place)

    ended = [_end(running) for running in [place.start() for _ in range(AT_ONCE)]]

    _assert_refused_or_done(ended)
    assert 0 in [code for code, _ in ended]
    witness.assert_whole()


@pytest.mark.slow
def test_one_is_killed_while_the_others_wait_to_begin(place: Place, chance: random.Random) -> None:
    witness = Witness(place)
    for _ in range(2):
        running = [place.start(*(["--fresh"] if chance.random() < 0.3 else [])) for _ in range(AT_ONCE)]
        time.sleep(chance.random())  # any moment will do
        victim = chance.choice(running)
        victim.kill()
        witness.pids.append(victim.pid)
        ended = [_end(one) for one in running]
        others = [end for one, end in zip(running, ended, strict=True) if one is not victim]
        _assert_refused_or_done(others)

    ended_last = place.run()
    assert ended_last.code == 0, ended_last.err
    witness.assert_whole()


def _end(running: subprocess.Popen[str]) -> tuple[int, str]:
    _, err = running.communicate(timeout=LIMIT_S)
    return running.returncode, err


def _assert_refused_or_done(ended: Sequence[tuple[int, str]]) -> None:
    for code, err in ended:
        is_refusal = code == 2 and err.count("\n") == 1 and "is in use by another `sweep run`" in err
        assert code == 0 or is_refusal, f"{code}: {err}"
