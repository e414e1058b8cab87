"""Operators of torch that TVM's importer lacks, or does otherwise than torch, made of others that it does right.

A decomposition that returns NotImplemented leaves the operator as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["decomposition_table"]

_MOST_FACTORS = 64
_LARGEST = 3e38
"""Of float32."""


_MOST_COMPARED = 1 << 24
"""Values that a scattered sum is made of, at most."""


def decomposition_table() -> dict[Any, Callable[..., Any]]:
    """Torch's own, down to its core operators, and ours."""
    import torch

    aten = torch.ops.aten
    table: dict[Any, Callable[..., Any]] = torch.export.default_decompositions()
    theirs = [aten.upsample_nearest2d.vec, aten.upsample_nearest2d.default, aten.grid_sampler_2d.default]
    table.update(torch._decomp.get_decompositions(theirs))
    table.update(
        {
            aten.adaptive_max_pool2d.default: _adaptive_max_pool,
            aten.amax.default: _amax,
            aten.amin.default: _amin,
            aten.any.dim: _any,
            aten.avg_pool2d.default: _avg_pool,
            aten.clamp.default: _clamp,
            aten.cumsum.default: _cumsum,
            aten.div.Tensor: _divided,
            aten.elu.default: _elu,
            aten.im2col.default: _im2col,
            aten.index.Tensor: _index,
            aten.logsumexp.default: _logsumexp,
            aten.min.dim: _min,
            aten.prod.dim_int: _prod,
            aten.scatter_add.default: _scatter_add,
            aten.unfold.default: _unfold,
            aten.upsample_bilinear2d.vec: _bilinear,
            aten.var_mean.correction: _var_mean,
            aten._cdist_forward.default: _cdist,
        }
    )
    return table


def _scatter_add(values: Any, dim: int, index: Any, source: Any) -> Any:
    """Each place takes what is sent to it: a comparison and a sum, as long as these are no large tensors."""
    import torch

    axis, shape = dim % max(1, values.dim()), list(values.shape)
    others = [size for number, size in enumerate(shape) if number != axis]
    size = shape[axis] if shape else 0
    is_plain = source.shape == index.shape and others == [s for n, s in enumerate(index.shape) if n != axis]
    if not shape or not is_plain or index.numel() * size > _MOST_COMPARED:
        return NotImplemented
    is_sent = index.unsqueeze(-1) == torch.arange(size)
    sent = torch.where(is_sent, source.unsqueeze(-1), torch.zeros((), dtype=source.dtype))
    return values + sent.sum(axis).movedim(-1, axis)


def _amax(values: Any, dim: Sequence[int] = (), keepdim: bool = False) -> Any:
    import torch

    axes = sorted({axis % max(1, values.dim()) for axis in (dim or range(values.dim()))}, reverse=True)
    for axis in axes:
        values = torch.ops.aten.max.dim(values, axis, keepdim)[0]
    return values


def _amin(values: Any, dim: Sequence[int] = (), keepdim: bool = False) -> Any:
    return -_amax(-values, dim, keepdim) if values.is_floating_point() else NotImplemented


def _min(values: Any, dim: int, keepdim: bool = False) -> Any:
    import torch

    if not values.is_floating_point():
        return NotImplemented
    return _amin(values, [dim], keepdim), torch.ops.aten.argmin.default(values, dim, keepdim)


def _logsumexp(values: Any, dim: Sequence[int], keepdim: bool = False) -> Any:
    """Torch's own compares with infinity, of which TVM makes no constant."""
    if not values.is_floating_point():
        return NotImplemented
    largest = _amax(values, dim, True).clamp(-_LARGEST, _LARGEST)
    summed = (values - largest).exp().sum(dim, keepdim=True).log() + largest
    return summed if keepdim else summed.squeeze(tuple(dim))


def _var_mean(values: Any, dim: Sequence[int] | None = None, *, correction: Any = None, keepdim: bool = False) -> Any:
    import torch

    variance = torch.ops.aten.var.correction(values, dim, correction=correction, keepdim=keepdim)
    return variance, torch.ops.aten.mean.dim(values, dim, keepdim)


def _cdist(one: Any, other: Any, p: float, _mode: int | None) -> Any:
    """The distances of rows, as long as all differences are no large tensor."""
    import torch

    differences = one.shape.numel() * other.shape[-2]
    if p not in (1.0, 2.0) or differences > _MOST_COMPARED:
        return NotImplemented
    apart = one.unsqueeze(-2) - other.unsqueeze(-3)
    return apart.abs().sum(-1) if p == 1.0 else torch.ops.aten.sqrt.default((apart * apart).sum(-1))


def _index(values: Any, indices: Sequence[Any]) -> Any:
    """By several tensors with a whole axis between them, whose axes come first in torch: one index of all together."""
    import torch

    at = [axis for axis, index in enumerate(indices) if index is not None]
    if at[-1] - at[0] + 1 == len(at) or any(indices[axis].dtype == torch.bool for axis in at):
        return NotImplemented
    rest = [axis for axis in range(values.dim()) if axis not in at]
    sizes = [values.shape[axis] for axis in at]
    place = torch.zeros((), dtype=torch.int64)
    for axis, size in zip(at, sizes, strict=True):
        index = indices[axis].to(torch.int64)
        place = place * size + torch.where(index < 0, index + size, index)
    whole = values.permute([*at, *rest]).reshape([math.prod(sizes), *(values.shape[axis] for axis in rest)])
    rows = torch.ops.aten.index_select.default(whole, 0, place.reshape(-1))
    return rows.reshape([*place.shape, *rows.shape[1:]])


def _prod(values: Any, dim: int, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """One factor after the other."""
    import torch

    if not values.is_floating_point() or not 0 < values.shape[dim] <= _MOST_FACTORS:
        return NotImplemented
    factors = [torch.ops.aten.select.int(values, dim, at) for at in range(values.shape[dim])]
    product = factors[0]
    for factor in factors[1:]:
        product = product * factor
    product = product if dtype is None else product.to(dtype)
    return product.unsqueeze(dim) if keepdim else product


def _elu(values: Any, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Any:
    """TVM knows `alpha` alone; SELU is one with a scale."""
    import torch

    if scale == 1 and input_scale == 1:
        return NotImplemented
    return torch.where(values > 0, values * scale, torch.expm1(values * input_scale) * (alpha * scale))


def _divided(first: Any, second: Any) -> Any:
    """Of integers into floats, which TVM divides as integers."""
    import torch

    by_tensor = isinstance(second, torch.Tensor)
    if first.dtype.is_floating_point or (by_tensor and second.dtype.is_floating_point):
        return NotImplemented
    divisor = second.to(torch.float32) if by_tensor else second
    return torch.ops.aten.div.Tensor(first.to(torch.float32), divisor)


def _clamp(values: Any, least: Any = None, most: Any = None) -> Any:
    """Of integers: the bound that is not given is an infinity to TVM, which no integer is."""
    import torch

    if values.dtype.is_floating_point:
        return NotImplemented
    if least is not None:
        values = torch.maximum(values, torch.full_like(values, least))
    return values if most is None else torch.minimum(values, torch.full_like(values, most))


def _cumsum(values: Any, dim: int, dtype: Any = None) -> Any:
    import torch

    if values.dtype != torch.bool:
        return NotImplemented
    return torch.ops.aten.cumsum.default(values.to(torch.int64), dim, dtype=dtype)


def _any(values: Any, dim: int, keepdim: bool = False) -> Any:
    """Of numbers, of which TVM gives the greatest."""
    import torch

    return NotImplemented if values.dtype == torch.bool else torch.ops.aten.any.dim(values != 0, dim, keepdim)


def _avg_pool(
    values: Any,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """With a divisor of its own, which TVM ignores. Windows that reach beyond the padding count otherwise."""
    import torch

    if divisor_override is None or ceil_mode:
        return NotImplemented
    tall, wide = kernel_size[0], kernel_size[-1]
    averages = torch.ops.aten.avg_pool2d.default(values, kernel_size, stride, padding)
    return averages * (tall * wide / divisor_override)


def _adaptive_max_pool(values: Any, output_size: Sequence[int]) -> Any:
    """One whose windows are all of one size is a plain one."""
    import torch

    sizes = values.shape[-2:]
    if any(size % wanted for size, wanted in zip(sizes, output_size, strict=True)):
        return NotImplemented
    window = [size // wanted for size, wanted in zip(sizes, output_size, strict=True)]
    return torch.ops.aten.max_pool2d_with_indices.default(values, window, window)


def _bilinear(
    values: Any, output_size: Sequence[int] | None, align_corners: bool, scale_factors: Sequence[float] | None = None
) -> Any:
    """By factors that give no whole size: torch goes on in steps of the factor, TVM in those of the rounded size."""
    import torch

    whole = scale_factors is None or all(
        float(size * factor).is_integer() for size, factor in zip(values.shape[-2:], scale_factors, strict=True)
    )
    if whole or align_corners:
        return NotImplemented
    decomposed = torch._decomp.decomposition_table[torch.ops.aten.upsample_bilinear2d.vec]
    return decomposed(values, output_size, align_corners, scale_factors)


def _im2col(
    values: Any, kernel_size: Sequence[int], dilation: Sequence[int], padding: Sequence[int], stride: Sequence[int]
) -> Any:
    """Each place of the window is a slice."""
    import torch

    if values.dim() != 4:
        return NotImplemented
    (top, left), (tall, wide) = padding, kernel_size
    padded = torch.ops.aten.constant_pad_nd.default(values, [left, left, top, top], 0.0)
    rows, columns = (
        (size - reach * (length - 1) - 1) // step + 1
        for size, length, reach, step in zip(padded.shape[-2:], kernel_size, dilation, stride, strict=True)
    )
    places = [
        _every(_every(padded, 2, i * dilation[0], rows, stride[0]), 3, j * dilation[1], columns, stride[1])
        for i in range(tall)
        for j in range(wide)
    ]
    return torch.stack(places, 2).reshape(values.shape[0], values.shape[1] * tall * wide, rows * columns)


def _unfold(values: Any, dimension: int, size: int, step: int) -> Any:
    import torch

    axis = dimension % max(1, values.dim())
    count = (values.shape[axis] - size) // step + 1
    return torch.stack([_every(values, axis, at, count, step) for at in range(size)], -1)


def _every(values: Any, axis: int, start: int, count: int, step: int) -> Any:
    import torch

    return torch.ops.aten.slice.Tensor(values, axis, start, start + step * (count - 1) + 1, step)
