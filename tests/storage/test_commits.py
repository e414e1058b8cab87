"""Which commits of a store count: those that the newest run has gone on from."""

from __future__ import annotations

import pytest

from sweep.errors import LedgerError
from sweep.storage.commits import Chain, Commit, StoredFile, key_of, latest


def _file(name: str) -> StoredFile:
    return StoredFile(f"contents/{name}", name, 1)


def _commit(epoch: int, number: int, base: tuple[int, int] | None, lines: bytes, **files: str) -> tuple[str, Commit]:
    stored = {path: _file(name) for path, name in files.items()}
    return key_of(epoch, number), Commit(epoch, number, None if base is None else key_of(*base), lines, stored)


def test_nothing_is_an_empty_chain() -> None:
    assert latest({}) == Chain()


def test_lines_add_up_and_the_newest_of_a_file_counts() -> None:
    chain = latest(
        dict(
            [
                _commit(1, 0, None, b"1\n", plan="a"),
                _commit(1, 1, (1, 0), b"2\n", plan="b", records="r"),
                _commit(2, 0, (1, 1), b"3\n"),
            ]
        )
    )

    assert chain == Chain(key_of(2, 0), 2, b"1\n2\n3\n", {"plan": _file("b"), "records": _file("r")})


def test_what_a_run_writes_after_another_took_over_does_not_count() -> None:
    chain = latest(
        dict(
            [
                _commit(1, 0, None, b"1\n"),
                _commit(2, 0, (1, 0), b"2\n"),
                _commit(1, 1, (1, 0), b"late\n", plan="late"),
                _commit(2, 1, (2, 0), b"3\n"),
            ]
        )
    )

    assert (chain.lines, chain.files) == (b"1\n2\n3\n", {})


def test_a_fresh_run_goes_on_from_nothing() -> None:
    chain = latest(dict([_commit(1, 0, None, b"old\n", plan="old"), _commit(2, 0, None, b"1\n")]))

    assert (chain.lines, chain.files, chain.epoch) == (b"1\n", {}, 2)


def test_a_commit_that_is_gone_is_told() -> None:
    with pytest.raises(LedgerError, match=key_of(1, 0)):
        latest(dict([_commit(1, 1, (1, 0), b"2\n")]))


def test_a_commit_is_what_it_was_when_it_is_read_back() -> None:
    key, commit = _commit(3, 7, (2, 1), "line é\n".encode() + b"\x80\xff\n", plan="p")

    assert Commit.decode(key, commit.encode()) == commit


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"files": 3}', b'{"files": {}, "epoch": 1}', b"\xff"])
def test_another_object_is_refused(data: bytes) -> None:
    with pytest.raises(LedgerError, match="is no commit"):
        Commit.decode("commits/x", data)
