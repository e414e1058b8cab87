"""A PyTorch network in the folder of its import, as an exported program and in ONNX, with the weights of a large one in
the file that all imports of a model share.

`sweep.devices.runtimes.torch_program` reads the program.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.files.sweep_dir import network_file
from sweep.toolchain.models import onnx_detached
from sweep.toolchain.weights_file import SMALLEST_BYTES

if TYPE_CHECKING:
    from sweep.toolchain.weights_file import WeightsFile

__all__ = ["write_networks"]

_SELF_CONTAINED_BYTES = 8 * 2**20
"""Of weights, up to which a file has them in itself, as those of ONNX networks do: every tool reads it then."""
WEIGHTS = "weights.json"
"""An extra file of the program's archive: by the name of a weight its type, shape and place in the file of weights."""


def write_networks(program: Any, onnx: Any, folder: Path, weights: WeightsFile) -> list[str]:
    """Write the program, and the ONNX network where there is one; their formats. The program stays as it was."""
    state = {key: tensor.detach().contiguous() for key, tensor in program.state_dict.items()}
    shared: dict[str, Any] = {}
    content: Mapping[str, bytes] = {}
    if sum(tensor.numel() * tensor.element_size() for tensor in state.values()) > _SELF_CONTAINED_BYTES:
        shared = {key: tensor for key, tensor in state.items() if _is_shared(tensor)}
        content = {} if onnx is None else onnx_detached.detach(onnx)
    places = {
        key: {
            "dtype": str(tensor.dtype).removeprefix("torch."),
            "shape": list(tensor.shape),
            "offset_bytes": weights.put(tensor.numpy().tobytes()).offset_bytes,
        }
        for key, tensor in shared.items()
    }
    spans = {name: weights.put(data) for name, data in content.items()}
    file = weights.write(folder) if weights.spans else ""
    _write_program(program, folder / network_file("pt2"), file, places)
    if onnx is None:
        return ["pt2"]
    onnx_detached.refer(onnx, file, spans)
    (folder / network_file("onnx")).write_bytes(onnx.SerializeToString())
    return ["pt2", "onnx"]


def _write_program(program: Any, path: Path, file: str, places: Mapping[str, Mapping[str, Any]]) -> None:
    import torch

    kept = {key: program.state_dict[key] for key in places}
    extra = {WEIGHTS: json.dumps({"file": file, "weights": places})} if places else {}
    program.state_dict.update({key: _empty_as(tensor) for key, tensor in kept.items()})
    try:
        torch.export.save(program, path, extra_files=extra)
    finally:
        program.state_dict.update(kept)


def _is_shared(tensor: Any) -> bool:
    """Whether it is large enough, and of a type that numpy has."""
    if tensor.numel() * tensor.element_size() < SMALLEST_BYTES:
        return False
    try:
        tensor.numpy()
    except TypeError:
        return False
    return True


def _empty_as(tensor: Any) -> Any:
    import torch

    values = torch.zeros(0, dtype=tensor.dtype)
    return torch.nn.Parameter(values, requires_grad=False) if isinstance(tensor, torch.nn.Parameter) else values
