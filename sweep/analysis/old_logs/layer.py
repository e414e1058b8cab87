"""A workload of an old log in words that a person recognises the layer by."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

__all__ = ["layer_name"]

_LENGTH = 100
_HASH = re.compile(r"[0-9a-f]{32}")


def layer_name(name: str, arguments: Sequence[object], workload: str) -> str:
    """`conv2d_nchw.x86 (1,3,224,224) (64,3,7,7) [2,2] NCHW`; a long one is cut and ends in 6 digits of the workload."""
    # Ansor names what came out of a network by a hash
    words = [f"subgraph-{name[:8]}" if _HASH.fullmatch(name) else name]
    numbers: list[str] = []
    for argument in [*arguments, None]:
        if type(argument) in (int, float):
            numbers.append(_compact(argument))
            continue
        if numbers:
            words.append(f"({','.join(numbers)})")
            numbers = []
        if argument is not None:
            words.append(_word(argument))
    text = " ".join(words)
    return text if len(text) <= _LENGTH else f"{text[: _LENGTH - 10]}... {workload[:6]}"


def _word(argument: object) -> str:
    if isinstance(argument, str):
        return argument
    if isinstance(argument, list) and len(argument) == 3 and argument[0] == "TENSOR" and isinstance(argument[1], list):
        dtype = "" if argument[2] == "float32" else str(argument[2])
        return f"({_compact(argument[1])[1:-1]}){dtype}"
    return _compact(argument)


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
