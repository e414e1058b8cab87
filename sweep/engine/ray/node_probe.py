"""Looks what a node of a cluster has for a sweep, and why it cannot be used. Runs on the node; knows nothing of Ray."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sweep.installation import __version__
from sweep.planning.kinds import STAGE_KINDS
from sweep.planning.stage_kind import Place
from sweep.planning.versions import versions_of
from sweep.study.targets import host

__all__ = ["NodeView", "look", "refusal"]

_CONNECT_S = 5.0


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node's own report: its versions, its CPU, and whether it reaches tracker and sweep directory."""

    versions: Mapping[str, str] = field(default_factory=dict)
    """Of all that builds and searches; `absent` what is not there."""
    cpu: str = ""
    """Which CPU it is, as `native` means it."""
    has_sweep_dir: bool = False
    """Whether the driver's sweep directory is there, under the same path, and can be written."""
    has_tracker: bool = False
    """Whether the tracker answers to it."""
    problem: str | None = None
    """Why it could not look at all."""


def look(marker: Path, node: str, tracker: tuple[str, int]) -> NodeView:
    """Look around on this node.

    `marker`: a folder that the driver has just made in the sweep directory; a file of this node's name is left there,
    for the driver to see. `tracker`: host and port.
    """
    return NodeView(_versions(), host.cpu_id(), _leaves(marker, node), _answers(tracker))


def refusal(seen: NodeView, wanted: NodeView, sweep_dir: Path, *, needs_same_cpu: bool) -> str | None:
    """Why a node cannot take work of a driver on the node `wanted`; None when it can.

    `needs_same_cpu`: code for `native` is generated, which means the CPU of the node that does it.
    """
    if seen.problem is not None:
        return seen.problem
    for name, version in wanted.versions.items():
        found = seen.versions.get(name, "absent")
        if found != version:
            return f"it has no {name}" if found == "absent" else f"it has {name} {found}, the driver's node {version}"
    if not seen.has_sweep_dir:
        return f"it does not share {sweep_dir} with the driver's node, or cannot write there"
    if needs_same_cpu and seen.cpu != wanted.cpu:
        return "it has another CPU than the driver's node, whose CPU `native` means"
    return None


def _versions() -> dict[str, str]:
    found = {"sweep": __version__}
    for kind in STAGE_KINDS:
        if kind.place is not Place.DEVICE:  # devices are measured from the driver's node, or have their own runtimes
            for name, version in versions_of(kind).items():
                found[f"recipe of {kind.name}" if name == "recipe" else name] = str(version)
    if importlib.util.find_spec("tvm") is None:
        found["apache-tvm"] = "absent"
    return found


def _leaves(marker: Path, node: str) -> bool:
    try:
        (marker / node).write_text(node, encoding="ascii")
    except OSError:
        return False
    return True


def _answers(tracker: tuple[str, int]) -> bool:
    try:
        socket.create_connection(tracker, timeout=_CONNECT_S).close()
    except OSError:
        return False
    return True
