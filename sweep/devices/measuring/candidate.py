"""Times candidates of a tuner: libraries with one function, on random arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.errors import MeasureFailed, in_one_line

if TYPE_CHECKING:
    from sweep.devices.rpc.remote import Remote

__all__ = ["RANDOM_FILL", "arguments", "time_candidate", "time_functions", "time_in_turns", "timed"]

_MAY_BE_INDICES = ("int16", "int32", "int64", "uint16", "uint32", "uint64")
RANDOM_FILL = "tvm.contrib.random.random_fill_for_measure"


def time_candidate(
    remote: Remote,
    lib: Path,
    args: Sequence[Mapping[str, Any]],
    number: int,
    repeat: int,
    min_repeat_ms: float,
    slow_s: float | None = None,
) -> list[float]:
    """`repeat` means over `number` calls, in seconds; the first call of all is TVM's own warm-up and not among them.

    A candidate whose second call takes longer than `slow_s` is out of the running: that call is all that is measured.
    """
    module = remote.load(lib)
    tensors = arguments(remote, args)
    if slow_s is not None:
        first = timed(remote, module, tensors, 1, 1, 0)
        if first[0] > slow_s:
            return first
    return timed(remote, module, tensors, number, repeat, min_repeat_ms)


def time_in_turns(
    remote: Remote,
    candidates: Sequence[tuple[Path, Sequence[Mapping[str, Any]]]],
    rounds: int,
    number: int,
    repeat: int,
    min_repeat_ms: float,
) -> list[list[float]]:
    """For each candidate `rounds * repeat` means in seconds; every other round goes backwards."""
    loaded = [(remote.load(lib), arguments(remote, args)) for lib, args in candidates]
    values: list[list[float]] = [[] for _ in loaded]
    for turn in range(rounds):
        order = range(len(loaded)) if turn % 2 == 0 else reversed(range(len(loaded)))
        for index in order:
            values[index] += timed(remote, *loaded[index], number, repeat, min_repeat_ms)
    return values


def time_functions(
    remote: Remote, lib: Path, functions: Sequence[Mapping[str, Any]], repeat: int, min_repeat_ms: float
) -> list[list[float] | str]:
    """For each of a library's functions, by `name` and `args`, `repeat` means in seconds, or why there are none.

    What ends the session is no answer of a function, and is raised: the board went, the time is over, the code crashed.
    """
    module = remote.load(lib)
    values: list[list[float] | str] = []
    for function in functions:
        try:
            tensors = arguments(remote, function["args"])
            evaluator = module.time_evaluator(
                function["name"], remote.device, number=1, repeat=repeat, min_repeat_ms=min_repeat_ms
            )
            values.append([float(value) for value in evaluator(*tensors).results])
        except (RuntimeError, TypeError, ValueError, AttributeError) as error:
            if not _still_answers(remote):
                raise
            values.append(in_one_line(error))
    return values


def _still_answers(remote: Remote) -> bool:
    try:
        remote.rpc.get_function("tvm.rpc.server.remove")
    except Exception:  # noqa: BLE001  whatever it is: no answer
        return False
    return True


def arguments(remote: Remote, args: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Tensors on the device with random values: zeros and denormals would flatter or slow a kernel. Integers of more
    than a byte are zeros, since they may be indices: what fills tensors writes the bits of floats into them.
    """
    import tvm

    tensors = [tvm.runtime.empty(tuple(arg["shape"]), arg["dtype"], remote.device) for arg in args]
    fill = remote.function(RANDOM_FILL)
    if fill is None:
        raise MeasureFailed(f"the device's TVM lacks {RANDOM_FILL}: serve it with libtvm_runtime_extra.so loaded")
    for tensor, arg in zip(tensors, args, strict=True):
        if arg["dtype"] in _MAY_BE_INDICES:
            tensor.copyfrom(np.zeros(tuple(arg["shape"]), arg["dtype"]))
        else:
            fill(tensor)
    remote.device.sync()
    return tensors


def timed(
    remote: Remote, module: Any, tensors: Sequence[Any], number: int, repeat: int, min_repeat_ms: float
) -> list[float]:
    """`repeat` means over at least `number` calls of the entry function, in seconds; one call before is not timed."""
    evaluator = module.time_evaluator(
        module.entry_name, remote.device, number=number, repeat=repeat, min_repeat_ms=min_repeat_ms
    )
    return [float(value) for value in evaluator(*tensors).results]
