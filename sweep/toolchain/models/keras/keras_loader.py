"""Loads models that Keras has saved, with its PyTorch backend: they are modules of PyTorch then, and are exported."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.errors import ImportFailed, in_one_line
from sweep.toolchain.models.keras.untrained_keras import settle_untrained_keras
from sweep.toolchain.models.loader import Shapes
from sweep.toolchain.models.pytorch.torch_module import ExampleModule, load_torch, quietly
from sweep.toolchain.models.pytorch.torch_network import TorchModel, network_of

__all__ = ["KerasLoader"]

_PICTURE = "image"
"""The input of what keras.applications makes."""


@dataclass(frozen=True, slots=True)
class LoadedKeras:
    """A model as its file has it, or what makes one."""

    name: str
    model: Any
    application: str = ""
    """Of keras.applications, where no file has it: it is made for its shapes and from the seed."""


class KerasLoader:
    """Reads `.keras` files."""

    def load(self, path: Path, options: Mapping[str, Any]) -> LoadedKeras:
        """The model. No code of the file is run. Raises ImportFailed."""
        load_torch()
        keras = _keras()
        if application := options.get("application"):
            return LoadedKeras(application, None, application)
        try:
            with quietly():
                return LoadedKeras(path.name, keras.saving.load_model(path, compile=False, safe_mode=True))
        except Exception as error:
            told = f"{type(error).__name__}: {in_one_line(error)}"
            raise ImportFailed(f"{path.name} cannot be read by Keras {keras.__version__}: {told}") from error

    def specialise(self, loaded: LoadedKeras, shapes: Shapes) -> TorchModel:
        """The model for inference, exported for these shapes. Raises ImportFailed."""
        import torch

        model = _made(loaded.application, shapes) if loaded.application else loaded.model
        tensors = [torch.zeros(_size(one, shapes), dtype=getattr(torch, one.dtype)) for one in model.inputs]
        module = _inference(model)
        example = ExampleModule.of(module, tensors, {}, [one.name for one in model.inputs])
        return network_of(example, shapes, loaded.name)


def _keras() -> Any:
    """The package on PyTorch. It would write its settings into the home folder, and so would the package of figures
    that it looks for, of which no network needs any.
    """
    os.environ["KERAS_BACKEND"] = "torch"
    sys.modules.setdefault("matplotlib", None)  # type: ignore[arg-type]
    try:
        with tempfile.TemporaryDirectory(prefix="sweep-keras-") as home:
            os.environ["KERAS_HOME"] = home
            return importlib.import_module("keras")
    except ModuleNotFoundError as error:
        raise ImportFailed("needs keras, which is not installed: pip install 'tvm-sweep[keras]'") from error


def _made(name: str, shapes: Shapes) -> Any:
    """With random weights. Raises ImportFailed where it takes no pictures of this size."""
    import keras

    keras.utils.set_random_seed(shapes.seed)
    build = getattr(keras.applications, name)
    size = shapes.inputs.get(_PICTURE)
    try:
        usual = build(weights=None) if size is None else None
        side = list(usual.inputs[0].shape[1:]) if usual is not None else list(size or ())[1:]
        keras.utils.set_random_seed(shapes.seed)
        model = build(weights=None, input_tensor=keras.Input(side, name=_PICTURE))
        settle_untrained_keras(model, shapes.seed)
        return model
    except ValueError as error:
        raise ImportFailed(f"keras-applications:{name}: {in_one_line(error)}") from error


def _size(one: Any, shapes: Shapes) -> list[int]:
    """Of an example: what is asked for, and 1 for a leading dimension that is open. Raises ImportFailed."""
    asked = shapes.inputs.get(one.name)
    if asked is not None and len(asked) == len(one.shape):
        return list(asked)
    named = None if shapes.batch_dims is None else shapes.batch_dims.get(one.name, ())
    size = []
    for index, own in enumerate(one.shape):
        if own is None and index > 0 and index not in (named or ()):
            raise ImportFailed(f"inputs: dimension {index} of {one.name!r} is open: {list(one.shape)}; give its shape")
        size.append(1 if own is None else int(own))
    return size


def _inference(model: Any) -> Any:
    """A module that takes the inputs in a row and gives the outputs, as for `training=False`."""
    import torch
    from keras import tree

    class Inference(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = model

        def forward(self, *tensors: Any) -> tuple[Any, ...]:
            return tuple(tree.flatten(self.network(_packed(model, tensors), training=False)))

    module = Inference().eval()
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    return module


def _packed(model: Any, tensors: tuple[Any, ...]) -> Any:
    from keras import tree

    structure = getattr(model, "_inputs_struct", None)
    if structure is None:
        return tensors[0] if len(tensors) == 1 else list(tensors)
    return tree.pack_sequence_as(structure, list(tensors))
