"""Which nodes take part in a sweep, and what is said of those that do not."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from sweep.engine.ray.node_probe import NodeView, look, refusal
from sweep.engine.site import Site
from tests.devices.parts import make_device

HOME = NodeView({"sweep": "0.1.0", "apache-tvm": "0.27.0", "recipe of build": "2"}, "cpu-a", True, True)
SWEEP_DIR = Path("/shared/out")


def _without(name: str) -> dict[str, str]:
    return {key: value for key, value in HOME.versions.items() if key != name}


CASES = [
    (HOME, None),
    (replace(HOME, has_tracker=False), None),  # it builds; a device is measured from elsewhere
    (NodeView(problem="it did not answer within 60 s"), "it did not answer within 60 s"),
    (replace(HOME, versions=_without("apache-tvm")), "it has no apache-tvm"),
    (replace(HOME, versions={**HOME.versions, "apache-tvm": "absent"}), "it has no apache-tvm"),
    (
        replace(HOME, versions={**HOME.versions, "apache-tvm": "0.26.0"}),
        "it has apache-tvm 0.26.0, the driver's node 0.27.0",
    ),
    (
        replace(HOME, versions={**HOME.versions, "recipe of build": "1"}),
        "it has recipe of build 1, the driver's node 2",
    ),
    (
        replace(HOME, has_sweep_dir=False),
        "it does not share /shared/out with the driver's node, or cannot write there",
    ),
    (replace(HOME, cpu="cpu-b"), "it has another CPU than the driver's node, whose CPU `native` means"),
]


@pytest.mark.parametrize(("seen", "reason"), CASES)
def test_the_first_reason_is_given(seen: NodeView, reason: str | None) -> None:
    assert refusal(seen, HOME, SWEEP_DIR, needs_same_cpu=True) == reason


def test_another_cpu_is_no_reason_where_every_target_is_named() -> None:
    assert refusal(replace(HOME, cpu="cpu-b"), HOME, SWEEP_DIR, needs_same_cpu=False) is None


def test_a_node_looks_around(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as tracker:
        seen = look(tmp_path, "n1", tracker.getsockname())
        port = tracker.getsockname()[1]

    assert seen.has_sweep_dir
    assert seen.has_tracker
    assert (tmp_path / "n1").is_file()
    assert seen.versions["apache-tvm"][0].isdigit()
    assert refusal(seen, seen, tmp_path, needs_same_cpu=True) is None
    elsewhere = look(tmp_path / "not shared", "n1", ("127.0.0.1", port))
    assert (elsewhere.has_sweep_dir, elsewhere.has_tracker) == (False, False)


def test_cores_are_those_of_the_drivers_node() -> None:
    native = make_device("here", (1,), target={"kind": "llvm", "native": "cpu-a"})
    site = Site(Path(), Path(), "127.0.0.1", 0, {"here": native}, (0,), True, (1,), home="a")

    assert site.seen_from("a") is site
    away = site.seen_from("b")
    assert (away.compile_cores, away.lent_cores, away.shares_cores) == ((), (), False)
    assert site.generates_for_this_cpu
    assert not replace(site, devices={"pi": make_device("pi", (), managed=False)}).generates_for_this_cpu
