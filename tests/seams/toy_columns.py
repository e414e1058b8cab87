"""A result column that a package might bring."""

from __future__ import annotations

from sweep.analysis.rows.column import Column, Detail

BYTES_PER_MS = Column(
    "bytes_per_ms",
    "float64",
    "size of the library over the median latency",
    "bytes/ms",
    lambda facts: (
        facts.built.artifact_bytes / (facts.latency.median * 1e3)
        if facts.built.artifact_bytes and facts.latency
        else None
    ),
    metric="size/bytes_per_ms",
    detail=Detail("size rate", lambda value: f"{value:.0f} B/ms", "bytes of the library for each millisecond", rank=55),
)
