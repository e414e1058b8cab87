"""What a compile pool performs: a function, the class of its failures, its limits, and whether it is a candidate."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    comes_first: bool = False
    """Whether it goes before all others of its kind."""
    limit_s: float | None = None
    """For how long it may run, from its start; None: for ever."""
    memory_bytes: int | None = None
    """What it may map above the compile server's own size; None: as much as any job of its pool."""

    def within(self, limit_s: float | None) -> CompileJob:
        """The same where so much time is left for it; None: no less than it may take by itself."""
        if limit_s is None:
            return self
        return replace(self, limit_s=limit_s if self.limit_s is None else min(limit_s, self.limit_s))


BUILD_CANDIDATE = CompileJob(
    "sweep.toolchain.jobs:build_candidate", "BuildFailed", is_candidate=True, memory_bytes=4 * 2**30
)
"""A schedule that unrolls without end fails alone; a tuner's options say after how many seconds."""
BUILD_SENTINEL_KERNEL = CompileJob("sweep.toolchain.jobs:build_sentinel_kernel", "BuildFailed", limit_s=300.0)
BUILD_ROOF_KERNELS = CompileJob("sweep.toolchain.jobs:build_roof_kernels", "BuildFailed", limit_s=300.0)
BUILD_NETWORK = CompileJob("sweep.toolchain.jobs:build_artifact", "BuildFailed", comes_first=True, limit_s=1200.0)
"""While it is tuned. Somebody waits for a first answer, and its functions serve later builds. This and the next two may
take as long as the stage that builds a network; to place layers it is lowered again, too."""
BUILD_LAYERS = CompileJob("sweep.toolchain.jobs:build_layers", "BuildFailed", limit_s=1200.0)
BUILD_PLACED_LAYERS = CompileJob("sweep.toolchain.jobs:build_placed_layers", "BuildFailed", limit_s=1800.0)
