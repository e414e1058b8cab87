"""Single layers in turns, in one process and one thread: as they are tuned, as they were before, and by ONNX Runtime.

Before: by TVM's own designs alone, with as many trials, and exp, tanh and erf by the C library. A turn is a block of
calls; a ratio is of the turns of one round, so that what else the machine does meets all of them. Times are of
the CPU. The layer of TVM has its data with channels last already, as it has in a network from opt level 3 on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import conditions, print_table, save
from benchmarks.tuning.kernel_layers import LAYERS, Layer
from sweep.search.catalogue import make_tuner
from sweep.search.strategy import Observation
from sweep.toolchain.lowering import lower
from sweep.toolchain.rooflines.roof_kernels import compile_roof_kernels
from sweep.toolchain.tuning.designs.loop_nest import flops_of, traffic_of
from sweep.toolchain.tuning.space.design import Designs
from sweep.toolchain.tvm_loader import load_tvm, resolve_target
from sweep.toolchain.vector_math import register_vector_math

__all__ = ["bench_kernels", "median_interval"]

TRIALS, ROUNDS = 16, 15
_TARGET = {"kind": "llvm", "native": "here", "num-cores": 1}
_LEVEL, _ROUND, _SEED = 3, 8, 1
_TURN_S, _TRIAL_S = 0.01, 0.005
_STREAM_BYTES = (1 << 18, 1 << 26)
"""In the caches, and in memory."""
_RULE = "llvm.FLowerIntrinsic"
_WITH_CHANNELS = ("convolution", "depthwise")

_Call = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class _Tuned:
    """The best candidate of some designs."""

    seconds: float
    call: _Call
    compile_s: float
    """Median of the candidates', of the CPU."""


def bench_kernels(folder: Path, names: Sequence[str], trials: int = TRIALS) -> None:
    """Print and save the ratios of the layers whose names contain one of `names`; of all where there is none.

    Raises ValueError where no layer is named so.
    """
    chosen = [name for name in LAYERS if not names or any(part.lower() in name.lower() for part in names)]
    if not chosen:
        raise ValueError(f"no layer is called {', '.join(names)}; there are {', '.join(LAYERS)}")
    load_tvm()
    target = resolve_target(_TARGET)
    before = conditions(trials=trials, rounds=ROUNDS)
    flops, cached, memory = _roof(target, folder)
    found = {}
    for name in chosen:
        found[name] = _compared(LAYERS[name](), target, trials)
        print(f"{name}: {found[name]}", flush=True)
        save(folder, "kernels", {"conditions": before, "roof": [flops, cached, memory], "layers": found})
    rows = [
        [
            name,
            one["after_us"],
            _shown(one["after / before"]),
            _shown(one["after / onnxruntime"]),
            one["flops"] / one["after_us"] / 1e3,
            one["bytes"] / one["after_us"] / 1e3,
            one["compile_s"][0] / one["compile_s"][1],
        ]
        for name, one in found.items()
    ]
    print_table(
        f"median (interval of 95 %) of {ROUNDS} rounds; the core: {flops / 1e9:.0f} GFLOP/s, {cached / 1e9:.0f} GB/s "
        f"from its caches, {memory / 1e9:.1f} GB/s from memory",
        ["layer", "us", "to before", "to ONNX Runtime", "GFLOP/s", "GB/s", "compilation, to before"],
        rows,
    )


def _shown(ratio: Sequence[float]) -> str:
    return "{:.2f} ({:.2f} to {:.2f})".format(*ratio)


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The median, and the order statistics between which it lies with 95 %, whatever the distribution."""
    from scipy.stats import binom

    ordered = np.sort(np.asarray(values, float))
    rank = int(binom.ppf(0.025, len(ordered), 0.5))
    low = max(0, rank - 1)
    return float(np.median(ordered)), float(ordered[low]), float(ordered[len(ordered) - 1 - low])


def _compared(layer: Layer, target: Any, trials: int) -> dict[str, Any]:
    module = _heaviest(layer, target)
    designs = Designs(module, target, "layer", _SEED)
    own = sorted({point[0] for point in designs.suggested})
    numbers = range(len(designs.space.designs))
    after = _tuned(designs, own or numbers, target, trials)
    with nullcontext() if layer.kind in _WITH_CHANNELS else _c_library():
        before = _tuned(designs, [number for number in numbers if number not in own], target, trials)
    turns = _turns([after.call, before.call, _onnxruntime(layer.model)])
    return {
        "after_us": float(np.median(turns[:, 0])) * 1e6,
        "after / before": median_interval(turns[:, 0] / turns[:, 1]),
        "after / onnxruntime": median_interval(turns[:, 0] / turns[:, 2]),
        "before / onnxruntime": median_interval(turns[:, 1] / turns[:, 2]),
        "flops": flops_of(module),
        "bytes": traffic_of(module),
        "compile_s": (after.compile_s, before.compile_s),
    }


def _heaviest(layer: Layer, target: Any) -> Any:
    """The program of a network that does most, with channels last where it has any: alone it would keep its layout."""
    from tvm.relax.frontend.onnx import from_onnx
    from tvm.s_tir.meta_schedule import relax_integration

    from sweep.toolchain.passes.layout import CONV2D, converted

    module = from_onnx(layer.model, keep_params_in_input=False)
    if layer.kind in _WITH_CHANNELS:
        module = converted(module, lambda _: {CONV2D: ["NHWC", "OHWI"]})
    lowered = lower(module, {"opt_level": _LEVEL}, target)
    tasks = relax_integration.extract_tasks(lowered.module, target, {})
    return max((task.dispatched[0] for task in tasks), key=flops_of)


def _tuned(designs: Designs, numbers: Sequence[int], target: Any, trials: int) -> _Tuned:
    """The best of some designs, by the tuner `xgb`."""
    import tvm
    from tvm.s_tir.transform import RemoveWeightLayoutRewriteBlock

    space = replace(designs.space, designs=tuple(designs.space.designs[number] for number in numbers))
    search = make_tuner("xgb", {"round": _ROUND}, _SEED).search("layer", space)
    seeds = [(numbers.index(point[0]), *point[1:]) for point in designs.suggested if point[0] in numbers]
    tried: dict[str, tuple[float, _Call]] = {}
    compilations = []
    while len(tried) < trials:
        points = seeds or search.propose(min(_ROUND, trials - len(tried)))
        seeds = []
        if not points:
            break
        told = []
        for point in points:
            scheduled = designs.schedule((numbers[point[0]], *point[1:]))
            trace = None if scheduled is None else str(scheduled.schedule.trace)
            if scheduled is None or trace is None:
                told.append(Observation(point, None))
                continue
            if trace not in tried:
                begun = time.thread_time()
                with target, tvm.transform.PassContext(opt_level=3):
                    stripped = RemoveWeightLayoutRewriteBlock(skip_tensor_rewrite=True)(scheduled.schedule.mod)
                    library = tvm.compile(stripped, target)
                compilations.append(time.thread_time() - begun)
                call = _call(library, scheduled.schedule.mod)
                tried[trace] = (min(_block(call, _calls_in(call, _TRIAL_S)) for _ in range(3)), call)
            told.append(Observation(point, tried[trace][0]))
        search.observe(told)
    seconds, call = min(tried.values(), key=lambda one: one[0])
    return _Tuned(seconds, call, float(np.median(compilations)))


def _call(library: Any, module: Any) -> _Call:
    import tvm
    from tvm.s_tir.meta_schedule.arg_info import ArgInfo

    infos = ArgInfo.from_entry_func(module, remove_preproc=True)
    tensors = _tensors([{"shape": tuple(map(int, info.shape)), "dtype": str(info.dtype)} for info in infos], tvm)
    function = library.mod["main"]
    return partial(function, *tensors)


def _tensors(arguments: Sequence[dict[str, Any]], tvm: Any) -> list[Any]:
    random = np.random.default_rng(0)
    return [tvm.runtime.tensor(random.normal(0, 1, one["shape"]).astype(one["dtype"])) for one in arguments]


def _onnxruntime(model: Any) -> _Call:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    values = np.random.default_rng(0).normal(0, 1, session.get_inputs()[0].shape).astype(np.float32)
    binding = session.io_binding()
    binding.bind_cpu_input("x", values)
    binding.bind_output("y")
    return partial(session.run_with_iobinding, binding)


@contextmanager
def _c_library() -> Iterator[None]:
    """For as long as it lasts code is generated as TVM does it."""
    from tvm.ir import Op

    replaced = register_vector_math()
    own = {name: Op.get(name).get_attr(_RULE) for name in replaced}
    _set_rules(replaced)
    try:
        yield
    finally:
        _set_rules(own)


def _set_rules(rules: Mapping[str, Any]) -> None:
    from tvm.ir import Op

    for name, rule in rules.items():
        Op.get(name).reset_attr(_RULE)  # else one of a lower level would be refused
        Op.get(name).set_attr(_RULE, rule)


def _calls_in(call: _Call, seconds: float) -> int:
    call()
    return max(1, math.ceil(seconds / max(_block(call, 1), 1e-6)))


def _block(call: _Call, calls: int) -> float:
    """CPU seconds a call."""
    begun = time.thread_time()
    for _ in range(calls):
        call()
    return (time.thread_time() - begun) / calls


def _turns(calls: Sequence[_Call]) -> Any:
    """CPU seconds: shape (rounds, calls)."""
    counts = [_calls_in(call, _TURN_S) for call in calls]
    return np.asarray([[_block(call, count) for call, count in zip(calls, counts, strict=True)] for _ in range(ROUNDS)])


def _roof(target: Any, folder: Path) -> tuple[float, float, float]:
    """Operations a second, and bytes a second from the caches and from memory: the best of some kernels each."""
    import tvm

    path = folder / "roof.so"
    kernels = compile_roof_kernels(target, 1, _STREAM_BYTES, path)
    library = tvm.runtime.load_module(str(path))
    speeds: dict[Any, float] = {}
    for kernel in kernels:
        function, tensors = library[kernel["name"]], _tensors(kernel["args"], tvm)
        call: _Call = partial(function, *tensors)
        count = _calls_in(call, _TURN_S)
        kind = "compute" if kernel["kind"] == "compute" else kernel["footprint_bytes"] > _STREAM_BYTES[-1] // 2
        fastest = min(_block(call, count) for _ in range(5))
        speeds[kind] = max(speeds.get(kind, 0.0), kernel["work"] / fastest)
    return speeds["compute"], speeds[False], speeds[True]
