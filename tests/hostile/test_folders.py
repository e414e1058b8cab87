"""Hostile sweep directories: refused in one line that names the entry, with nothing written outside and nothing run.

Each is a real sweep with one thing in it that would lead a program elsewhere.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import sweep as sweep_package
from sweep.errors import RecordError
from sweep.running.ledger.lines import decode_line, encode_line
from tests.cli.conftest import Sweep
from tests.hostile.conftest import Snapshot
from tests.record.mlflow.test_tracking_store import store_with
from tests.variants import only

READING = (
    ("status", "{}"),
    ("report", "{}"),
    ("report", "{}", "--format", "html,csv,markdown,json"),
    ("where", "{}"),
    ("compare", "{}", "two_layers native none O1 here-avx2", "two_layers native none O3 here-avx2"),
    ("overlay", "{}", "--model", "two_layers"),
    ("export", "{}", "two_layers native none O3 here-avx2", "--out", "{}/../work/bundle"),
    ("mirror", "{}"),
)


def _link(name: str, to: str) -> Callable[[Path], None]:
    """A link in the place of something, or where nothing is yet."""

    def harm(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            path.rename(folder / "moved")
        path.unlink(missing_ok=True)
        path.symlink_to(to)

    return harm


def _pipe(name: str) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return harm


def _events(folder: Path) -> Iterator[dict[str, Any]]:
    for line in (folder / "ledger.jsonl").read_bytes().splitlines(keepends=True):
        event = decode_line(line)
        assert event is not None
        yield event


def _result(kind: str, **fields: object) -> Callable[[Path], None]:
    """Another result of each stage of a kind, in lines of right checksums."""

    def harm(folder: Path) -> None:
        lines = []
        for event in _events(folder):
            if event["event"] == "stage_done" and event["kind"] == kind:
                event["result"] |= fields
            lines.append(encode_line(event))
        (folder / "ledger.jsonl").write_bytes(b"".join(lines))

    return harm


def _column(table: str, column: str, value: str) -> Callable[[Path], None]:
    """Another value in each row of a table, which is current all the same."""

    def harm(folder: Path) -> None:
        from sweep.api.session.table_cache import refresh

        refresh(folder)
        path = folder / table
        read = pq.read_table(path)
        at = read.schema.get_field_index(column)
        changed = [None if cell is None else value for cell in read[column].to_pylist()]
        pq.write_table(read.set_column(at, read.schema.field(at), [changed]), path, write_page_checksum=True)

    return harm


@dataclass(frozen=True)
class Case:
    """A hostile folder, and which of the commands refuse it; the others may answer, and leave everything alone."""

    harm: Callable[[Path], object]
    named: str
    """What the line names."""
    refused_by: tuple[str, ...] = tuple(dict.fromkeys(words[0] for words in READING))


DOTS = "../../../../../../outside/x"
CASES = {
    **{
        f"{name} is a link out": Case(_link(name, f"../{'../' * name.count('/')}outside/there"), name)
        for name in (
            *("report", "overlay", "records", "artifacts", "farm", "mlartifacts"),
            *("artifacts/build", "artifacts/import"),
            *("plan.json", "study.yaml", "results.parquet", "measurements.parquet", "tuning_records.parquet"),
            *("mlflow.db", "mlflow.lock", "ledger.lock", "ledger.holder.json", "exec.jsonl"),
            *("report/index.html", "overlay/index.html", "farm/farm.json"),
        )
    },
    "a link to a device": Case(_link("plan.json", "/dev/zero"), "plan.json"),
    "a link to itself": Case(_link("plan.json", "plan.json"), "plan.json"),
    "an absolute link to a file that is there": Case(_link("tuning_tasks.parquet", "/etc/passwd"), "tuning_tasks"),
    "a link out by way of a link": Case(
        lambda folder: (_link("a", "../outside")(folder), _link("report", "a")(folder))[0], "/a "
    ),
    "records of a target are a link": Case(_link("records/2bb490268696", "../../outside"), "records/2bb490268696"),
    "a log of trials is a link": Case(
        lambda folder: _link(str(next(folder.glob("records/*/*/trials.jsonl")).relative_to(folder)), "/etc/passwd")(
            folder
        ),
        "trials.jsonl",
    ),
    "a table is a pipe": Case(_pipe("results.parquet"), "results.parquet"),
    "the plan is a pipe": Case(_pipe("plan.json"), "plan.json"),
    "the lock is a pipe": Case(_pipe("ledger.lock"), "ledger.lock"),
    "a log of trials is a pipe": Case(
        lambda folder: _pipe(str(next(folder.glob("records/*/*/trials.jsonl")).relative_to(folder)))(folder),
        "trials.jsonl",
    ),
    "a build lies elsewhere": Case(_result("build", dir=DOTS), DOTS),
    "a build lies at an absolute path": Case(_result("build", dir="/etc"), "'/etc'"),
    "a library has another name": Case(_result("build", lib=f"{DOTS}.so"), "lib"),
    "an import lies elsewhere": Case(_result("import", dir=".."), "'..'"),
    "a lowered module lies elsewhere": Case(_result("lower", dir="artifacts/../../outside"), "outside"),
    "a folder with a line break": Case(_result("lower", dir="artifacts/lower/\nx"), "lower"),
    "a folder with an escape sequence": Case(_result("lower", dir="artifacts/\x1b[2J"), "lower"),
    "a folder that is no text": Case(_result("lower", dir=["artifacts", "x"]), "lower"),
    "a folder of a kilobyte": Case(_result("lower", dir="a" * 1000), "lower"),
    "records lie elsewhere": Case(_result("tune", records_dir=f"{DOTS}/y"), DOTS),
    "a workload is a path": Case(
        _result("lower", tasks=[{"workload": "../../../../outside/x", "name": "t"}]), "outside/x"
    ),
    "MLflow's runs keep artifacts elsewhere": Case(
        lambda folder: store_with(folder, "file:///etc", f"{folder.parent.as_uri()}/outside"),
        "outside its sweep directory",
        refused_by=("mirror",),
    ),
    "a table has records elsewhere": Case(
        _column("tuning_tasks.parquet", "records_dir", "../x/y"), "../x/y", refused_by=("overlay",)
    ),
    "a table has a log elsewhere": Case(  # which is of no target that was asked for
        _column("tuning_records.parquet", "log", f"{DOTS}/trials.jsonl"), "", refused_by=()
    ),
}


LATE = {"a table has a log elsewhere"}
"""Found where records elsewhere are, after seconds."""


@pytest.mark.parametrize("name", only(set(CASES) - LATE, CASES.keys()))
def test_a_hostile_folder_is_refused_in_a_line(
    name: str, folder: Path, around: Callable[[], Snapshot], sweep: Sweep
) -> None:
    case = CASES[name]
    case.harm(folder)
    before = around()

    for words in READING:
        said = sweep(*(word.format(folder) for word in words))

        assert "Traceback" not in said.err, said.err
        assert around() == before, words
        if words[0] in case.refused_by:
            assert said.code in (1, 2), (words, said)
            line = said.err.strip()
            assert "\n" not in line, (words, line)
            assert line.startswith("sweep: "), (words, line)
            assert case.named in line, (words, line)
            assert all(character.isprintable() for character in line), line


RUN = {
    "report is a link": (_link("report", "../outside"), "report"),
    "the ledger is a pipe": (_pipe("ledger.jsonl"), "ledger.jsonl"),
    "the ledger is a link": (_link("ledger.jsonl", "../outside/new"), "ledger.jsonl"),
    "its lock is a link": (_link("ledger.lock", "../home/.bashrc"), "ledger.lock"),
    "its holder is a link": (_link("ledger.holder.json", "../home/.bashrc"), "ledger.holder.json"),
    "the farm's state is a link": (_link("farm/farm.json", "../../home/.bashrc"), "farm/farm.json"),
    "a result lies elsewhere": (_result("build", dir=DOTS), DOTS),
}


@pytest.mark.parametrize("fresh", [(), ("--fresh",)], ids=["again", "fresh"])
@pytest.mark.parametrize("name", RUN)
def test_a_run_goes_into_no_hostile_folder(
    name: str, fresh: tuple[str, ...], folder: Path, around: Callable[[], Snapshot], sweep: Sweep
) -> None:
    harm, named = RUN[name]
    (folder.parent / "study.yaml").write_text("study: golden\nmodels: [onnx-light:squeezenet]\nopt_levels: [0]\n")
    (folder.parent / "cluster.yaml").write_text(
        "name: pretended\nengine: simulated\nmlflow: {enabled: false}\nsimulate: {devices: 1, speed: 0}\n"
    )
    plan = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps(plan | {"study": "golden"}))
    harm(folder)
    before = around()

    said = sweep(
        "run", folder.parent / "study.yaml", "--cluster", folder.parent / "cluster.yaml", "--out", folder, *fresh
    )

    assert said.code == 2, said
    assert named in said.err
    assert len(said.err.strip().splitlines()) == 1, said.err
    assert around() == before


def test_the_corpus_is_large_enough() -> None:
    assert len(CASES) + len(RUN) >= 40


def test_a_library_elsewhere_is_named_to_nobody(folder: Path) -> None:
    _column("results.parquet", "library", DOTS)(folder)
    best = sweep_package.best(folder, "two_layers native none O3 here-avx2")

    with pytest.raises(RecordError, match="leads out of its folder"):
        _ = best.library


def test_a_sweep_without_harm_is_read_by_each_command(
    folder: Path, around: Callable[[], Snapshot], sweep: Sweep
) -> None:
    """Else the tests above would hold for commands that refuse everything."""
    before = around()
    for words in READING:
        if words[0] == "export":  # libraries are left out of this copy
            continue
        said = sweep(*(word.format(folder) for word in words))
        assert said.code == 0, (words, said)
    assert around() == before


def test_a_link_to_a_whole_sweep_and_links_in_it_are_as_good(folder: Path, sweep: Sweep) -> None:
    (folder.parent / "named").symlink_to("sweep")
    (folder / "plan.json").rename(folder / "real.json")
    (folder / "plan.json").symlink_to("real.json")

    assert sweep("status", folder.parent / "named").code == 0
