"""Keeps an embedded Ray to the processes that somebody uses: each of the others is a Python that loads for a second.

`ray.init` has no option for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["lean_start"]

_UNUSED = (
    "start_monitor",  # adds nodes to a cluster and takes some away: this one has a single node
    "start_log_monitor",  # sends what workers print to drivers: ours asks for none of it
    "start_api_server",  # without a dashboard it tells how Ray is used, which is off
)
"""Methods of Ray's node."""


@contextmanager
def lean_start() -> Iterator[None]:
    """Meanwhile a Ray that is started has no autoscaler, no log monitor and no server of a dashboard.

    Of another version of Ray, which may start them by other names, it has them.
    """
    from ray._private.node import Node

    usual = {name: getattr(Node, name) for name in _UNUSED if hasattr(Node, name)}
    for name in usual:
        setattr(Node, name, _start_nothing)
    try:
        yield
    finally:
        for name, start in usual.items():
            setattr(Node, name, start)


def _start_nothing(_: object, **__: Any) -> None:
    pass
