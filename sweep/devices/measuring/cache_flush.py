"""Emptying the CPU's caches before a call, by writing through memory that is larger than they are.

TVM's `cache_flush_cpu_non_first_arg` flushes the arguments of the timed call, of which an invocation of a whole network
with its inputs set before has none; weights and activations would stay. TVM's evaluator can also copy one array to
another before each repeat (`cache_flush_bytes`), over RPC and on its stock server too: that is used on boards, and the
like of it in its own process for every other runtime.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["flush_bytes", "flusher"]

LEAST_BYTES, MOST_BYTES = 64 << 20, 512 << 20
"""Where the caches are not known, 64 MB are more than a board has; and a board must have the memory, twice."""


def flush_bytes(cache_bytes: int | None) -> int:
    """How much to write so that nothing else is left in a largest cache of `cache_bytes` (None: not known)."""
    return min(MOST_BYTES, max(LEAST_BYTES, 2 * (cache_bytes or 0)))


def flusher(size_bytes: int) -> Callable[[], None]:
    """Writes through so many bytes in this process; nothing for 0."""
    import numpy as np

    memory = np.zeros(size_bytes, np.uint8)

    def flush() -> None:
        np.add(memory, 1, out=memory)

    return flush
