"""A ledger whose end was cut off, or whose bytes were changed, between two runs."""

from __future__ import annotations

import random

import pytest

from tests.end_to_end.place import Place
from tests.faults.invariant import Witness

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def test_cut_in_the_middle_of_its_last_line(halfway: Witness, chance: random.Random) -> None:
    place = halfway.place
    path = place.out / "ledger.jsonl"
    *before, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(before) + last[: chance.randrange(1, len(last))])
    witness = Witness(place)
    witness.look()

    _run_to_its_end(place)

    witness.assert_whole()
    assert list(place.out.glob("ledger.torn-*"))


def test_a_byte_changed(halfway: Witness, chance: random.Random) -> None:
    place = halfway.place
    path = place.out / "ledger.jsonl"
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data) - 1)] ^= chance.randrange(1, 256)
    path.write_bytes(bytes(data))

    said = place.call("status", "out")
    assert said.code == 0, said.err
    _run_to_its_end(place)

    halfway.assert_whole()


def test_a_line_destroyed(halfway: Witness, chance: random.Random) -> None:
    place = halfway.place
    path = place.out / "ledger.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    victim = chance.randrange(1, len(lines) - 1)
    lines[victim] = bytes(len(lines[victim]) - 1) + b"\n"
    path.write_bytes(b"".join(lines))
    witness = Witness(place)
    witness.look()

    said = _run_to_its_end(place)

    assert "1 damaged lines are left out" in said
    witness.assert_whole(lost_lines=1)


def _run_to_its_end(place: Place) -> str:
    ended = place.run()
    assert ended.code == 0, ended.err
    assert "Traceback" not in ended.err
    return ended.err
