"""A folder that is written to, and what the store knows of it; then another folder, made from the store."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sweep.errors import LedgerError, RecordError, StudyError
from sweep.files.sweep_dir import weights_name
from sweep.running.ledger.ledger import Ledger, read_ledger
from sweep.storage import uploader as mirror_module
from sweep.storage.restore import fetch_files, read_chain, write_ledger
from sweep.storage.store import Store
from sweep.storage.uploader import StoreMirror
from sweep.storage.write_claim import WriteClaim
from tests.devices.parts import until


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror_module, "PERIOD_S", 0.05)


@contextmanager
def _mirrored(store: Store, folder: Path) -> Any:
    lease = WriteClaim(store)
    mirror = StoreMirror(store, lease, read_chain(store), folder)
    try:
        yield mirror
    finally:
        try:
            mirror.close()
        finally:
            lease.close()


TRIALS = "records/abc/xgb-here/trials.jsonl"


def _build(ledger: Ledger, folder: Path, stage: str, content: str = "code") -> None:
    made = folder / "artifacts" / "build" / stage
    made.mkdir(parents=True)
    (made / "lib.so").write_text(content * 1000)
    (made / "meta.json").write_text("{}")
    result = {"dir": f"artifacts/build/{stage}"}
    ledger.append("stage_done", stage=stage, kind="build", attempt=1, result=result, seconds=1.0, worker="w")


def _tune(ledger: Ledger, folder: Path, trials: int) -> None:
    records = folder / "records" / "abc" / "xgb-here"
    records.mkdir(parents=True, exist_ok=True)
    (records / "trials.jsonl").write_text("trial\n" * trials)
    (records / "candidates-1").mkdir(exist_ok=True)
    (records / "candidates-1" / "1.so").write_text("in the making")
    result = {"records_dir": "records/abc/xgb-here"}
    ledger.append("stage_done", stage=f"t{trials}", kind="tune", attempt=1, result=result, seconds=1.0, worker="w")


def _restored(store: Store, folder: Path) -> Path:
    chain = read_chain(store)
    folder.mkdir()
    fetch_files(store, chain.files, folder)
    write_ledger(chain, folder)
    return folder


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith("ledger.") and "candidates-" not in str(path)
    }


def test_what_is_finished_is_in_the_store_and_comes_back(place: Callable[[], str], tmp_path: Path) -> None:
    store, here = Store(place()), tmp_path / "here"
    with Ledger(here) as ledger, _mirrored(store, here):
        (here / "plan.json").write_text("{}")
        ledger.append("run_started")
        _build(ledger, here, "b1")
        until(lambda: b"b1" in read_chain(store).lines, "a line in the store")
        _tune(ledger, here, 3)
        _tune(ledger, here, 5)
        ledger.append("run_ended", status="done", executed=3)

    there = _restored(store, tmp_path / "there")

    assert _files(there) == _files(here)
    assert (there / "ledger.jsonl").read_bytes() == (here / "ledger.jsonl").read_bytes()
    assert read_ledger(there).done.keys() == {"b1", "t3", "t5"}
    assert len(store.below("contents")) == 2, "of what changes the last is kept"


def test_nothing_is_left_of_a_file_that_grew_while_it_was_sent(
    place: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, here, send, grown = Store(place()), tmp_path / "here", Store.send, []

    def grow(self: Store, key: str, file: Path) -> None:
        send(self, key, file)
        if file.name == "trials.jsonl" and not grown:
            grown.append(key)
            file.write_text("trial\n" * 5)

    monkeypatch.setattr(Store, "send", grow)
    with Ledger(here) as ledger, _mirrored(store, here):
        ledger.append("run_started")
        _tune(ledger, here, 3)

    assert grown
    assert [found.key for found in store.below("contents")] == [read_chain(store).files[TRIALS].key]


def test_a_real_object_store_does_the_same(s3_place: str, tmp_path: Path) -> None:
    test_what_is_finished_is_in_the_store_and_comes_back(lambda: s3_place, tmp_path)


def test_another_folder_goes_on_and_the_first_one_catches_up(place: Callable[[], str], tmp_path: Path) -> None:
    store, here = Store(place()), tmp_path / "here"
    with Ledger(here) as ledger, _mirrored(store, here):
        _build(ledger, here, "b1")
    there = _restored(store, tmp_path / "there")
    with Ledger(there) as ledger, _mirrored(store, there):
        _build(ledger, there, "b2")

    chain = read_chain(store)
    fetch_files(store, chain.files, here)
    write_ledger(chain, here)

    assert _files(here) == _files(there)
    assert read_ledger(here).done.keys() == {"b1", "b2"}
    assert chain.epoch == 2


def test_a_folder_that_was_ahead_sends_what_the_store_lacks(place: Callable[[], str], tmp_path: Path) -> None:
    store, here = Store(place()), tmp_path / "here"
    with Ledger(here) as ledger:
        with _mirrored(store, here):
            _build(ledger, here, "b1")
        _build(ledger, here, "b2")
    assert b'"b2"' not in read_chain(store).lines  # quoted: a checksum may hold b2 too

    with _mirrored(store, here):
        pass

    assert read_ledger(_restored(store, tmp_path / "there")).done.keys() == {"b1", "b2"}


def test_weights_that_stages_share_are_sent_once_and_shared_again(place: Callable[[], str], tmp_path: Path) -> None:
    store, here = Store(place()), tmp_path / "here"
    name, sent = weights_name("ab" * 32), []
    send = store.send
    store.send = lambda key, path: (sent.append(key), send(key, path))[1]  # type: ignore[method-assign]
    with Ledger(here) as ledger:
        for run in (("i1", "i2", "i3"), ("i4",)):
            with _mirrored(store, here):
                for stage in run:
                    made = here / "artifacts" / "import" / stage
                    made.mkdir(parents=True)
                    (made / name).write_bytes(b"w" * 1000)
                    (made / "module.json").write_text(stage)
                    result = {"dir": f"artifacts/import/{stage}"}
                    ledger.append(
                        "stage_done", stage=stage, kind="import", attempt=1, result=result, seconds=1.0, worker="w"
                    )

    there = _restored(store, tmp_path / "there")

    assert _files(there) == _files(here)
    assert len([key for key in sent if key.startswith("contents/")]) == 1
    weights = [there / "artifacts" / "import" / stage / name for stage in ("i1", "i2", "i3", "i4")]
    assert {path.stat().st_nlink for path in weights} == {4}
    assert len({path.stat().st_ino for path in weights}) == 1


def test_a_commit_that_the_store_refused_is_sent_again_with_its_files(tmp_path: Path) -> None:
    store, here = Store(f"file://{tmp_path}/store"), tmp_path / "here"
    put, refusals = store.put, [True, True]

    def refuse_twice(key: str, data: bytes) -> None:
        if b"stage_done" in data and refusals:
            refusals.pop()
            raise RecordError("away")
        put(key, data)

    store.put = refuse_twice  # type: ignore[method-assign]
    with Ledger(here) as ledger, _mirrored(store, here):
        _build(ledger, here, "b1")

    assert refusals == []
    assert _files(_restored(store, tmp_path / "there")) == _files(here)


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: b"\xff" * (len(line) - 1) + b"\n",
        lambda line: line.replace(b'"result"', b'"resuLt"'),
        lambda line: line.replace(b'"seq":1', b'"seq":8'),
    ],
    ids=["beyond-reading", "a-key", "its-number"],
)
def test_a_damaged_line_goes_along_as_it_is(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    """What it told is lost, or put right by who reads it; the rest of the ledger is there, here and there."""
    store, here = Store(f"file://{tmp_path}/store"), tmp_path / "here"
    with Ledger(here) as ledger:
        for stage in ("b1", "b2", "b3"):
            _build(ledger, here, stage)
    first, *rest = (here / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    (here / "ledger.jsonl").write_bytes(b"".join([damage(first), *rest]))
    assert damage(first) != first

    with _mirrored(store, here):
        pass

    there = _restored(store, tmp_path / "there")
    assert (there / "ledger.jsonl").read_bytes() == (here / "ledger.jsonl").read_bytes()
    assert read_ledger(there).done.keys() >= {"b2", "b3"}
    assert (there / "artifacts/build/b3/lib.so").is_file()


def test_no_line_is_in_the_store_before_what_it_speaks_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, here = Store(f"file://{tmp_path}/store"), tmp_path / "here"
    put = Store.put

    def checked(self: Store, key: str, data: bytes) -> None:
        if key.startswith("commits/") and b"b1" in data:
            assert (tmp_path / "store/artifacts/build/b1/lib.so").is_file()
        put(self, key, data)

    monkeypatch.setattr(Store, "put", checked)
    with Ledger(here) as ledger, _mirrored(store, here):
        _build(ledger, here, "b1")

    assert b"b1" in read_chain(store).lines


def test_a_store_that_is_away_for_a_while_gets_it_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file in the place of the folder: whoever is root may write anywhere else."""
    store, here, base = Store(f"file://{tmp_path}/store"), tmp_path / "here", tmp_path / "store"
    with Ledger(here) as ledger, _mirrored(store, here):
        _build(ledger, here, "b1")
        until(lambda: b"b1" in read_chain(store).lines, "a line in the store")
        base.rename(tmp_path / "away")
        base.write_text("")
        _build(ledger, here, "b2")
        until(lambda: "is sent later" in caplog.text, "a word of it")
        base.unlink()
        (tmp_path / "away").rename(base)

    assert read_ledger(_restored(store, tmp_path / "there")).done.keys() == {"b1", "b2"}


def test_a_store_that_stays_away_is_told_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror_module, "_AT_THE_END_S", 0.0)
    store, here, base = Store(f"file://{tmp_path}/store"), tmp_path / "here", tmp_path / "store"
    with Ledger(here) as ledger:
        mirror = StoreMirror(store, WriteClaim(store), read_chain(store), here)
        base.rename(tmp_path / "away")
        base.write_text("")
        _build(ledger, here, "b1")

        with pytest.raises(RecordError, match=r"all of it is in .*here, and the same command sends what is missing"):
            mirror.close()


def test_a_run_that_was_taken_over_says_so_and_writes_no_more(tmp_path: Path) -> None:
    store, here = Store(f"file://{tmp_path}/store"), tmp_path / "here"
    lease = WriteClaim(store, expiry_s=0.0)
    with Ledger(here) as ledger:
        mirror = StoreMirror(store, lease, read_chain(store), here)
        for claim in store.below("writers"):
            store.remove(claim.key)
        _build(ledger, here, "b1")
        with pytest.raises(LedgerError, match="taken over"):
            mirror.close()

    assert read_chain(store).lines == b""


def test_a_file_that_was_damaged_in_the_store_is_left_out_with_its_stage(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, here = Store(f"file://{tmp_path}/store"), tmp_path / "here"
    with Ledger(here) as ledger, _mirrored(store, here):
        _build(ledger, here, "b1")
        _build(ledger, here, "b2")
    (tmp_path / "store/artifacts/build/b1/lib.so").write_text("x")

    there = _restored(store, tmp_path / "there")

    assert not (there / "artifacts/build/b1").exists()
    assert (there / "artifacts/build/b2/lib.so").is_file()
    assert "b1/lib.so is not as it was stored" in caplog.text


@pytest.mark.parametrize("uri", ["nowhere://x/y", "s3://", "file://relative"])
def test_no_place_is_one_line(uri: str) -> None:
    with pytest.raises(StudyError, match=r"is no place: .*allowed: a folder, or a URI"):
        Store(uri)


def test_names_and_keys_of_a_uri_are_not_shown() -> None:
    assert Store("s3://key:secret@bucket/x?region=us-east-1").name == "s3://***@bucket/x"
