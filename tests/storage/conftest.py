"""Stores of two kinds: a folder, and a real S3 server on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The endpoint of a server that keeps everything in memory."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"{host}:{port}"
    server.stop()


@pytest.fixture
def s3_place(s3: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A URI in a bucket of its own."""
    return s3_uri(s3, monkeypatch)


@pytest.fixture(params=["file", pytest.param("s3", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """A new URI, of each kind in turn."""
    if request.param == "file":
        return lambda: f"file://{tmp_path}/store-{uuid4().hex[:6]}"
    endpoint = request.getfixturevalue("s3")
    return lambda: s3_uri(endpoint, monkeypatch)


def s3_uri(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    import boto3

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    bucket = f"b{uuid4().hex[:8]}"
    boto3.client("s3", endpoint_url=f"http://{endpoint}", region_name="us-east-1").create_bucket(Bucket=bucket)
    return f"s3://{bucket}/some/sweep?endpoint_override={endpoint}&scheme=http&region=us-east-1"
