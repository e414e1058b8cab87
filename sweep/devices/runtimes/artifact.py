"""Measures a compiled model on a device: its output first, then its latency, through TVM's Relax VM over RPC."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.devices.measuring.blocks import MeasuringPlace, TimingTarget, measure_blocks
from sweep.devices.measuring.cache_flush import flush_bytes
from sweep.devices.measuring.duel import Contestant
from sweep.devices.measuring.output_check import Allowance, OutputFacts, check_outputs
from sweep.devices.measuring.point_limits import check_memory, check_time
from sweep.devices.measuring.resident_peak import VMHWM
from sweep.devices.measuring.sentinel_kernel import SentinelKernel, remote_timer
from sweep.devices.measuring.timing import Clock, Sampling
from sweep.errors import MeasureFailed
from sweep.files.npz import load_arrays, save_arrays
from sweep.files.sweep_dir import OUTPUTS_FILE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sweep.devices.rpc.remote import Remote

__all__ = [
    "ENTRY",
    "Artifact",
    "contestant_on",
    "flat_outputs",
    "invoked",
    "load_artifact",
    "load_expected_output",
    "load_machine",
    "load_output_facts",
    "measure_on",
    "memory_on",
    "observe_on",
]

ENTRY = "main"


@dataclass(frozen=True, slots=True)
class Artifact:
    """What goes to the device and what should come back."""

    lib: Path
    inputs: list[NDArray[Any]]
    """In the order of the entry function's parameters."""
    expected: list[NDArray[Any]] | None
    facts: OutputFacts = field(default_factory=OutputFacts)
    """Of the outputs, for their comparison."""
    outputs_file: Path | None = None
    """Where the outputs are to be kept, by their names."""


def load_artifact(artifact_dir: Path, import_dir: Path) -> Artifact:
    """Read lib.so and metadata.json of a build, inputs.npz and reference.npz (the expected output) of its import.

    Inputs are in the order of the artifact's parameters, and take its dtypes where its precision is another.
    Raises MeasureFailed when the two do not belong together.
    """
    about = json.loads((artifact_dir / "metadata.json").read_text())
    wanted, lowering = about["inputs"], about.get("lowering", {})
    inputs = list(load_arrays(import_dir / "inputs.npz").values())
    shapes = [list(value.shape) for value in inputs]
    if shapes != [list(parameter["shape"]) for parameter in wanted]:
        raise MeasureFailed(f"the artifact takes {wanted}, its import has inputs of shapes {shapes}")
    typed = [value.astype(parameter["dtype"], copy=False) for value, parameter in zip(inputs, wanted, strict=True)]
    facts = load_output_facts(import_dir, computed_in=lowering.get("dtype") or lowering.get("precision"))
    return Artifact(artifact_dir / "lib.so", typed, load_expected_output(import_dir), facts)


def load_expected_output(import_dir: Path) -> list[NDArray[Any]] | None:
    """The expected outputs in order; None when the import has none."""
    path = import_dir / "reference.npz"
    if not path.exists():
        return None
    stored = load_arrays(path)
    return [stored[f"output_{index}"] for index in range(len(stored))]


def load_output_facts(import_dir: Path, computed_in: str | None = None, *, of_runtime: bool = False) -> OutputFacts:
    """What an import says of its outputs; nothing where it is of an earlier version.

    computed_in: of what was built. of_runtime: whether it is another runtime than TVM whose outputs are compared.
    """
    tolerances = ("tolerance", "runtime_tolerance") if of_runtime else ("tolerance",)
    try:
        outputs = json.loads((import_dir / OUTPUTS_FILE).read_text(encoding="utf-8"))
        names = [str(output["name"]) for output in outputs]
        quantised = frozenset(index for index, output in enumerate(outputs) if output["is_quantised"])
        allowances = {
            index: Allowance(float(output.get("step", 0.0)), max(float(output.get(name, 0.0)) for name in tolerances))
            for index, output in enumerate(outputs)
            if "step" in output or any(name in output for name in tolerances)
        }
    except (OSError, ValueError, KeyError, TypeError):
        names, quantised, allowances = [], frozenset(), {}
    return OutputFacts(names, quantised, computed_in, allowances)


def measure_on(
    remote: Remote,
    artifact: Artifact,
    sampling: Sampling,
    threshold: float | None,
    place: MeasuringPlace,
    kernel: SentinelKernel | None,
    limits: Mapping[str, float],
) -> dict[str, Any]:
    """The result of a measure stage. Raises OutputMismatch, OverTimeLimit, and what the remote calls raise."""
    end_t = time.monotonic() + sampling.timeout_s
    machine, first = _first_call(remote, artifact, threshold, limits)
    flushed = _flush_bytes(remote, sampling)
    target = TimingTarget(
        clock=_clock_of(remote, machine, flushed),
        time_kernel=remote_timer(remote, kernel),
        observe=lambda: _observe(remote),
        extra={"runtime_threads": _threads(remote), "cache_flush_bytes": flushed},
    )
    return {**measure_blocks(target, sampling, place, lambda: end_t - time.monotonic()), **first}


def memory_on(
    remote: Remote, artifact: Artifact, threshold: float | None, limits: Mapping[str, float]
) -> dict[str, Any]:
    """The result of a measure stage that observes memory. Raises OutOfMemory too, and MeasureFailed where the board's
    server does not tell its memory.
    """
    _, first = _first_call(remote, artifact, threshold, limits)
    if first["peak_memory_bytes"] is None:
        raise MeasureFailed("a stock TVM server does not tell what memory its process holds")
    check_memory(first["peak_memory_bytes"], limits)
    return {**first, "peak_memory_method": VMHWM, "conditions": {**observe_on(remote)}}


def _first_call(
    remote: Remote, artifact: Artifact, threshold: float | None, limits: Mapping[str, float]
) -> tuple[Any, dict[str, Any]]:
    """The model, loaded, and what its first call tells: whether its outputs are right, and how much memory it needs."""
    import tvm

    memory = _Memory(remote)
    idle_bytes = memory.reset()
    machine = load_machine(remote, artifact)
    # The load's own peak (an uploaded library arrives as one message) is not the inference's.
    memory.reset()
    began = time.monotonic()
    machine.invoke_stateful(ENTRY)
    check_time(time.monotonic() - began, limits)
    outputs = [tensor.numpy() for tensor in flat_outputs(machine.get_outputs(ENTRY))]
    peak_bytes = memory.peak()
    if artifact.outputs_file is not None:
        save_arrays(artifact.outputs_file, dict(_named(outputs, artifact.facts.names)))
    check = None if artifact.expected is None else check_outputs(outputs, artifact.expected, threshold, artifact.facts)
    return machine, {
        "output_max_abs_diff": None if check is None else check.max_abs_diff,
        "output_cosine_distance": None if check is None else check.cosine_distance,
        "peak_memory_bytes": max(0, peak_bytes - idle_bytes) if peak_bytes and idle_bytes else None,
        "runtime_version": str(tvm.__version__),
    }


def contestant_on(remote: Remote, artifact: Artifact, sampling: Sampling, threshold: float | None) -> Contestant:
    """A model that is loaded on the board, for a final; others may be loaded beside it.

    Raises OutputMismatch, and what the remote calls raise.
    """
    machine = load_machine(remote, artifact)
    machine.invoke_stateful(ENTRY)
    outputs = [tensor.numpy() for tensor in flat_outputs(machine.get_outputs(ENTRY))]
    if artifact.expected is not None:
        check_outputs(outputs, artifact.expected, threshold, artifact.facts)
    flushed = _flush_bytes(remote, sampling)
    return Contestant(_clock_of(remote, machine, flushed), bool(flushed))


def observe_on(remote: Remote) -> Mapping[str, Any]:
    """The conditions of a board, seen from it; nothing where a stock TVM server runs it."""
    seen = _observe(remote)
    return {**seen, "runtime_threads": _threads(remote)} if seen else {}


def _flush_bytes(remote: Remote, sampling: Sampling) -> int:
    return flush_bytes(_observe(remote).get("cache_bytes")) if sampling.cache_flush else 0


def _clock_of(remote: Remote, machine: Any, flushed: int) -> Clock:
    def clock(number: int, repeat: int) -> list[float]:
        # Not the machine's own: it does not hand on how much to flush.
        evaluator = machine.module.time_evaluator(
            "invoke_stateful", remote.device, number=number, repeat=repeat, cache_flush_bytes=flushed
        )
        return [float(value) for value in evaluator(ENTRY).results]

    return clock


def _named(outputs: Sequence[NDArray[Any]], names: Sequence[str]) -> Iterator[tuple[str, NDArray[Any]]]:
    for index, output in enumerate(outputs):
        yield (names[index] if index < len(names) and names[index] else f"output_{index}"), output


class _Memory:
    """The worker's resident set; None for all of it where a stock TVM server runs the board."""

    def __init__(self, remote: Remote) -> None:
        self._reset, self._peak = remote.function("sweep.reset_peak"), remote.function("sweep.peak_bytes")

    def reset(self) -> int | None:
        return None if self._reset is None else int(self._reset())

    def peak(self) -> int | None:
        return None if self._peak is None else int(self._peak())


def load_machine(remote: Remote, artifact: Artifact) -> Any:
    """The virtual machine of a model on the other side, its inputs set."""
    from tvm import runtime

    machine = runtime.vm.VirtualMachine(remote.load(artifact.lib), remote.device)
    machine.set_input(ENTRY, *(runtime.tensor(value, remote.device) for value in artifact.inputs))
    return machine


def invoked(remote: Remote, machine: Any, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """The outputs of a loaded model for inputs in its order."""
    from tvm import runtime

    machine.set_input(ENTRY, *(runtime.tensor(value, remote.device) for value in inputs))
    machine.invoke_stateful(ENTRY)
    return [tensor.numpy() for tensor in flat_outputs(machine.get_outputs(ENTRY))]


def flat_outputs(outputs: Any) -> Sequence[Any]:
    """The tensors in what the virtual machine gives, in their order."""
    if isinstance(outputs, tuple | list):
        return [tensor for field in outputs for tensor in flat_outputs(field)]
    return [outputs]


def _threads(remote: Remote) -> int | None:
    """With how many threads the runtime there runs a parallel loop."""
    count = remote.function("runtime.NumThreads")
    return None if count is None else int(count())


def _observe(remote: Remote) -> Mapping[str, Any]:
    """Seen from the board; nothing where a stock TVM server runs it."""
    observe = remote.function("sweep.observe")
    return {} if observe is None else dict(json.loads(observe()))
