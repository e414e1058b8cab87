"""What the archive of a Keras model says of it, read from its JSON: its inputs, and the code that it would need.

Keras is not imported, and nothing of the archive is run.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sweep.study.importers.importer import ModelInput

__all__ = ["KerasArchive", "read_archive"]

_CONFIG = "config.json"
_LARGEST_BYTES = 1 << 27
"""Of the JSON: ResNet-152 has 0.4 MB."""
_OWN = ("keras", "builtins", "tensorflow", "tf_keras")
"""Whose classes Keras has itself: the last two wrote such files before Keras 3."""


class KerasArchive:
    """The archive of a model."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config

    def foreign_code(self) -> str | None:
        """What it needs that no file of Keras may bring: a function in the archive, or a class of somebody's own."""
        return next(_foreign(self._config), None)

    def inputs(self) -> list[ModelInput]:
        """The inputs in the order of `Model.inputs`. Raises ValueError where the archive names none."""
        own = self._config["config"]
        layers = [layer for layer in own["layers"] if layer["class_name"] == "InputLayer"]
        found = {layer["config"]["name"]: _input(layer["config"]) for layer in layers}
        if "input_layers" in own:
            return [found[name] for name in _names(own["input_layers"])]
        if found:
            return list(found.values())
        shape = own.get("build_input_shape") or own["layers"][0]["config"]["batch_input_shape"]
        return [ModelInput("input", _shape(shape))]


def read_archive(path: Path) -> KerasArchive:
    """Raises ValueError: it is no archive of a Keras model, or damaged; OSError: it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(_CONFIG).file_size > _LARGEST_BYTES:
                raise ValueError(f"{_CONFIG} is too large")
            config = json.loads(archive.read(_CONFIG))
    except (zipfile.BadZipFile, NotImplementedError, EOFError, LookupError, RuntimeError, RecursionError) as error:
        raise ValueError(f"no archive of a Keras model: {error}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{_CONFIG} is no mapping")
    return KerasArchive(config)


def _foreign(value: Any) -> Iterator[str]:
    """Classes and functions that are not Keras's own, wherever the JSON has them."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += reversed(value)
        elif isinstance(value, dict):
            name, module = value.get("class_name"), value.get("module")
            if name == "__lambda__":
                yield "a function as compiled code, in a Lambda layer"
            elif isinstance(module, str) and module.partition(".")[0] not in _OWN:
                yield f"the class {name} of {module}"
            elif isinstance(value.get("registered_name"), str) and ">" in value["registered_name"]:
                package = value["registered_name"].partition(">")[0]
                if package.lower() != "keras":
                    yield f"the class {name} of {package}"
            waiting += reversed(value.values())


def _input(config: Mapping[str, Any]) -> ModelInput:
    shape = config.get("batch_shape") or config.get("batch_input_shape")
    dtype = config.get("dtype")
    return ModelInput(str(config["name"]), _shape(shape), dtype if isinstance(dtype, str) else None)


def _shape(sizes: Sequence[int | None] | None) -> tuple[int | str, ...] | None:
    return None if sizes is None else tuple("?" if size is None else int(size) for size in sizes)


def _names(layers: Any) -> Iterator[str]:
    """Of `[NAME, 0, 0]` in lists and mappings; Keras takes those of a mapping by the order of its keys."""
    if isinstance(layers, dict):
        for key in sorted(layers):
            yield from _names(layers[key])
    elif layers and isinstance(layers[0], str):
        yield layers[0]
    else:
        for each in layers:
            yield from _names(each)
