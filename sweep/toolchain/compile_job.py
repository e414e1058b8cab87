"""What a compile pool performs: a function, the class of its failures, and whether it is a candidate of tuning."""

from __future__ import annotations

from dataclasses import dataclass

from sweep.errors import ToolchainError

__all__ = [
    "BUILD_CANDIDATE",
    "BUILD_LAYERS",
    "BUILD_NETWORK",
    "BUILD_PLACED_LAYERS",
    "BUILD_ROOF_KERNELS",
    "BUILD_SENTINEL_KERNEL",
    "CompileJob",
]


@dataclass(frozen=True, slots=True)
class CompileJob:
    """A function of JSON-able keyword arguments, with a JSON-able dict as its result."""

    function: str
    """`module:function`."""
    error_class: str = ToolchainError.__name__
    """Class of the error tree of what is no error of that tree: a crash, a time limit, a bug."""
    is_candidate: bool = False
    """Whether it is a candidate of tuning, of which dozens wait: they share the slots with stages."""


BUILD_CANDIDATE = CompileJob("sweep.toolchain.jobs:build_candidate", "BuildFailed", is_candidate=True)
BUILD_SENTINEL_KERNEL = CompileJob("sweep.toolchain.jobs:build_sentinel_kernel", "BuildFailed")
BUILD_ROOF_KERNELS = CompileJob("sweep.toolchain.jobs:build_roof_kernels", "BuildFailed")
BUILD_NETWORK = CompileJob("sweep.toolchain.jobs:build_artifact", "BuildFailed")
BUILD_LAYERS = CompileJob("sweep.toolchain.jobs:build_layers", "BuildFailed")
BUILD_PLACED_LAYERS = CompileJob("sweep.toolchain.jobs:build_placed_layers", "BuildFailed")
