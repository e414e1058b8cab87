"""Times one candidate of a tuner: a library with one function, on random arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.errors import MeasureFailed

if TYPE_CHECKING:
    from sweep.devices.remote import Remote

__all__ = ["time_candidate"]

RANDOM_FILL = "tvm.contrib.random.random_fill_for_measure"


def time_candidate(
    remote: Remote, lib: Path, args: Sequence[Mapping[str, Any]], number: int, repeat: int, min_repeat_ms: float
) -> list[float]:
    """`repeat` means over `number` calls, in seconds; the first call of all is TVM's own warm-up and not among them."""
    import tvm

    module = remote.load(lib)
    tensors = [tvm.runtime.empty(tuple(arg["shape"]), arg["dtype"], remote.device) for arg in args]
    fill = remote.function(RANDOM_FILL)
    if fill is None:
        raise MeasureFailed(f"the device's TVM lacks {RANDOM_FILL}: serve it with libtvm_runtime_extra.so loaded")
    for tensor in tensors:
        fill(tensor)
    remote.device.sync()
    evaluator = module.time_evaluator(
        module.entry_name, remote.device, number=number, repeat=repeat, min_repeat_ms=min_repeat_ms
    )
    return [float(value) for value in evaluator(*tensors).results]
