"""All networks, by name."""

from __future__ import annotations

from tests.corpus import layouts
from tests.corpus.networks import FLOAT16, NETWORKS

__all__ = ["FLOAT16", "NETWORKS"]

assert layouts.between  # its networks are registered as it is imported
