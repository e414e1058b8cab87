"""Interpreters of device servers and linkers, as a cluster file names them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sweep.study.cluster.cluster import Cluster, Device, Server
from sweep.study.grid import Grid, cells
from sweep.study.spec import Study

DEVICE = "name: c\nengine: {engine}\ndevices: [{{key: a, target: llvm -mtriple=aarch64-linux-gnu, {rest}}}]\n"


@pytest.fixture
def device_of(cluster_of: Callable[[str], Cluster]) -> Callable[..., Device]:
    return lambda rest, engine="ray": cluster_of(DEVICE.format(rest=rest, engine=engine)).devices[0]


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_a_device_has_neither_unless_it_says_so(cluster_of: Callable[[str], Cluster]) -> None:
    (device,) = cluster_of("name: c\ndevices: [{key: a}]").devices
    assert (device.server, device.linker, device.is_this_host) == (Server(None, {}), None, True)


@pytest.mark.parametrize(
    "written", ["board/bin/python", "./board/bin/python", "$BOARD/bin/python", "${BOARD}/bin/python", "~/bin/python"]
)
def test_paths_start_at_the_file_and_may_name_variables(
    written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device_of: Callable[..., Device]
) -> None:
    python = program(tmp_path / "board" / "bin" / "python")
    monkeypatch.setenv("BOARD", str(tmp_path / "board"))
    monkeypatch.setenv("HOME", str(tmp_path / "board"))
    device = device_of(f"server: {{python: '{written}', env: {{CPU: small, LIBRARIES: '$BOARD/lib:/lib'}}}}")
    assert device.server.python == str(python)
    assert device.server.env == {"CPU": "small", "LIBRARIES": f"{tmp_path}/board/lib:/lib"}
    assert not device.is_this_host


def test_an_environments_interpreter_stays_the_link_that_it_is(
    tmp_path: Path, device_of: Callable[..., Device]
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(program(tmp_path / "system" / "python"))
    assert device_of("server: {python: bin/python}").server.python == str(tmp_path / "bin" / "python")


def test_a_name_alone_is_looked_for_on_the_path(device_of: Callable[..., Device]) -> None:
    device = device_of("server: {python: sh}, linker: cat")
    assert (device.server.python, device.linker) == (shutil.which("sh"), shutil.which("cat"))


def test_a_simulated_cluster_needs_no_programs(device_of: Callable[..., Device]) -> None:
    device = device_of("server: {python: absent/python}, linker: absent", engine="simulated")
    assert (device.server, device.linker) == (Server(), None)


def test_an_interpreter_of_its_own_leaves_the_reference_runtime_out(
    study_of: Callable[[str], Study], cluster_of: Callable[[str], Cluster]
) -> None:
    study = study_of("study: s\nmodels: [onnx-light:squeezenet]\ntargets: [native, llvm -mcpu=core-avx2]\n")
    cluster = cluster_of(
        "name: c\ndevices:\n- {key: here}\n"
        "- {key: arm, target: llvm -mtriple=aarch64-linux-gnu, server: {python: sh}}\n"
    )
    assert {(cell.device, cell.runtime, cell.target) for cell in cells(study, cluster)} == {
        ("here", "onnxruntime", "-"),
        ("here", "tvm", "native"),
        ("here", "tvm", "core-avx2"),
        ("arm", "tvm", "native"),
    }
    assert {(entry.what, entry.device, entry.reason) for entry in Grid(study, cluster).left_out()} == {
        ("onnxruntime", "arm", "it runs on this host, the device is under an interpreter of its own"),
        ("core-avx2", "arm", "it is for x86-64, the device is aarch64"),
    }
    native = study.targets[0].on(cluster.device("arm"))
    assert native == {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "num-cores": 1}
