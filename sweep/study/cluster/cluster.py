"""The words of a cluster file as frozen data: which devices there are and what carries out the work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweep.study.notify import Notify

__all__ = ["DEFAULT_FILE", "PRETENDED", "Cluster", "Device", "RayOptions", "Replay", "Server", "Simulate", "Tracker"]

DEFAULT_FILE = Path("clusters/local.yaml")
"""What commands take where no cluster file is named; where it is not there, they take this machine as one device."""

PRETENDED = ("simulated", "replay")
"""Engines that touch no device."""


@dataclass(frozen=True, slots=True)
class Server:
    """What the server of a managed device runs under, where that is not simply this interpreter."""

    python: str | None = None
    """A program of this host that is started as Python is and sees this host's files: another environment's
    interpreter, or an emulator that runs another architecture's. None: the interpreter of this process."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Set for it beside what sweep sets."""


@dataclass(frozen=True, slots=True)
class Device:
    """One board or host, by its tracker key."""

    key: str
    target: Mapping[str, Any]
    """Its own: what `native` means there, and what code for it may use. `{"kind": "llvm", "native": "<cpu id>"}` for
    the CPU of this host, which only the toolchain can name in LLVM's words."""
    threads: int
    """Threads of the runtime that serves it."""
    cores: tuple[int, ...]
    """Cores of this host that it owns; empty for a device elsewhere."""
    managed: bool
    """Whether its server is started, and ended, by the farm."""
    count: int = 1
    """How many equal boards share the key. Of a managed device so many servers, which take turns on its cores."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """For people: what the key does not say."""
    lend: bool = False
    """Whether builds may use its cores between its measurements."""
    server: Server = Server()
    linker: str | None = None
    """A compiler that links for its target where that is not this host's architecture. None: one that is named as GCC's
    cross compilers are."""

    @property
    def is_this_host(self) -> bool:
        """Whether it runs what this process could run: on this host, under no interpreter of its own."""
        return self.managed and self.server.python is None


@dataclass(frozen=True, slots=True)
class Tracker:
    """Where devices register."""

    host: str
    port: int
    """0: a free one, chosen when it starts."""
    managed: bool
    """Whether it is started, and ended, by the farm."""


@dataclass(frozen=True, slots=True)
class RayOptions:
    """How Ray is reached."""

    address: str | None = None
    """None: a Ray of its own on loopback."""
    num_cpus: int | None = None
    """None: what this machine has beside the cores that devices own."""
    metrics_port: int | None = None
    """On which a Ray of its own serves metrics; None: any that is free."""


@dataclass(frozen=True, slots=True)
class Simulate:
    """What the simulated engine pretends; it does no TVM work."""

    devices: int
    """Devices made up, `sim-0` and on, when the file lists none."""
    slots: int
    """Measurements at once on each."""
    stage_s: Mapping[str, float]
    """Simulated seconds a stage takes, by kind."""
    failure_rate: float
    """Share of attempts that fail."""
    seed: int
    speed: float
    """Simulated seconds a second; 0: as fast as it goes."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What the replay engine answers from; it does no TVM work."""

    sweep: Path
    """Directory of a sweep that was run."""
    slots: int
    """Stages at once that are not measurements."""
    speed: float
    """Recorded seconds a second; 0: as fast as it goes."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster file, checked."""

    name: str
    engine: str
    """`ray`, `inline`, `simulated` or `replay`."""
    tracker: Tracker
    devices: tuple[Device, ...]
    ray: RayOptions
    mlflow_uri: str | None
    """None: a store inside the sweep directory."""
    simulate: Simulate
    path: Path
    replay: Replay | None = None
    """Only where the engine is `replay`."""
    is_mirrored: bool = True
    """Whether a run writes to MLflow; `sweep mirror` does so at any time."""
    register: str | None = None
    """The registered model of which the best cell becomes a version; None: it is logged alone."""

    notify: Notify | None = None
    """Who is told how a run ended, beside whom the study names."""

    @property
    def is_pretended(self) -> bool:
        """Whether its engine touches no device, so that any device can be listed."""
        return self.engine in PRETENDED

    def device(self, key: str) -> Device:
        """The device with this key; KeyError where there is none."""
        for device in self.devices:
            if device.key == key:
                return device
        raise KeyError(key)
