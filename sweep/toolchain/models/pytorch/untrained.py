"""Networks that nobody has trained, made such that wrong code shows in their outputs.

A factory fills what training would set with constants: heads of zeros (the outputs of torchvision's vision transformer
are all 0), scales of 1e-6 on whole blocks, batch norms that leave what they get as it is, so that later layers get
nothing. Seeded random values take their place, and batch norms the statistics of random pictures.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

__all__ = ["fill_constants", "settle_untrained", "settled_variance"]


def settle_untrained(module: Any, inputs: Any, seed: int) -> None:
    """inputs: a batch of at least two. The module is in inference mode afterwards."""
    import torch

    with torch.no_grad():
        fill_constants(module.parameters(), seed)
        _set_statistics(module, inputs)
    module.eval()


def fill_constants(parameters: Iterable[Any], seed: int) -> None:
    """Fill those parameters that hold one number: a weight by its fan-in, a scale near 1, an offset near 0."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    for parameter in parameters:
        if parameter.numel() < 2 or not bool((parameter == parameter.flatten()[0]).all()):
            continue
        if sum(size > 1 for size in parameter.shape) > 1:
            parameter.normal_(0.0, 1 / math.sqrt(math.prod(parameter.shape[1:])), generator=generator)
        elif float(parameter.flatten()[0]) == 0.0:
            parameter.normal_(0.0, 0.1, generator=generator)
        else:
            parameter.uniform_(0.5, 1.5, generator=generator)


def settled_variance(spread: Any) -> Any:
    """The variance that a batch norm keeps of channels with these: halfway to their mean. Of a few values one may be
    near 0, and dividing by it raises rounding errors.
    """
    return (spread + spread.mean()) / 2


def _set_statistics(module: Any, inputs: Any) -> None:
    """Those of each batch norm become what it sees. Dropout and the like stay out of it."""
    import torch

    norms = [
        norm
        for norm in module.modules()
        if isinstance(norm, torch.nn.modules.batchnorm._BatchNorm) and norm.running_mean is not None
    ]
    if not norms:
        return
    module.eval()
    hooks = [norm.register_forward_pre_hook(_remember) for norm in norms]
    try:
        module(inputs)
    finally:
        for hook in hooks:
            hook.remove()


def _remember(norm: Any, given: tuple[Any, ...]) -> None:
    """Before it runs, so that what follows gets what it makes of them."""
    values = given[0].transpose(0, 1).flatten(1)
    norm.running_mean.copy_(values.mean(1))
    norm.running_var.copy_(settled_variance(values.var(1, unbiased=False)))
