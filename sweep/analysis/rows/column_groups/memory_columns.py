"""Result columns of the memory that a network needs, and how it was read: rows of the table in
`sweep.analysis.rows.columns`.
"""

from __future__ import annotations

from sweep.analysis.formatting import as_bytes
from sweep.analysis.rows.column import Column, Detail

__all__ = ["MEMORY_COLUMNS"]

MEMORY_COLUMNS = (
    Column(
        "peak_memory_bytes",
        "int64",
        "peak memory of the measuring process above idle",
        "bytes",
        lambda facts: facts.measure.peak_memory_bytes,
        "size/peak_memory_bytes",
        detail=Detail("memory", as_bytes, "peak memory of the measurement above idle", rank=60),
    ),
    Column(
        "peak_memory_method",
        "text",
        "how memory of the variable memory was read: VmHWM; ru_maxrss, with loading; runtime, which told it",
        value=lambda facts: facts.measure.peak_memory_method,
    ),
)
