"""Hostile stores: whoever may write to a bucket decides nothing outside the folder in which a sweep is looked at."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Sweep
from tests.hostile.conftest import Snapshot
from tests.networks import write_tiny

CLUSTER = (
    "name: pretended\nengine: simulated\nmlflow: {enabled: false}\nsimulate: {devices: 1, speed: 0, failure_rate: 0}\n"
)
CONTENT = b"#!/bin/sh\necho mine now\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()

Change = Callable[[dict[str, Any], Path], object]


def _file(path: str, **about: object) -> Change:
    """A further file in the last commit, whose content the store has."""

    def change(commit: dict[str, Any], store: Path) -> None:
        (store / "contents" / SHA256).write_bytes(CONTENT)
        stored = {"key": f"contents/{SHA256}", "sha256": SHA256, "size_bytes": len(CONTENT)}
        commit["files"][path] = stored | about

    return change


def _content_is(make: Callable[[Path], object]) -> Change:
    """The content of the plan is something else than a file."""

    def change(commit: dict[str, Any], store: Path) -> None:
        path = store / commit["files"]["plan.json"]["key"]
        path.unlink()
        make(path)

    return change


def _put(key: str, value: object) -> Change:
    return lambda commit, store: commit.update({key: value})


DOTS = "../../../../../../home/.bashrc"
REFUSED: dict[str, tuple[Change, str]] = {
    "a path with dots": (_file(DOTS), DOTS),
    "an absolute path": (_file("/tmp/trust-evil"), "/tmp/trust-evil"),
    "dots in the middle": (_file("records/../../../home/.bashrc"), "records/../"),
    "no name": (_file(""), "''"),
    "a dot": (_file("."), "'.'"),
    "a line break": (_file("records/a\nb"), "records/a"),
    "a NUL": (_file("records/a\0b"), "records/a"),
    "the ledger itself": (_file("ledger.jsonl"), "ledger.jsonl"),
    "the farm's state": (_file("farm/farm.json"), "farm/farm.json"),
    "MLflow's database": (_file("mlflow.db"), "mlflow.db"),
    "a page": (_file("report/index.html"), "report/index.html"),
    "a file in the place of a folder": (_file("records"), "records"),
    "a file below a file": (_file("plan.json/x"), "plan.json/x"),
    "content of the host": (_file("records/x", key=DOTS), "records/x"),
    "content at an absolute path": (_file("records/x", key="/etc/passwd"), "records/x"),
    "content by another name": (_file("records/x", key="contents/.."), "records/x"),
    "a hash that is a path": (_file("records/x", sha256="../x", key="contents/../x"), "records/x"),
    "a size below nothing": (_file("records/x", size_bytes=-1), "records/x"),
    "a size that is text": (_file("records/x", size_bytes="9"), "records/x"),
    "more than is known of a file": (_file("records/x", mode=0o4755), "records/x"),
    "a commit that goes on from itself": (
        lambda commit, store: commit.update(base=f"commits/{_last(store).name}"),
        "circle",
    ),
    "a commit that goes on from elsewhere": (_put("base", "../S/commits/000001-00000000.json"), "base"),
    "a commit that goes on from nothing that is there": (_put("base", "commits/000001-00000009.json"), "not there"),
    "an epoch below nothing": (_put("epoch", -1), "commits/"),
    "files that are a list": (_put("files", ["plan.json"]), "commits/"),
    "lines that are a number": (_put("lines", 3), "commits/"),
}
LEFT_OUT: dict[str, Change] = {
    "a pipe": _content_is(os.mkfifo),
    "a device": _content_is(lambda path: path.symlink_to("/dev/zero")),
    "a file of the host": _content_is(lambda path: path.symlink_to("/etc/passwd")),
    "a folder": _content_is(Path.mkdir),
    "nothing": _content_is(lambda path: None),
}
"""The plan is then not what the commit says of it, as after an accident: it is not taken."""


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store, and the study and cluster that it is of."""
    from sweep.cli import main

    home = tmp_path_factory.mktemp("good")
    write_tiny(home / "tiny.onnx")
    (home / "study.yaml").write_text("{study: kept, models: [tiny.onnx], opt_levels: [0]}")
    (home / "cluster.yaml").write_text(CLUSTER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        files = (str(home / "study.yaml"), "--cluster", str(home / "cluster.yaml"))
        assert main(["run", *files, "--out", f"file://{home}/store"]) == 0
    return home


@pytest.fixture
def store(good: Path, place: Path) -> Path:
    for name in ("tiny.onnx", "study.yaml", "cluster.yaml"):
        shutil.copy(good / name, place / name)
    return Path(shutil.copytree(good / "store", place / "store"))


def _commands(store: Path) -> list[tuple[str, ...]]:
    uri, home = f"file://{store}", store.parent
    study = (str(home / "study.yaml"), "--cluster", str(home / "cluster.yaml"))
    return [("status", uri), ("report", uri), ("run", *study, "--out", uri)]


def _last(store: Path) -> Path:
    return max((store / "commits").iterdir())


def _change(store: Path, change: Change) -> None:
    last = _last(store)
    commit = json.loads(last.read_text())
    change(commit, store)
    last.write_text(json.dumps(commit))


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_store_is_refused_in_a_line(
    name: str, store: Path, around: Callable[[], Snapshot], sweep: Sweep
) -> None:
    change, named = REFUSED[name]
    _change(store, change)
    before = around()

    for words in _commands(store):
        said = sweep(*words)

        assert said.code == 2, said
        line = said.err.strip()
        assert line.startswith("sweep: LedgerError: "), line
        assert "\n" not in line
        assert named in line, line
        assert around() == before, words
    assert not Path("/tmp/trust-evil").exists()


@pytest.mark.parametrize("name", LEFT_OUT)
def test_content_that_is_no_file_of_the_store_is_not_taken(
    name: str, store: Path, around: Callable[[], Snapshot], sweep: Sweep, caplog: pytest.LogCaptureFixture
) -> None:
    _change(store, LEFT_OUT[name])
    before = around()

    for words in _commands(store):
        said = sweep(*words)

        assert "Traceback" not in said.err, said.err
        assert said.code == (0 if words[0] == "run" else 2), said  # a run writes the plan anew
        assert "plan.json is not as it was stored: left out" in caplog.text
        assert around() == before, words


def test_a_link_in_the_folder_of_this_host_is_not_followed(
    store: Path, around: Callable[[], Snapshot], sweep: Sweep, place: Path
) -> None:
    """It was made there by somebody who could, and the store's files would be written where it leads."""
    assert sweep("status", f"file://{store}").code == 0
    (folder,) = (place / "cache/tvm-sweep/stores").iterdir()
    (folder / "records").symlink_to(place / "home")
    _change(store, _file("records/.bashrc"))
    before = around()

    said = sweep("status", f"file://{store}")

    assert (said.code, "records" in said.err, "Traceback" in said.err) == (2, True, False), said
    assert around() == before


def test_a_good_store_is_read(store: Path, around: Callable[[], Snapshot], sweep: Sweep) -> None:
    before = around()
    for words in _commands(store):
        assert sweep(*words).code == 0
    assert around() == before
