"""TVM: what is compiled here, run through its Relax VM over RPC. The measuring itself is in `artifact`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.study.runtimes import Runtime
from sweep.study.spec import TVM

if TYPE_CHECKING:
    from sweep.study.cluster.cluster import Device
    from sweep.study.spec import Cell, Model

__all__ = ["TVM_RUNTIME"]


def _refuses_nothing(model: Model, device: Device, cell: Cell) -> str | None:
    """Which device its code may run on is the target's question: `sweep.study.cluster.target_fit`."""
    return None


TVM_RUNTIME = Runtime(
    name=TVM,
    title="TVM",
    distributions=("apache-tvm", "apache-tvm-ffi"),
    refuses=_refuses_nothing,
    is_compiled=True,
)
