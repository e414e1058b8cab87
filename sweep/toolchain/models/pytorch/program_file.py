"""An exported program in the folder of its import, with the weights in the file that all imports of a model share.

`sweep.devices.runtimes.torch_program` reads it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.toolchain.weights_file import SMALLEST_BYTES

if TYPE_CHECKING:
    from sweep.toolchain.weights_file import WeightsFile

__all__ = ["write_program"]

_SELF_CONTAINED_BYTES = 8 * 2**20
"""Of weights, up to which the file has them in itself, as those of ONNX networks do: every tool reads it then."""
WEIGHTS = "weights.json"
"""An extra file of the archive: by the name of a weight its type, shape and place in the file of weights."""


def write_program(program: Any, folder: Path, name: str, weights: WeightsFile) -> None:
    """Write `name` into `folder`. The program is as it was afterwards."""
    import torch

    state = dict(program.state_dict)
    total = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    if total <= _SELF_CONTAINED_BYTES:
        torch.export.save(program, folder / name)
        return
    spans, kept = {}, {}
    for key, tensor in state.items():
        values = tensor.detach().contiguous()
        if values.numel() * values.element_size() < SMALLEST_BYTES or not _is_plain(values):
            continue
        span = weights.put(values.numpy().tobytes())
        dtype = str(values.dtype).removeprefix("torch.")
        spans[key] = {"dtype": dtype, "shape": list(values.shape), "offset_bytes": span.offset_bytes}
        kept[key] = tensor
    file = weights.write(folder)
    empty = {key: _empty_as(tensor) for key, tensor in kept.items()}
    program.state_dict.update(empty)
    try:
        extra = {WEIGHTS: json.dumps({"file": file, "weights": spans})}
        torch.export.save(program, folder / name, extra_files=extra)
    finally:
        program.state_dict.update(kept)


def _is_plain(tensor: Any) -> bool:
    """Whether numpy has its type."""
    try:
        tensor.numpy()
    except TypeError:
        return False
    return True


def _empty_as(tensor: Any) -> Any:
    import torch

    values = torch.zeros(0, dtype=tensor.dtype)
    return torch.nn.Parameter(values, requires_grad=False) if isinstance(tensor, torch.nn.Parameter) else values
