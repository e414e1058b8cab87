"""What LiteRT answers to a network: the shapes of its tensors, and its outputs. Asked in a child process."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from sweep.errors import ImportFailed, killed_by
from sweep.files.npz import load_arrays, save_arrays
from sweep.installation import child_environment, python_command

__all__ = ["NotInstalled", "litert_calls", "litert_outputs", "litert_shapes", "litert_sizes"]

_Array = npt.NDArray[Any]

_LIMIT_S = 300.0


class NotInstalled(ImportFailed):
    """LiteRT is not there to ask."""


def litert_shapes(model: Path, shapes: Sequence[Sequence[int]]) -> dict[int, list[int]]:
    """The shapes of all tensors by index, where the inputs have these. Raises ImportFailed, NotInstalled."""
    orders = {"model": str(model), "shapes": [list(shape) for shape in shapes], "inputs": [], "outputs": []}
    found = _asked({**orders, "delegated": False})
    return {int(index): shape for index, shape in found.items()}


def litert_sizes(
    model: Path, shapes: Sequence[Sequence[int]], known: Sequence[int]
) -> tuple[dict[int, list[int]], dict[int, _Array]]:
    """The shapes of all tensors by index once the network has run on zeros of these shapes, and what some tensors are
    then. Raises ImportFailed, NotInstalled.
    """
    with tempfile.TemporaryDirectory() as folder:
        values = Path(folder) / "values.npz"
        orders = {"model": str(model), "shapes": [list(shape) for shape in shapes], "inputs": [], "outputs": []}
        found = _asked({**orders, "delegated": False, "known": list(known), "values": str(values)})
        arrays = {int(index): array for index, array in load_arrays(values).items()}
    return {int(index): shape for index, shape in found.items()}, arrays


def litert_outputs(model: Path, feeds: Mapping[str, _Array]) -> list[_Array]:
    """Its outputs, in their order. feeds: in the order of the inputs. Raises ImportFailed, NotInstalled."""
    return litert_calls(model, [feeds])[0]


def litert_calls(model: Path, calls: Sequence[Mapping[str, _Array]]) -> list[list[_Array]]:
    """The outputs of each of some calls in a row: a network may keep something from one to the next. Raises
    ImportFailed, NotInstalled.
    """
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = ([Path(folder) / f"{of}_{call}.npz" for call in range(len(calls))] for of in "io")
        for path, feeds in zip(inputs, calls, strict=True):
            save_arrays(path, dict(feeds))
        shapes = [list(array.shape) for array in calls[0].values()]
        orders = {
            "model": str(model),
            "shapes": shapes,
            "inputs": [str(path) for path in inputs],
            "outputs": [str(path) for path in outputs],
        }
        try:
            _asked({**orders, "delegated": True})
        except _Ended:  # its own kernels may take what those of XNNPACK die of
            _asked({**orders, "delegated": False})
        return [list(load_arrays(path).values()) for path in outputs]


class _Ended(ImportFailed):
    """Its process ended without an answer."""


def _asked(orders: Mapping[str, Any]) -> dict[str, list[int]]:
    if importlib.util.find_spec("ai_edge_litert") is None:
        raise NotInstalled("LiteRT is not installed: pip install 'tvm-sweep[tflite]'")
    try:
        done = subprocess.run(
            python_command("sweep.toolchain.models.tflite.litert_process"),
            input=json.dumps(orders),
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            env=child_environment(),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ImportFailed(f"LiteRT did not answer within {_LIMIT_S:g} s") from error
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError as error:
        tail = (done.stderr.strip().splitlines() or ["no message"])[-1]
        how = killed_by(done.returncode) or f"code {done.returncode}"
        raise _Ended(f"LiteRT's process ended with {how}: {tail[:300]}") from error
    if "error" in answer:
        raise ImportFailed(f"LiteRT: {answer['error'][:300]}")
    shapes: dict[str, list[int]] = answer["shapes"]
    return shapes
