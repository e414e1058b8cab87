"""`sweep run` at a URI, and the same command on another host: one with another cache folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.devices.parts import until
from tests.end_to_end.place import CLUSTER_ONE
from tests.networks import write_tiny

ROOT = Path(__file__).parents[2]
STUDY = "{study: kept, models: [tiny.onnx], tuners: [none, random], opt_levels: [0, 3]}"
PRETENDED = """
name: pretended
engine: simulated
mlflow: {{enabled: false}}
simulate: {{devices: 2, speed: {speed}, stage_s: {{measure: 1}}}}
"""


class Host:
    """A place with a cache folder of its own."""

    def __init__(self, folder: Path, cluster: str, study: str = STUDY) -> None:
        self.folder = folder
        folder.mkdir()
        write_tiny(folder / "tiny.onnx")
        (folder / "study.yaml").write_text(study)
        (folder / "cluster.yaml").write_text(cluster)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "sweep", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(self.folder / "cache")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, uri: str, *options: str) -> str:
        return self.call("run", "study.yaml", "--cluster", "cluster.yaml", "--out", uri, *options)

    def call(self, *arguments: str) -> str:
        running = self.start(*arguments)
        out, err = running.communicate(timeout=250)
        assert running.returncode == 0, f"{out}\n{err}"
        return out + err


@pytest.mark.slow
def test_another_host_finds_nothing_missing(tmp_path: Path) -> None:
    uri = f"file://{tmp_path}/store"
    here = Host(tmp_path / "here", PRETENDED.format(speed=0))
    there = Host(tmp_path / "there", PRETENDED.format(speed=0))
    assert "nothing was missing" not in here.run(uri)

    assert "nothing was missing: nothing was executed" in there.run(uri)

    assert json.loads(there.call("report", uri, "--json"))
    assert "kept: done" in here.call("status", uri)
    assert (tmp_path / "store" / "results.parquet").is_file()
    assert list((tmp_path / "store" / "writers").iterdir()) == []


def test_a_killed_run_goes_on_elsewhere(tmp_path: Path) -> None:
    """Its claim is of this machine and its process is gone, so nobody waits for it to expire."""
    uri, store = f"file://{tmp_path}/store", tmp_path / "store"
    here = Host(tmp_path / "here", PRETENDED.format(speed=0.5))
    there = Host(tmp_path / "there", PRETENDED.format(speed=0))
    running = here.start("run", "study.yaml", "--cluster", "cluster.yaml", "--out", uri)
    until(lambda: _done_in(store) > 0 or running.poll() is not None, "a stage that is done, in the store", 60.0)
    assert running.poll() is None, running.communicate()
    second = there.start("run", "study.yaml", "--cluster", "cluster.yaml", "--out", uri)
    assert "in use by another `sweep run` (process" in second.communicate(timeout=60)[1]
    assert second.returncode == 2
    running.send_signal(signal.SIGKILL)
    running.communicate()
    before = _done_in(store)

    said = there.run(uri)

    assert "nothing was missing" not in said
    events = [json.loads(line) for line in _lines_in(store)]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    done = [event["stage"] for event in events if event["event"] == "stage_done"]
    assert len(done) == len(set(done)) > before


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.tvm
def test_artifacts_and_records_go_along_through_a_real_object_store(s3_place: str, tmp_path: Path) -> None:
    study = """
study: kept
final: null
models: [tiny.onnx]
tuners: [none, {name: random, trials_per_task: 2, number: 1, repeat: 1, min_repeat_ms: 0}]
opt_levels: [3]
measure: {rounds: 1, repeat: 3, max_repeat: 3, min_repeat_ms: 1, retakes: 0}
"""
    here, there = (Host(tmp_path / name, CLUSTER_ONE.format(engine="inline"), study) for name in ("here", "there"))
    here.run(s3_place)

    assert "nothing was missing: nothing was executed" in there.run(s3_place)

    folders = [next((host.folder / "cache/tvm-sweep/stores").glob("sweep-*")) for host in (here, there)]
    first, second = (
        {
            str(path.relative_to(folder)): path.read_bytes()
            for part in ("artifacts", "records")
            for path in (folder / part).rglob("*")
            if path.is_file()
        }
        for folder in folders
    )
    assert any(name.endswith("lib.so") for name in first)
    assert any(name.endswith("trials.jsonl") for name in first)
    assert first.items() >= second.items()
    assert {name for name in first if name not in second} <= {n for n in first if "kernel" in n or "/." in n}


def test_a_place_that_is_none_is_one_line(tmp_path: Path) -> None:
    host = Host(tmp_path / "here", PRETENDED.format(speed=0))

    running = host.start("report", "nowhere://x/y")

    err = running.communicate(timeout=60)[1]
    assert running.returncode == 2
    assert err.count("\n") == 1
    assert "is no place" in err


def _lines_in(store: Path) -> list[str]:
    from sweep.storage.restore import read_chain
    from sweep.storage.store import Store

    return read_chain(Store(f"file://{store}")).lines.decode().splitlines()


def _done_in(store: Path) -> int:
    return sum('"event":"stage_done"' in line for line in _lines_in(store))
