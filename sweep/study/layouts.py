"""The layouts that a study may name: of the activations inside the network, at every opt level.

Where a study names none, its cells have the default, `NCHW`, which has always meant what the opt level chooses: the
layout of the import at levels 0 to 2, channels last from 3 on. That is in the ids of all earlier sweeps. A layout that
a study writes down is kept instead, which its lower stages are told by an option of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["CHOSEN", "KEEP", "LAYOUTS", "UNNAMED", "is_kept_anyway", "layout_options"]

UNNAMED = "NCHW"
"""What the axis holds where a study says nothing of it."""
CHOSEN = "auto"
"""What the opt level chooses."""
LAYOUTS = ("as-is", "NCHW", "NHWC", CHOSEN)
KEEP = "keep_layout"
"""The option of a lower stage whose layout is a study's word."""

_KEPT = ("NCHW", "NHWC")
_CHOICE_FROM = 3
"""The opt level from which recipes choose a layout."""


def layout_options(named: str) -> dict[str, Any]:
    """What the options of a lower stage say of a layout that a study names."""
    if named == CHOSEN:
        return {"layout": UNNAMED}
    return {"layout": named, KEEP: True} if named in _KEPT else {"layout": named}


def is_kept_anyway(options: Mapping[str, Any], opt_level: int, has_channels_last: bool) -> bool:
    """Whether the recipe of a level gives a layout whether it is to be kept or not, as it did before any could be: such
    a stage is the earlier one, and is not done again. has_channels_last: of the network's file.
    """
    return opt_level < _CHOICE_FROM and (options["layout"] == "NHWC" or not has_channels_last)
