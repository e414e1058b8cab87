"""Which commits of a store count: those that the newest run has gone on from."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from sweep.errors import LedgerError
from sweep.storage.commits import Chain, Commit, StoredFile, key_of, latest


def _file(name: str) -> StoredFile:
    return StoredFile(f"contents/{name}", name, 1)


def _stored(content: bytes, key: str | None = None) -> StoredFile:
    sha256 = hashlib.sha256(content).hexdigest()
    return StoredFile(key or f"contents/{sha256}", sha256, len(content))


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
    key, commit = _commit(3, 7, (2, 1), "line é\n".encode() + b"\x80\xff\n")
    files = {"plan.json": _stored(b"plan"), "artifacts/build/b/lib.so": _stored(b"lib", "artifacts/build/b/lib.so")}
    commit = replace(commit, files=files)

    assert Commit.decode(key, commit.encode()) == commit


@pytest.mark.parametrize(
    "path",
    [
        *("", ".", "/etc/passwd", "../x", "records/../../x", "records/a\0b", "records/\x1b[2J"),
        *("records", "artifacts/build/b", "plan.json/x", "studies.yaml"),
        *("ledger.jsonl", "farm/farm.json", "report/index.html", "mlflow.db"),
    ],
)
def test_a_commit_that_names_a_file_which_no_sweep_has_at_a_uri_is_refused(path: str) -> None:
    key, commit = _commit(1, 0, None, b"1\n")

    with pytest.raises(LedgerError, match=f"{key} is no commit of a sweep: its file") as refused:
        Commit.decode(key, replace(commit, files={path: _stored(b"x")}).encode())

    assert repr(path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "file",
    [
        StoredFile("../../etc/passwd", "0" * 64, 1),
        StoredFile("/etc/passwd", "0" * 64, 1),
        StoredFile("contents/..", "0" * 64, 1),
        StoredFile(f"contents/{'0' * 64}", "1" * 64, 1),
        StoredFile("contents/..", "..", 1),
        StoredFile("plan.json", "0" * 64, -1),
        StoredFile("plan.json", "0" * 64, 1.5),  # type: ignore[arg-type]
        StoredFile("plan.json", None, 1),  # type: ignore[arg-type]
        StoredFile(None, "0" * 64, 1),  # type: ignore[arg-type]
    ],
)
def test_content_from_elsewhere_in_the_store_is_refused(file: StoredFile) -> None:
    key, commit = _commit(1, 0, None, b"1\n")

    with pytest.raises(LedgerError, match=r"is no commit of a sweep: its file 'plan\.json'"):
        Commit.decode(key, replace(commit, files={"plan.json": file}).encode())


def test_a_file_below_another_file_is_refused() -> None:
    first, second = _commit(1, 0, None, b"1\n"), _commit(1, 1, (1, 0), b"2\n")
    before, after = {"records/a": _stored(b"x")}, {"records/a/b": _stored(b"x")}

    with pytest.raises(LedgerError, match="file 'records/a/b' below a file 'records/a'"):
        latest({first[0]: replace(first[1], files=before), second[0]: replace(second[1], files=after)})


@pytest.mark.parametrize("base", ["", "commits/x", "../commits/000001-00000000.json", 3, ["a"]])
def test_a_base_that_is_no_commit_is_refused(base: object) -> None:
    key, commit = _commit(1, 0, None, b"1\n")

    with pytest.raises(LedgerError, match="is no commit"):
        Commit.decode(key, replace(commit, base=base).encode())  # type: ignore[arg-type]


def test_commits_in_a_circle_are_told() -> None:
    with pytest.raises(LedgerError, match="circle"):
        latest(dict([_commit(1, 0, (1, 0), b"1\n")]))
    with pytest.raises(LedgerError, match="circle"):
        latest(dict([_commit(1, 0, (1, 1), b"1\n"), _commit(1, 1, (1, 0), b"2\n")]))


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"files": 3}', b'{"files": {}, "epoch": 1}', b"\xff"])
def test_another_object_is_refused(data: bytes) -> None:
    with pytest.raises(LedgerError, match="is no commit"):
        Commit.decode("commits/x", data)
