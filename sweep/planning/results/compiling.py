"""What importing, lowering and building a network result in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from sweep.files.confined import OutsideFolder, relative
from sweep.files.sweep_dir import network_file
from sweep.planning.results.json_record import JsonRecord, many, seldom
from sweep.planning.results.stage_result import StageResult

if TYPE_CHECKING:
    from random import Random

    from sweep.planning.stage import Stage

__all__ = ["COMPARED", "BuildResult", "ImportResult", "LowerResult", "LoweredTask"]

COMPARED = ("inputs.npz", "reference.npz")
"""Files of an import that compiled code is run on and compared with; the others are for compiling, other runtimes."""


_FLOAT16_MOST = 65_504


@dataclass(frozen=True, slots=True)
class ImportResult(StageResult):
    """A network that was read."""

    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """`shape` and `dtype` by name."""
    outputs: Sequence[Mapping[str, Any]] = ()
    """`name`, `shape` and `dtype` of each."""
    params_bytes: int | None = None
    source_bytes: int | None = seldom()
    """Size of the network's own files; None of earlier versions, and where it has none."""
    operators: Mapping[str, int] = field(default_factory=dict)
    """How often each occurs."""
    formats: tuple[str, ...] = seldom(("onnx",))
    """The forms in which its folder has the network for other runtimes, each in `sweep_dir.network_file`."""
    reference: bool = False
    """Whether its folder holds the output that others are compared with."""
    reference_error: str | None = None
    """Why it does not."""
    rewriting: Mapping[str, Any] | None = seldom()
    """Of a network that TVM's importer does not take as it is: the `steps` that apply to it, on how many random
    `inputs` it was compared with the file's, the greatest difference of an output `max_abs_diff`, and why it was
    `not_compared`.
    """
    variant: Mapping[str, Any] | None = seldom()
    """Of a variant: the model that it is made `of`, its `step`, `method` and `level`, and what came of it."""
    complexity: Mapping[str, Any] | None = seldom()
    """What it costs, as `sweep inspect` counts it; None of earlier versions, and where its file is read as no graph."""
    weights: str | None = seldom()
    """Where they come from, of a network whose file does not have them: `random`, or a name of those that were trained.
    """
    import_s: float | None = None

    @classmethod
    def fake(cls, stage: Stage, seconds: float, draw: Random) -> Self:
        return cls(params_bytes=0, reference=True, import_s=seconds)

    @property
    def needed_files(self) -> Sequence[str]:
        return ("module.json", "inputs.npz", *(("reference.npz",) if self.reference else ()))

    @property
    def shown_file(self) -> str:
        """The network in a form for other runtimes; TVM's module where there is none."""
        return next(map(network_file, self.formats), "module.json")


@dataclass(frozen=True, slots=True)
class LoweredTask(JsonRecord):
    """A tuning task of a lowered network."""

    workload: str = ""
    """Hash of the tensor program."""
    name: str = ""
    weight: int = 1
    """How often the network has it."""
    trivial: bool = False
    """Whether there is nothing to decide in it."""
    family: str = ""
    """Of tasks around the same heavy block; empty in what older versions wrote."""

    @classmethod
    def from_json(cls, payload: Mapping[str, Any]) -> Self:
        """The record of a JSON object. Raises OutsideFolder for a workload that is no name of a file."""
        if workload := payload.get("workload"):
            try:
                is_name = len(relative(workload).parts) == 1
            except OutsideFolder:
                is_name = False
            if not is_name:
                raise OutsideFolder(f"workload {workload!r} is no name of a file")
        return super(LoweredTask, cls).from_json(payload)

    @property
    def relatives(self) -> str:
        """Its family, which is itself where none is told."""
        return self.family or self.workload


@dataclass(frozen=True, slots=True)
class LowerResult(StageResult):
    """A network that was lowered to tensor programs."""

    functions: int | None = None
    tasks: tuple[LoweredTask, ...] = many(LoweredTask)
    target_json: str | None = None
    """The target as TVM resolved it."""
    lower_s: float | None = None
    passes_left_out: tuple[str, ...] = seldom(())
    """What its opt level asks for and refused the network, each with the reason."""
    macs_by_type: Mapping[str, int] | None = seldom()
    """Multiply-accumulates of one call by the number type that they are computed in; None of earlier versions."""
    layout: Mapping[str, Any] | None = seldom()
    """Of its convolutions: how many have each, `convolutions`; the operators that have another than was asked for,
    `fallbacks`; and the `transpositions` that are left. None of earlier versions, and where it has no convolution."""
    beyond_range: Mapping[str, Any] | None = seldom()
    """Of a network in float16 whose values exceed its range: the first `layer` to do so, `operator` and `value`."""

    @property
    def range_words(self) -> str | None:
        """`exceeds float16's range, 65,504, at Conv conv7: 1.07e+05`; None where it does not."""
        if not self.beyond_range:
            return None
        found = self.beyond_range
        where = f"{found['operator']} {found['layer']}: {float(found['value']):.3g}"
        return f"in float32 the network exceeds float16's range, {_FLOAT16_MOST:,}, at {where}"

    @classmethod
    def fake(cls, stage: Stage, seconds: float, draw: Random) -> Self:
        workload = hashlib.sha256(stage.id.encode()).hexdigest()[:16]
        tasks = (LoweredTask(workload, "simulated", family=workload),)
        return cls(functions=1, tasks=tasks, target_json="{}", lower_s=seconds)

    @property
    def needed_files(self) -> Sequence[str]:
        return ("module.json", "lowering.json")

    @property
    def shown_file(self) -> str:
        return "module.json"

    @property
    def key_figures(self) -> Mapping[str, Any]:
        return _told(self.passes_left_out)


@dataclass(frozen=True, slots=True)
class BuildResult(StageResult):
    """A library."""

    lib: str = ""
    artifact_bytes: int | None = None
    build_s: float | None = None
    target_json: str | None = None
    """The target as TVM resolved it."""
    tuned_tasks: int | None = seldom()
    untuned_tasks: int | None = seldom()
    tvm_version: str | None = seldom()
    functions: int | None = seldom()
    reused_functions: int | None = seldom()
    """Of the functions, those that another build of this run had compiled."""
    passes_left_out: tuple[str, ...] = seldom(())
    """As of a lowering; those at the build, and the levels that could not be built."""

    @classmethod
    def fake(cls, stage: Stage, seconds: float, draw: Random) -> Self:
        return cls(artifact_bytes=draw.randrange(10**5, 10**7), build_s=seconds, target_json="{}")

    @property
    def needed_files(self) -> Sequence[str]:
        return ("lib.so", "metadata.json")

    @property
    def shown_file(self) -> str:
        return "lib.so"

    @property
    def key_figures(self) -> Mapping[str, Any]:
        return {"artifact_bytes": self.artifact_bytes, **_told(self.passes_left_out)}


def _told(passes_left_out: Sequence[str]) -> Mapping[str, Any]:
    return {"passes_left_out": list(passes_left_out)} if passes_left_out else {}
