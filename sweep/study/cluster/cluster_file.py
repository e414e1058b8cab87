"""From the form of a cluster file to a cluster: defaults that depend on this machine, cores, the tracker's address."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.errors import StudyError
from sweep.files.sweep_dir import SweepDir
from sweep.study.cluster.cluster import PRETENDED, Cluster, Device, RayOptions, Replay, Server, Simulate, Tracker
from sweep.study.cluster.cluster_form import ClusterForm, DeviceForm, SimulateForm, TrackerForm
from sweep.study.cluster.programs import read_program, read_server
from sweep.study.cluster.ray_address import read_ray_address
from sweep.study.cluster.store_uri import read_store_uri
from sweep.study.cluster.target_fit import fit
from sweep.study.notify import read_notify
from sweep.study.reading.validation_errors import fill_in
from sweep.study.reading.yaml_file import read_yaml
from sweep.study.spec import NATIVE, Target
from sweep.study.targets import host
from sweep.study.targets.written_target import read_target
from sweep.suggestions import listed

__all__ = ["THIS_MACHINE", "local_cluster", "read_cluster"]

THIS_MACHINE = Path("this machine")
"""Stands in errors where the path of a cluster file would: nobody wrote one."""

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def read_cluster(path: Path) -> Cluster:
    """A cluster file, checked. Raises StudyError."""
    return _checked(fill_in(ClusterForm, read_yaml(path, "cluster file"), path), path)


def local_cluster() -> Cluster:
    """One device, `here`, on the last core that this process may use: what runs where nobody wrote a cluster file."""
    return _checked(ClusterForm(name="local", devices=[DeviceForm(key="here", target=NATIVE)]), THIS_MACHINE)


def _checked(form: ClusterForm, path: Path) -> Cluster:
    simulate = _simulate(form.simulate or SimulateForm())
    devices = tuple(_device(entry, path, f"devices[{i}]", form.engine) for i, entry in enumerate(form.devices))
    if not devices and form.engine != "simulated":
        raise StudyError("is missing or empty", file=path, key="devices", allowed="a list of devices, each with a key")
    if form.ray.address is not None:
        read_ray_address(form.ray.address, path, "ray.address")
    if form.mlflow.tracking_uri is not None:
        read_store_uri(form.mlflow.tracking_uri, path, "mlflow.tracking_uri")
    seen: dict[str, int] = {}
    for index, device in enumerate(devices):
        if device.key in seen:
            allowed = "each key once; `count` for equal boards"
            raise StudyError(
                "is there twice", file=path, key=f"devices[{index}].key", value=device.key, allowed=allowed
            )
        seen[device.key] = index
    return Cluster(
        name=form.name,
        engine=form.engine,
        tracker=_tracker(form.tracker, path, form.engine),
        devices=devices or _made_up(simulate),
        ray=RayOptions(**form.ray.model_dump()),
        mlflow_uri=form.mlflow.tracking_uri,
        simulate=simulate,
        path=path,
        replay=_replay(form, path),
        is_mirrored=form.mlflow.enabled,
        register=form.mlflow.registered,
        notify=read_notify(form.notify),
    )


def _replay(form: ClusterForm, file: Path) -> Replay | None:
    if form.engine != "replay":
        return None
    allowed = "sweep: the directory of a sweep that was run"
    if form.replay is None:
        raise StudyError("is missing", file=file, key="replay", allowed=allowed)
    folder = Path(os.path.normpath(file.resolve().parent / Path(form.replay.sweep).expanduser()))
    SweepDir(folder).require_as("replay.sweep", value=form.replay.sweep, file=file)
    return Replay(sweep=folder, slots=form.replay.slots, speed=form.replay.speed)


def _simulate(form: SimulateForm) -> Simulate:
    return Simulate(**form.model_dump(by_alias=True))


def _made_up(simulate: Simulate) -> tuple[Device, ...]:
    return tuple(
        Device(key=f"sim-{i}", target=_this_cpu(), threads=1, cores=(), managed=False) for i in range(simulate.devices)
    )


def _this_cpu() -> dict[str, Any]:
    return {"kind": "llvm", "native": host.cpu_id()}


def _tracker(form: TrackerForm, file: Path, engine: str) -> Tracker:
    if form.managed:
        name = form.host or "127.0.0.1"
        if name not in _LOOPBACK:
            # RPC is plain text and executes whatever it is sent
            allowed = "127.0.0.1; for a tracker elsewhere, managed: false"
            raise StudyError("is not loopback", file=file, key="tracker.host", value=name, allowed=allowed)
        return Tracker(host=name, port=form.port or 0, managed=True)
    name = form.host or os.environ.get("TVM_TRACKER_HOST") or "127.0.0.1"
    port = form.port if form.port is not None else _port_of_environment()
    if engine not in PRETENDED and not port:
        allowed = "1 to 65535, here or in TVM_TRACKER_PORT, for a tracker that is not managed"
        raise StudyError("is missing", file=file, key="tracker.port", value=form.port, allowed=allowed)
    return Tracker(host=name, port=port or 0, managed=False)


def _port_of_environment() -> int | None:
    text = os.environ.get("TVM_TRACKER_PORT")
    if not text:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= 65_535:
        raise StudyError("is not a port", file="environment", key="TVM_TRACKER_PORT", value=text, allowed="1 to 65535")
    return int(text)


def _device(form: DeviceForm, file: Path, key: str, engine: str) -> Device:
    managed = form.managed and engine not in PRETENDED
    if form.target is None and not form.managed:
        allowed = "its target: a tag, a string or a mapping; native if it is this very host"
        raise StudyError("is missing for a device that is not managed", file=file, key=f"{key}.target", allowed=allowed)
    if not form.managed and form.cores is not None:
        allowed = "cores for managed devices only: these are this host's"
        raise StudyError(
            "does not apply to a device elsewhere", file=file, key=f"{key}.cores", value=form.cores, allowed=allowed
        )
    if not form.managed and form.lend and "lend" in form.model_fields_set:
        allowed = "false; its cores are not this host's"
        raise StudyError(
            "does not apply to a device elsewhere", file=file, key=f"{key}.lend", value=True, allowed=allowed
        )
    if not form.managed and "server" in form.model_fields_set:
        allowed = "managed devices only; the server of this one is started by others"
        raise StudyError("does not apply to a device elsewhere", file=file, key=f"{key}.server", allowed=allowed)
    if form.target is None and form.server.python is not None:
        allowed = "what that interpreter runs on, such as {kind: llvm, mtriple: aarch64-linux-gnu}, or native"
        raise StudyError(
            "is missing for a device with an interpreter of its own", file=file, key=f"{key}.target", allowed=allowed
        )
    target = _own_target(form, file, key)
    cores_of_tag = target.pop("num-cores", None)
    threads = form.threads or (cores_of_tag if not form.managed and cores_of_tag else 1)
    cores = _cores(form.cores or [-1], file, f"{key}.cores") if managed else ()
    if managed and threads > len(cores):
        allowed = f"up to {len(cores)}, the number of its cores"
        raise StudyError("is more than it has cores", file=file, key=f"{key}.threads", value=threads, allowed=allowed)
    labels = dict(sorted(form.labels.items()))
    server = read_server(form.server, file, f"{key}.server") if managed else Server()
    linker = None
    if form.linker is not None and engine not in PRETENDED:
        linker = read_program(form.linker, file, f"{key}.linker")
    lend = managed and form.lend
    device = Device(form.key, target, threads, cores, managed, form.count, labels, lend, server, linker)
    if device.is_this_host:
        _check_host(device, file, key)
    return device


def _own_target(form: DeviceForm, file: Path, key: str) -> dict[str, Any]:
    target = read_target(form.target if form.target is not None else NATIVE, file, f"{key}.target")
    return _this_cpu() if target.attrs["kind"] == NATIVE else dict(target.attrs)


def _check_host(device: Device, file: Path, key: str) -> None:
    """Such a device runs on this machine's own processor, which must be able to execute its code."""
    this = Device("this machine", _this_cpu(), 1 << 20, (), managed=False)
    if NATIVE not in device.target and (reason := fit(Target(_shown(device.target), device.target), this)):
        allowed = (
            "native, or what this machine executes; a board elsewhere is managed: false; an emulator: server.python"
        )
        reason = reason.replace("the device", "this machine")
        raise StudyError(
            f"cannot run here: {reason}",
            file=file,
            key=f"{key}.target",
            allowed=allowed,
        )


def _shown(target: Mapping[str, Any]) -> str:
    return str(target.get("mcpu") or target.get("mtriple") or target["kind"])


def _cores(written: list[int], file: Path, key: str) -> tuple[int, ...]:
    """Absolute numbers, ascending; a negative one counts from the end of those that this process may use."""
    usable = host.usable_cores()
    found: list[int] = []
    for index, core in enumerate(written):
        if (core < 0 and -core > len(usable)) or (core >= 0 and core not in usable):
            allowed = f"{listed(usable, 16)}, or -1 to -{len(usable)} from the end"
            raise StudyError(
                "is not a core that can be used here", file=file, key=f"{key}[{index}]", value=core, allowed=allowed
            )
        absolute = usable[core] if core < 0 else core
        if absolute in found:
            raise StudyError(
                f"is core {absolute} again", file=file, key=f"{key}[{index}]", value=core, allowed="each core once"
            )
        found.append(absolute)
    return tuple(sorted(found))
