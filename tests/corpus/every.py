"""All networks, by name."""

from __future__ import annotations

from tests.corpus import edges, layouts, strangers
from tests.corpus.networks import FLOAT16, NETWORKS

__all__ = ["FLOAT16", "NETWORKS"]

assert layouts.between  # their networks are registered as they are imported
assert edges.trees
assert strangers.forms_of_others
