"""Modules and their example inputs, by name from torchvision and timm, or from a person's function. No downloads."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.errors import ImportFailed
from sweep.toolchain.models.pytorch.untrained import settle_untrained

if TYPE_CHECKING:
    from sweep.toolchain.models.loader import Shapes

__all__ = ["MadeModule", "from_function", "from_timm", "from_torchvision"]

_LIBRARIES: list[Any] = []
"""Of operators that were defined here: they live as long as their library does."""


@dataclass(frozen=True, slots=True)
class MadeModule:
    """What a factory gives."""

    module: Any
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


def from_torchvision(name: str, weights: str, shapes: Shapes) -> MadeModule:
    """weights: `random`, or the name of a file that torchvision has kept. Raises ImportFailed."""
    import torch

    models = _torchvision().models
    size = list(shapes.inputs.get("x", _usual_size(models, name)))
    size[0] = 1 if shapes.batch is None else shapes.batch
    builder = models.get_model_builder(name)
    if weights == "random":
        module = builder(weights=None, **_choices(builder, size))
        settle_untrained(module, torch.randn([2, *size[1:]]), shapes.seed)
    else:
        default = models.get_model_weights(name).DEFAULT
        kept = Path(torch.hub.get_dir(), "checkpoints", default.url.rpartition("/")[2])
        if not kept.is_file():
            raise ImportFailed(f"the weights of torchvision:{name} are not on this host: {kept}")
        module = builder(weights=default)
    return MadeModule(module, (torch.randn(size),))


def _torchvision() -> Any:
    """The package. One that is no build for this torch lacks compiled operators, which it asks for as it is imported;
    those of pictures' networks are not among them.
    """
    import torch

    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    for module in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[module]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _LIBRARIES.append(library)
    return importlib.import_module("torchvision")


def _usual_size(models: Any, name: str) -> list[int]:
    builder = models.get_model_builder(name)
    if ".video." in builder.__module__:
        return [1, 3, 16, 112, 112]
    side = 299 if name == "inception_v3" else 224
    return [1, 3, side, side]


def _choices(builder: Any, size: Sequence[int]) -> dict[str, Any]:
    """Arguments without which a factory loads weights of a part, initialises for minutes, or takes one size of picture
    alone.
    """
    name = builder.__name__
    taken = inspect.signature(builder).parameters
    chosen: dict[str, Any] = {"weights_backbone": None} if "weights_backbone" in taken else {}
    if name in ("googlenet", "inception_v3"):
        chosen |= {"aux_logits": False, "init_weights": False}
    if name.startswith("vit_"):
        chosen |= {"image_size": size[-1]}
    if name == "maxvit_t":
        chosen |= {"input_size": tuple(size[-2:])}
    return chosen


def from_timm(name: str, shapes: Shapes) -> MadeModule:
    """With random weights. Raises ImportFailed where timm is not installed."""
    import torch

    os.environ["HF_HUB_OFFLINE"] = "1"
    _torchvision()
    try:
        timm = importlib.import_module("timm")
    except ModuleNotFoundError as error:
        raise ImportFailed("needs timm, which is not installed: pip install 'tvm-sweep[timm]'") from error
    given = shapes.inputs.get("x")
    try:
        module = timm.create_model(name, pretrained=False, **({} if given is None else {"img_size": given[-1]}))
    except TypeError:  # one that takes pictures of any size
        module = timm.create_model(name, pretrained=False)
    size = [1, *(given[1:] if given is not None else module.default_cfg["input_size"])]
    settle_untrained(module, torch.randn([2, *size[1:]]), shapes.seed)
    return MadeModule(module, (torch.randn(size),))


def from_function(path: Path, source: str, shapes: Shapes) -> MadeModule:
    """What the function returns: a module and its inputs as a tensor, a tuple, a mapping by keyword, or both; or a
    module alone where a study gives the shapes of all inputs. Raises ImportFailed, and what the function raises.
    """
    import torch

    name, _, attribute = source.partition(":")
    made = getattr(_module(path, name), attribute)()
    module, *inputs = made if isinstance(made, tuple | list) else (made,)
    if not isinstance(module, torch.nn.Module):
        problem = f"{source} returns {type(module).__name__} and not a torch.nn.Module"
        raise ImportFailed(f"{problem}: return (module, inputs)")
    if not inputs:
        if not shapes.inputs:
            raise ImportFailed(f"{source} returns no example inputs: return (module, inputs), or give inputs: shapes")
        return MadeModule(module, (), {key: torch.zeros(*size) for key, size in shapes.inputs.items()})
    if len(inputs) == 2 and isinstance(inputs[0], tuple | list) and isinstance(inputs[1], Mapping):
        return MadeModule(module, tuple(inputs[0]), dict(inputs[1]))
    if len(inputs) == 1 and isinstance(inputs[0], Mapping):
        return MadeModule(module, (), dict(inputs[0]))
    if len(inputs) == 1 and isinstance(inputs[0], tuple | list):
        return MadeModule(module, tuple(inputs[0]))
    return MadeModule(module, tuple(inputs))


def _module(path: Path, name: str) -> Any:
    """The module of a file, whose folder comes first on the path, so that it finds what lies beside it."""
    parts = name.split(".")
    root = path.parents[len(parts) - (0 if path.name == "__init__.py" else 1)]
    sys.path.insert(0, str(root))
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__file__", None) != str(path):
        del sys.modules[name]
    return importlib.import_module(name)
