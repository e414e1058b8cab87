"""What a compile pool performs: a function, the class of its failures, and whether it gives way."""

from __future__ import annotations

from dataclasses import dataclass

from sweep.errors import ToolchainError

__all__ = ["BUILD_CANDIDATE", "BUILD_LAYERS", "BUILD_ROOF_KERNELS", "BUILD_SENTINEL_KERNEL", "CompileJob"]


@dataclass(frozen=True, slots=True)
class CompileJob:
    """A function of JSON-able keyword arguments, with a JSON-able dict as its result."""

    function: str
    """`module:function`."""
    error_class: str = ToolchainError.__name__
    """Class of the error tree of what is no error of that tree: a crash, a time limit, a bug."""
    gives_way: bool = False
    """Whether it waits behind all jobs that do not: tuning has dozens of candidates waiting, and a stage would queue
    behind them."""


BUILD_CANDIDATE = CompileJob("sweep.toolchain.jobs:build_candidate", "BuildFailed", gives_way=True)
BUILD_SENTINEL_KERNEL = CompileJob("sweep.toolchain.jobs:build_sentinel_kernel", "BuildFailed")
BUILD_ROOF_KERNELS = CompileJob("sweep.toolchain.jobs:build_roof_kernels", "BuildFailed")
BUILD_LAYERS = CompileJob("sweep.toolchain.jobs:build_layers", "BuildFailed")
