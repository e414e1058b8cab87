"""Times the sentinel kernel on a device: one uploaded library, timed the same way around every block of repeats.

TVM's runtime calls it where a session is open, also with TVM's stock server. The process of another runtime calls it
without TVM: the library needs TVM's small foreign-function part alone.
"""

from __future__ import annotations

import ctypes
import importlib.util
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.devices.measuring.candidate import RANDOM_FILL, arguments, timed
from sweep.installation import torch_left_out

if TYPE_CHECKING:
    from sweep.devices.rpc.remote import Remote

__all__ = ["SentinelKernel", "Timer", "load_local", "local_timer", "remote_timer"]

TIMES = 7
"""Runs each time; their median forgives three interrupts."""
ALIGNMENT_BYTES = 64
"""What compiled code may take for granted of its arguments."""

Timer = Callable[[], list[float]]
"""Runs the kernel a few times and gives the seconds of each."""


@dataclass(frozen=True, slots=True)
class SentinelKernel:
    """The kernel's library and its arguments."""

    lib: Path
    args: Sequence[Mapping[str, Any]]
    """Shapes and dtypes, as for a candidate."""


def remote_timer(remote: Remote, kernel: SentinelKernel | None) -> Timer:
    """Times the kernel on the board. Without a kernel there are no times."""
    if kernel is None:
        return list
    module, tensors = remote.load(kernel.lib), _remote_tensors(remote, kernel.args)
    return lambda: timed(remote, module, tensors, number=1, repeat=TIMES, min_repeat_ms=0)


def local_timer(kernel: SentinelKernel | None) -> Timer:
    """Times the kernel in this process, which need not have loaded TVM."""
    if kernel is None:
        return list
    tvm_ffi = load_local()
    function = tvm_ffi.load_module(str(kernel.lib)).get_function("main")
    tensors = [tvm_ffi.from_dlpack(_ones(arg["shape"], arg["dtype"])) for arg in kernel.args]

    def run() -> list[float]:
        function(*tensors)
        seconds = []
        for _ in range(TIMES):
            began = time.perf_counter()
            function(*tensors)
            seconds.append(time.perf_counter() - began)
        return seconds

    return run


def load_local() -> Any:
    """Load what a kernel in this process takes, and no more of TVM. Gives the package of its foreign functions."""
    with torch_left_out():
        import tvm_ffi

    runtime = Path(_package_dir("tvm")) / "lib" / "libtvm_runtime.so"
    if runtime.exists():  # has the pool of threads
        ctypes.CDLL(str(runtime), ctypes.RTLD_GLOBAL)
    return tvm_ffi


def _remote_tensors(remote: Remote, args: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Filled on the board, where its TVM can; TVM's stock server does not load what that takes."""
    import numpy as np
    import tvm

    if remote.function(RANDOM_FILL) is not None:
        return arguments(remote, args)
    return [tvm.runtime.tensor(np.ones(arg["shape"], arg["dtype"]), remote.device) for arg in args]


def _ones(shape: Sequence[int], dtype: str) -> Any:
    """An array of ones that begins where compiled code expects it."""
    import numpy as np

    size_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.empty(size_bytes + ALIGNMENT_BYTES, np.uint8)
    begin = -room.ctypes.data % ALIGNMENT_BYTES
    values = room[begin : begin + size_bytes].view(dtype).reshape(tuple(shape))
    values[...] = 1
    return values


def _package_dir(name: str) -> str:
    spec = importlib.util.find_spec(name)
    return "" if spec is None or not spec.submodule_search_locations else str(spec.submodule_search_locations[0])
