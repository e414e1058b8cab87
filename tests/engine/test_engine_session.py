"""What an engine takes of this machine while it is open, and that it gives all of it back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.engine.shop import CLUSTER

pytestmark = [pytest.mark.integration, pytest.mark.tvm]

LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("inline", 2), marks=pytest.mark.slow),
        pytest.param(("ray", 1), marks=pytest.mark.ray),
        pytest.param(("ray", 2), marks=[pytest.mark.ray, pytest.mark.slow]),
    ],
    ids=lambda param: f"{param[0]}-{param[1]}",
)
def seen(request: pytest.FixtureRequest, study_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    engine, times = request.param
    folder = tmp_path_factory.mktemp(f"room-{engine}")
    (folder / "cluster.yaml").write_text(CLUSTER.format(engine=engine))
    (folder / "t").mkdir()
    room = subprocess.run(
        [sys.executable, "-m", "tests.engine.room", study_file, folder / "cluster.yaml", folder / "out", str(times)],
        env={**os.environ, "TMPDIR": str(folder / "t"), "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
    )
    assert room.returncode == 0, room.stderr[-4000:]
    return {"engine": engine, "times": times, **json.loads(room.stdout.splitlines()[-1])}


def test_it_works_as_often_as_it_is_opened(seen: dict[str, Any]) -> None:
    assert [opening["ends"] for opening in seen["openings"]] == [["Done"]] * seen["times"]


def test_nobody_but_this_machine_is_listened_to(seen: dict[str, Any]) -> None:
    listening = {address for process in seen["openings"][0]["processes"] for address in process["listening"]}

    assert listening, "tracker and server listen somewhere"
    assert listening <= LOOPBACK, [p for p in seen["openings"][0]["processes"] if set(p["listening"]) - LOOPBACK]


def test_the_device_has_its_core_and_nobody_else_is_on_it(seen: dict[str, Any]) -> None:
    if len(seen["all_cores"]) < 2:
        pytest.skip("one core is shared by all there is")
    theirs = set(seen["device_cores"])
    processes = seen["openings"][0]["processes"]

    assert [set(process["cores"]) for process in processes if process["is_server"]] == [theirs]
    # The supervisor and the tracker sleep but for a moment at each connection; they start before the rest
    others = [
        process
        for process in processes
        if not process["is_server"] and "supervisor" not in process["command"] and "tracker" not in process["command"]
    ]
    assert others
    assert not [process for process in others if theirs & set(process["cores"])]
    assert not theirs & set(seen["openings"][0]["affinity"])
    if seen["engine"] == "ray":
        assert seen["openings"][0]["cpus"] == len(seen["all_cores"]) - len(theirs)


def test_closing_leaves_nothing(seen: dict[str, Any]) -> None:
    nothing = {"processes": [], "listening": [], "temporary": [], "environment": [], "affinity": seen["all_cores"]}

    assert [opening["left"] for opening in seen["openings"]] == [nothing] * seen["times"]
