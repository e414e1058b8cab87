"""How far a training has come, in one file that appears whole: the one who goes on ends at the same network."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.files.atomic import write_bytes

__all__ = ["read_checkpoint", "write_checkpoint"]


def write_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors, numbers, texts, and lists and mappings of these. Raises OSError."""
    import torch

    stream = io.BytesIO()
    torch.save(dict(content), stream)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, stream.getvalue())


def read_checkpoint(path: Path) -> dict[str, Any] | None:
    """What was written last; None where there is none, or a damaged one, which costs what it had saved."""
    import torch

    if not path.is_file():
        return None
    try:
        content = torch.load(path, weights_only=True)
    except Exception:  # noqa: BLE001  (of many classes, for a damaged file)
        return None
    return content if isinstance(content, dict) else None
