"""The form of a cluster file: its keys, types, defaults and limits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from sweep.study.notify import NotifyForm
from sweep.study.reading.form import Form, Name, Slug, VersionedForm
from sweep.study.targets.target_form import TargetForm

__all__ = [
    "ClusterForm",
    "DeviceForm",
    "MlflowForm",
    "RayForm",
    "ReplayForm",
    "ServerForm",
    "SimulateForm",
    "TrackerForm",
]


class TrackerForm(Form):
    """Where devices register."""

    host: str | None = Field(
        None, min_length=1, max_length=253, description="By default 127.0.0.1; unmanaged: TVM_TRACKER_HOST."
    )
    port: int | None = Field(None, ge=0, le=65_535, description="0: a free one; unmanaged: TVM_TRACKER_PORT.")
    managed: bool = Field(True, description="Whether sweep starts and ends it.")


Program = Annotated[str, Field(min_length=1, max_length=4096)]


class ServerForm(Form):
    """What a managed device's server runs under."""

    python: Program | None = Field(
        None,
        description="Started as Python is: a name on PATH, or a path from the cluster file's folder, with ~ and "
        "$VARIABLES. Default: the interpreter that runs sweep.",
        examples=["${SWEEP_ARM64_ROOT}/bin/python"],
    )
    env: dict[str, str] = Field(
        {}, description="Environment variables for it, with $VARIABLES.", examples=[{"QEMU_CPU": "cortex-a53"}]
    )


class DeviceForm(Form):
    """One board or host, by its tracker key."""

    key: Name = Field(description="Its key at the tracker.", examples=["local", "rasp4"])
    target: (
        Annotated[
            Annotated[str, Field(min_length=1), Tag("text")] | Annotated[TargetForm, Tag("mapping")],
            Discriminator(lambda value: "text" if isinstance(value, str) else "mapping"),
        ]
        | None
    ) = Field(
        None, description="Its own target: native (the default for managed devices), a tag, a string or a mapping."
    )
    threads: int | None = Field(None, ge=1, le=1024, description="Threads of its runtime, by default 1.")
    cores: list[Annotated[int, Field(ge=-1024, le=1023)]] | None = Field(
        None, min_length=1, description="Cores it owns; -1 is the last that this process may use. Default: [-1]."
    )
    lend: bool = Field(True, description="Whether builds may use its cores between its measurements.")
    managed: bool = Field(True, description="Whether sweep starts and ends its server, on this host.")
    server: ServerForm = Field(ServerForm(), description="What that server runs under.")
    linker: Program | None = Field(
        None,
        description="Links what is built for it on another architecture: a name on PATH, or a path as in `server`.",
        examples=["aarch64-linux-gnu-g++"],
    )
    count: int = Field(
        1, ge=1, le=10_000, description="Equal boards that share the key; managed: servers, which share the cores."
    )
    labels: dict[str, str] = Field({}, description="For people.")


class RayForm(Form):
    """How Ray is reached."""

    address: str | None = Field(
        None, min_length=1, description="An existing cluster; null: one of its own on loopback."
    )
    num_cpus: int | None = Field(None, ge=1, le=100_000, description="Cores it may use; null: those devices leave.")
    metrics_port: int | None = Field(
        None, ge=1, le=65_535, description="Where a Ray of its own serves metrics on loopback; null: any free port."
    )


class MlflowForm(Form):
    """Where results are mirrored."""

    tracking_uri: str | None = Field(None, min_length=1, description="null: a store inside the sweep directory.")
    enabled: bool = Field(True, description="false: no run is written to MLflow; `sweep mirror` can do so later.")
    registered: Name | None = Field(
        None,
        alias="register",  # a name that classes have already
        description="A registered model, of which the best cell becomes a version; of several networks and devices "
        "each has a model of its own whose name begins so.",
        examples=["detector"],
    )


Seconds = Annotated[float, Field(ge=0, le=86_400)]


class SimulateForm(Form):
    """What the simulated engine pretends."""

    devices: int = Field(4, ge=1, le=10_000, description="Devices sim-0 and on, when `devices` lists none.")
    slots: int = Field(1, ge=1, le=10_000, description="Measurements at once on each.")
    stage_s: dict[str, Seconds] = Field({}, description="Seconds a stage takes, by kind.")
    failure_rate: float = Field(0.0, ge=0, le=1, description="Share of attempts that fail.")
    seed: int = Field(0, ge=0, le=(1 << 31) - 1, description="Of the failures.")
    speed: float = Field(0.0, ge=0, le=1e9, description="Simulated seconds a second; 0: as fast as it goes.")


class ReplayForm(Form):
    """What the replay engine answers from."""

    sweep: str = Field(
        min_length=1,
        max_length=4096,
        description="Directory of a sweep that was run, from the cluster file's folder.",
        examples=["../sweeps/cpu-quickstart"],
    )
    slots: int = Field(1, ge=1, le=10_000, description="Stages at once that are not measurements.")
    speed: float = Field(0.0, ge=0, le=1e9, description="Recorded seconds a second; 0: as fast as it goes.")


class ClusterForm(VersionedForm):
    """A cluster: devices, and what carries out the work."""

    name: Slug = Field(description="Its name: small letters, digits and dashes.", examples=["local"])
    engine: Literal["ray", "inline", "simulated", "replay"] = Field("ray", description="What carries out the work.")
    tracker: TrackerForm = Field(TrackerForm(), description="Where devices register.")
    devices: list[DeviceForm] = Field([], description="Boards and hosts.")
    ray: RayForm = Field(RayForm(), description="How Ray is reached.")
    mlflow: MlflowForm = Field(MlflowForm(), description="Where results are mirrored.")
    simulate: SimulateForm | None = Field(None, description="What the simulated engine pretends.")
    replay: ReplayForm | None = Field(None, description="What the replay engine answers from.")
    notify: NotifyForm | None = Field(None, description="Who is told how a run ended.")
