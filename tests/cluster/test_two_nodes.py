"""`sweep submit` to a Ray cluster of several nodes on this machine, one of which dies in mid-run."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.cluster.nodes import LIMIT_S, ROOT, Node, RayCluster
from tests.devices.parts import until
from tests.end_to_end.place import Place

pytestmark = [
    pytest.mark.slow,
    pytest.mark.integration,
    pytest.mark.tvm,
    pytest.mark.ray,
    pytest.mark.timeout(900),
]

STUDY = """
study: spread
final: null
models: [{model}]
tuners: [none, {{name: random, trials_per_task: {trials}, number: 1, repeat: 1, min_repeat_ms: 0}}]
opt_levels: [0, 1, 3]
measure: {{rounds: 1, repeat: 3, max_repeat: 3, min_repeat_ms: 1, retakes: 0}}
"""
CLUSTER = "{name: one, engine: ray, devices: [{key: here, cores: [-1]}], mlflow: {enabled: false}}"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayCluster]:
    """The head node, with one core."""
    pytest.importorskip("aiohttp_cors", reason="Ray's dashboard is not installed: pip install 'tvm-sweep[cluster]'")
    with RayCluster(tmp_path_factory.mktemp("cluster"), has_dashboard=True) as cluster:
        yield cluster


def _place(folder: Path, trials: int = 4) -> Place:
    """A study whose network lies elsewhere, and which a relative path leads to."""
    place = Place(folder, STUDY.format(model="../nets/tiny.onnx", trials=trials), CLUSTER)
    (folder.parent / "nets").mkdir()
    (folder / "tiny.onnx").rename(folder.parent / "nets" / "tiny.onnx")
    return place


def _submit(place: Place, cluster: RayCluster, *options: str, **environment: str) -> subprocess.Popen[str]:
    command = [
        *("submit", "study.yaml", "--cluster", "cluster.yaml"),
        *("--out", "out", "--address", cluster.jobs, "--python", sys.executable),
    ]
    return subprocess.Popen(
        [sys.executable, "-m", "sweep", *command, *options],
        cwd=place.folder,
        env={**cluster.environment, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _fake_tvm(folder: Path) -> Path:
    """What an installation of an old TVM looks like from outside."""
    about = folder / "apache_tvm-0.1.0.dist-info" / "METADATA"
    about.parent.mkdir(parents=True)
    about.write_text("Metadata-Version: 2.1\nName: apache-tvm\nVersion: 0.1.0\n")
    return folder


def test_a_node_dies_in_mid_run_and_every_cell_is_done(cluster: RayCluster, tmp_path: Path) -> None:
    place = _place(tmp_path / "place")
    worker = cluster.add(2)
    stranger = cluster.add(1, PYTHONPATH=f"{_fake_tvm(tmp_path / 'fake')}:{ROOT}")
    running = _submit(place, cluster)
    until(lambda: len(_nodes_of(place)) > 1 or running.poll() is not None, "work on both nodes", LIMIT_S)
    worker.kill()

    out, err = running.communicate(timeout=600)

    assert running.returncode == 0, f"{out}\n{err}"
    rows = place.events("run_ended")
    assert [row["status"] for row in rows] == ["done"]
    assert "7/7 cells" in out
    assert "is not used: it has apache-tvm 0.1.0, the driver's node" in out
    assert "is gone: the others take over its work" in out
    assert not [event for event in place.events("attempt_failed") if not event["retry"]]
    assert not list(place.out.glob(".nodes-*"))
    stranger.end()

    again = _submit(place, cluster)
    out, err = again.communicate(timeout=LIMIT_S)
    assert again.returncode == 0, f"{out}\n{err}"
    assert "nothing was missing: nothing was executed" in out
    assert "-2 was sent" in err


def test_a_node_joins_then_the_second_ctrl_c_cancels_and_the_same_command_resumes(
    cluster: RayCluster, tmp_path: Path
) -> None:
    place = _place(tmp_path / "place", trials=10_000)
    running = _submit(place, cluster)
    until(lambda: bool(place.trials()) or running.poll() is not None, "a trial", LIMIT_S)
    twin = _submit(place, cluster, "--no-follow")
    said = twin.communicate(timeout=LIMIT_S)[1]
    assert (twin.returncode, "is running already" in said) == (0, True), said
    joined = cluster.add(1)
    until(lambda: _builds(joined) or running.poll() is not None, "a builder on the new node", LIMIT_S)

    running.send_signal(signal.SIGINT)
    line = _line_with(running, "Ctrl-C again cancels")
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=LIMIT_S)

    assert running.returncode == 130, f"{out}\n{line}{err}"
    assert "the same command resumes it" in err
    assert [event["status"] for event in place.events("run_ended")] == ["interrupted"]
    before = place.trials()
    assert before

    place.write("study.yaml", STUDY.format(model="../nets/tiny.onnx", trials=1))
    again = _submit(place, cluster)
    out, err = again.communicate(timeout=600)
    assert again.returncode == 0, f"{out}\n{err}"
    assert place.trials()[: len(before)] == before


def test_without_the_token_nothing_is_taken(cluster: RayCluster, tmp_path: Path) -> None:
    place = _place(tmp_path / "place")
    wrong = tmp_path / "token"
    wrong.write_text("0" * 64)

    for refused in (
        _submit(place, cluster, RAY_AUTH_TOKEN_PATH=str(wrong)),
        _submit(place, cluster, RAY_AUTH_MODE="disabled", RAY_AUTH_TOKEN_PATH="", HOME=str(tmp_path)),
    ):
        _, err = refused.communicate(timeout=LIMIT_S)
        assert refused.returncode == 1
        assert "does not take the token: set RAY_AUTH_MODE=token" in err
        assert err.count("\n") == 1, err
    assert not place.out.exists()


def _nodes_of(place: Place) -> set[str]:
    """The nodes on which a stage was done."""
    return {event["worker"].partition("@")[2].partition(":")[0] for event in place.events("stage_done")}


def _builds(node: Node) -> bool:
    for process in node.processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            if " ".join(process.cmdline()).startswith("ray::BuilderActor"):
                return True
    return False


def _line_with(running: subprocess.Popen[str], text: str) -> str:
    assert running.stderr is not None
    seen = ""
    while text not in seen:
        line = running.stderr.readline()
        assert line, f"never said {text!r}: {seen}"
        seen += line
    return seen
