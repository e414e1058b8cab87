"""The keys in a URI are in nothing that a run writes, sends, prints, or shows in `ps`."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import boto3
import psutil
import pyarrow.parquet as pq
import pytest

from sweep.cli import main
from tests.storage.test_running import Host

KEY, SECRET = "AKIASWEEPSWEEPSWEEP1", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYzzEXAMPLE"
SPELLINGS = (KEY, SECRET, quote(SECRET, safe=""), SECRET.partition("/")[0], SECRET.partition("+")[2])
CLUSTER = """
name: pretended
engine: simulated
mlflow: {enabled: true}
simulate: {devices: 2, speed: 0, stage_s: {measure: 1}}
"""


def test_the_keys_of_a_store_are_nowhere(s3_place: str, tmp_path: Path) -> None:
    uri = s3_place.replace("s3://", f"s3://{KEY}:{quote(SECRET, safe='')}@")
    host = Host(tmp_path / "here", CLUSTER)
    running = host.start("run", "study.yaml", "--cluster", "cluster.yaml", "--out", uri)

    lines = _command_lines_while(running)

    out, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    printed = [out, err, host.call("status", uri), host.call("report", uri), host.call("report", uri, "--json")]
    printed += [host.call("report", uri, "--format", "html,markdown,csv,parquet")]
    _assert_clean("printed", "\n".join(printed).encode())
    _assert_clean("ps", b"\n".join(lines))
    assert any(b"s3://***@" in line for line in lines), "the run was never seen in /proc"
    assert any(b"mirror_process" in line for line in lines)
    files = [path for path in host.folder.rglob("*") if path.is_file()]
    assert {"ledger.jsonl", "results.parquet", "index.html", "results.md", "mlflow.db"} <= {path.name for path in files}
    for path in files:
        for content in _contents(path):
            _assert_clean(str(path), content)
    assert b"s3://***@" in next(path for path in files if path.name == "ledger.jsonl").read_bytes()
    for name, content in _objects(s3_place):
        _assert_clean(name, content)


@pytest.mark.parametrize("scheme", ["s3", "gs", "abfs", "nowhere"])
def test_nor_in_the_line_that_refuses_a_uri(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """pyarrow quotes the URI; a secret with a `/` takes it apart at the wrong place."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for secret in (SECRET, SECRET.replace("/", "@"), SECRET.replace("/", ":")):
        code = main(["status", f"{scheme}://{KEY}:{secret}@b/x?scheme=htttp&nonsense={KEY}"])
        out, err = capfd.readouterr()
        assert code in (1, 2), err
        assert err.count("\n") == 1, err
        _assert_clean("printed", (out + err).encode())


def _command_lines_while(running: subprocess.Popen[str]) -> list[bytes]:
    """Of the run and all that it started, as `ps` has them. The run's own from when Python has read it on."""
    lines: set[bytes] = set()
    while running.poll() is None:
        time.sleep(0.02)  # without a pause, looking takes a core
        try:
            for process in [psutil.Process(running.pid), *psutil.Process(running.pid).children(recursive=True)]:
                lines.add(Path(f"/proc/{process.pid}/cmdline").read_bytes())
        except (OSError, psutil.NoSuchProcess):
            continue
    own = {line for line in lines if b"--out" in line}
    # Between the start of the process and the first line of `sweep` there is no help
    return sorted(lines - own) + [line for line in own if b"***" in line]


def _contents(path: Path) -> Iterator[bytes]:
    yield path.read_bytes()
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        yield repr(table.schema.metadata).encode()
        yield json.dumps(table.to_pylist(), default=str).encode()
    if path.suffix == ".db":
        with sqlite3.connect(path) as store:
            yield "\n".join(store.iterdump()).encode()


def _objects(place: str) -> Iterator[tuple[str, bytes]]:
    bucket, _, rest = place.removeprefix("s3://").partition("/")
    endpoint = rest.partition("endpoint_override=")[2].partition("&")[0]
    client = boto3.client("s3", endpoint_url=f"http://{endpoint}", region_name="us-east-1")
    keys = [each["Key"] for each in client.list_objects_v2(Bucket=bucket)["Contents"]]
    assert any(key.endswith("results.parquet") for key in keys)
    for key in keys:
        yield key, key.encode() + client.get_object(Bucket=bucket, Key=key)["Body"].read()


def _assert_clean(where: str, content: bytes) -> None:
    for spelling in SPELLINGS:
        assert spelling.encode() not in content, f"{spelling} in {where}: {content[:300]!r}"
