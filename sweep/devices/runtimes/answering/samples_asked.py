"""Has a network answer labelled samples, batch by batch, nothing timed: compiled code over RPC, others in a process."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.devices.measuring.class_scores import ClassAnswers
from sweep.devices.runtimes.artifact import Artifact, invoked, load_machine, observe_on
from sweep.devices.runtimes.child_process import answer_of_child
from sweep.files.npz import save_arrays
from sweep.study.runtimes import runtime_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sweep.devices.rpc.remote import Remote

__all__ = ["SAMPLE_S", "START_LIMIT_S", "Answered", "Asked", "answer_in_child", "answer_on"]

SAMPLE_S = 1.0
"""For each sample, at most, on top of the time to load a network: what hangs must end."""
START_LIMIT_S = 120.0
_ANSWERS = "sweep.devices.runtimes.answering.answering_child"


@dataclass(frozen=True, slots=True)
class Asked:
    """Samples for one input of a network; the others keep the values of its import."""

    inputs: NDArray[Any]
    """[samples, ...], in the form that the input takes."""
    batch: int
    """Samples that the network takes at once."""
    name: str
    """Of the input."""
    index: int
    """Of the input, among all."""

    def batches(self, start: int = 0) -> Sequence[tuple[NDArray[Any], int]]:
        """From a sample on: a full batch each, and how many samples are in it; the last one repeats its last."""
        import numpy as np

        found = []
        for at in range(start, len(self.inputs), self.batch):
            values = self.inputs[at : at + self.batch]
            missing = self.batch - len(values)
            filled = np.concatenate([values, np.repeat(values[-1:], missing, axis=0)]) if missing else values
            found.append((filled, len(values)))
        return found

    @property
    def limit_s(self) -> float:
        """How long answering all of them may take at most."""
        return START_LIMIT_S + SAMPLE_S * len(self.inputs)


@dataclass(frozen=True, slots=True)
class Answered:
    """The classes of the samples so far."""

    ranked: Sequence[Sequence[int]]
    classes: int
    runtime_version: str
    conditions: Mapping[str, Any]


def answer_on(remote: Remote, artifact: Artifact, asked: Asked, start: int, seconds: float) -> Answered:
    """Samples from `start` on, until these seconds are over: at least one batch. Raises what the remote calls raise."""
    import tvm

    end_t, answers = time.monotonic() + seconds, ClassAnswers()
    machine, inputs = load_machine(remote, artifact), list(artifact.inputs)
    taken = inputs[asked.index].dtype
    for values, count in asked.batches(start):
        inputs[asked.index] = values.astype(taken, copy=False)
        answers.add(invoked(remote, machine, inputs), asked.batch, count)
        if time.monotonic() > end_t:
            break
    return Answered(answers.ranked, answers.classes, str(tvm.__version__), observe_on(remote))


def answer_in_child(runtime: str, import_dir: Path, asked: Asked, cores: Sequence[int], threads: int) -> Answered:
    """All samples. Raises MeasureFailed, MeasureTimeout, WorkerKilled."""
    with tempfile.TemporaryDirectory(prefix="sweep-evaluate-") as scratch:
        file = Path(scratch) / "samples.npz"
        save_arrays(file, {asked.name: asked.inputs})
        orders = {
            "parent_pid": os.getpid(),
            "runtime": runtime,
            "import_dir": str(import_dir.resolve()),
            "samples": str(file),
            "batch": asked.batch,
            "cores": list(cores),
            "threads": threads,
        }
        told = answer_of_child(runtime_of(runtime), orders, asked.limit_s, threads, _ANSWERS)
    return Answered(told["ranked"], told["classes"], told["runtime_version"], told["conditions"])
