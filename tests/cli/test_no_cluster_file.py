"""What a person gets who has installed the package, and has no cluster file: this machine as one device."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

import sweep
from sweep.cli.completion import device_keys
from tests.cli.conftest import CLUSTER, Sweep
from tests.cli.test_bad_input import assert_one_line

LAST_CORE = max(os.sched_getaffinity(0))
NOTE = (
    f"sweep: note: there is no clusters/local.yaml, so this machine is the only device: `here`, on core {LAST_CORE}\n"
)


def test_a_plan_is_for_this_machine_and_a_line_says_so(here: Path, sweep: Sweep) -> None:
    said = sweep("plan", "study.yaml", "--json")

    assert (said.code, said.err) == (0, NOTE)
    named = sweep("plan", "study.yaml", "--json", "-c", cluster_file(here, "name: x\ndevices: [{key: here}]\n"))
    assert (named.code, named.err) == (0, "")
    assert json.loads(said.out) == json.loads(named.out)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("run study.yaml --out tiny.onnx", "--out: is not a folder"),
        ("tune tiny.onnx --tuner xgbb", "did you mean 'xgb'?"),
        ("exec tiny.onnx", "tiny.onnx"),
        ("compare out a b --measure-more", "out"),
        ("overlay out --measure", "out"),
    ],
)
def test_every_command_goes_beyond_the_cluster(line: str, says: str, here: Path, sweep: Sweep) -> None:
    """Each is refused for something else, which it looks at with a cluster."""
    said = sweep(*line.split())

    assert said.code == 2
    assert says in said.err.replace(NOTE, "")
    assert "clusters/local.yaml" not in said.err.replace(NOTE, "")


def test_the_farm_of_this_machine_is_down(here: Path, sweep: Sweep) -> None:
    said = sweep("farm", "status")

    assert (said.code, said.err) == (0, NOTE)
    assert said.out.startswith("local: down")


def test_the_default_file_is_taken_where_it_is(here: Path, sweep: Sweep) -> None:
    cluster_file(here, CLUSTER)

    said = sweep("plan", "study.yaml")

    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("good: 10 cells")  # 5 on each of 2 devices


def test_a_file_that_is_named_must_be_there(here: Path, sweep: Sweep) -> None:
    assert_one_line(sweep("plan", "study.yaml", "-c", "clusters/local.yaml"), ["clusters/local.yaml: does not exist"])


def test_tune_needs_no_key_where_there_is_one_device(here: Path, sweep: Sweep) -> None:
    cluster_file(here, CLUSTER.replace("devices: 2", "devices: 1"))

    said = sweep("tune", "tiny.onnx", "--tuner", "random", "--trials", "2")

    assert said.code == 0, said.err
    assert yaml.safe_load((here / "sweeps" / "tune-tiny-sim-0.yaml").read_text())["devices"] == ["sim-0"]


def test_python_has_it_too() -> None:
    (device,) = sweep.load_cluster().devices
    assert (device.key, device.cores, device.managed) == ("here", (LAST_CORE,), True)


def test_the_tab_key_offers_it(here: Path) -> None:
    class Line:
        params: dict[str, str] = {}  # noqa: RUF012

    assert device_keys(Line(), "") == ["here"]  # type: ignore[arg-type]
    cluster_file(here, CLUSTER)
    assert device_keys(Line(), "sim") == ["sim-0", "sim-1"]  # type: ignore[arg-type]


def cluster_file(here: Path, text: str) -> str:
    (here / "clusters").mkdir()
    (here / "clusters" / "local.yaml").write_text(text)
    return "clusters/local.yaml"
