"""Runtimes: what can run a network on a device. The protocol that each of them fulfils, and the registry of all.

A runtime is found by its name: a shipped one, one that an installed package names in the entry-point group
`sweep.runtimes`, or `module:attribute`. Describing one costs no heavy import: its library is imported when a network is
opened, in a process of its own on the device's cores.
"""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sweep.errors import MeasureFailed, StudyError
from sweep.files.sweep_dir import network_file
from sweep.registry import Registry, attribute_at
from sweep.study.profile_options import TRAINING
from sweep.study.spec import TVM, is_compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sweep.study.cluster.cluster import Device
    from sweep.study.spec import Cell, Model

__all__ = [
    "CHOSEN_LATER",
    "RUNTIMES",
    "USUAL_BASELINE",
    "Refusal",
    "Runtime",
    "Session",
    "SessionRequest",
    "default_baseline",
    "only_on_this_host",
    "runtime_of",
    "title_of",
]

USUAL_BASELINE = "onnxruntime"
CHOSEN_LATER = "own"
"""The precision of a cell whose runtime chooses it, until it is measured."""


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """Which network to open, and how it should run. One value, so that a later need changes no runtime's signature."""

    import_dir: Path
    """Folder of the import stage: `inputs.npz`, and the network in the formats that its importer leaves."""
    threads: int
    cores: tuple[int, ...]
    """Cores that the process is pinned to."""

    def network(self, *formats: str) -> Path:
        """The network in the first of these formats, such as `onnx`, that its import has left.

        A runtime refuses a model whose `formats` have none of them. Raises MeasureFailed where its importer leaves one
        of others, and not of this network.
        """
        files = [self.import_dir / network_file(name) for name in formats]
        found = next((file for file in files if file.exists()), None)
        if found is None:
            raise MeasureFailed(f"the import could not write this network as {' or '.join(formats)}")
        return found


class Session(Protocol):
    """A network that a runtime has opened. Subclasses get what has a body here."""

    version: str
    """Of the library that runs it."""

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[Any]]:
        """The outputs in the network's order. inputs: by name, with the shapes and dtypes of `inputs.npz`."""
        ...

    def clock(
        self, inputs: Mapping[str, NDArray[Any]], flush: Callable[[], None]
    ) -> Callable[[int, int], list[float]] | None:
        """Its own clock; None: calls of `run` are timed from outside, which copies of inputs and outputs are part of.

        A clock takes (number, repeat) and gives `repeat` means over `number` calls each, in seconds; before each of
        these it calls `flush`, which empties the caches where that is asked for.
        """
        return None

    def conditions(self) -> Mapping[str, Any]:
        """What holds while it runs and is not seen from outside. `runtime_threads`: with how many threads it runs; a
        measurement on another number than was asked for is tainted.
        """
        return {}

    def memory_bytes(self) -> int | None:
        """Peak of the memory that it needed so far; None: that of its process is taken."""
        return None

    def close(self) -> None:
        """Release what it holds. Its process ends right after."""


Refusal = Callable[["Model", "Device", "Cell"], str | None]
"""Why a runtime has no such cell, as part of a sentence: `it runs on this host, the device is elsewhere`."""


def only_on_this_host(model: Model, device: Device, cell: Cell) -> str | None:
    """The refusal of every runtime whose process lies beside the server of a managed device of this host."""
    if device.is_this_host:
        return None
    return f"it runs on this host, the device is {'under an interpreter of its own' if device.managed else 'elsewhere'}"


def _not_opened(request: SessionRequest) -> Session:
    raise NotImplementedError("what is compiled here runs over RPC: no session is opened")


@dataclass(frozen=True, slots=True)
class Runtime:
    """A runtime as a study needs to know it, and the way to open a network in it."""

    name: str
    """Its value on the runtime axis."""
    title: str
    """For people: `ONNX Runtime`."""
    distributions: tuple[str, ...]
    """Packages whose versions decide what is measured: with another version it is measured anew."""
    open: Callable[[SessionRequest], Session] = _not_opened
    """Opens a network; called in the process that measures. Whatever it raises fails the cell alone."""
    train: Callable[[SessionRequest], Session] | None = None
    """Opens a network to train it: `run` gives what it infers, a call of the session's clock is a step. None: it trains
    none."""
    warm_up: Callable[[], None] = lambda: None
    """Loads its library, and what this loads as it first runs a network, before memory is observed: that is none of
    the memory that a network needs."""
    refuses: Refusal = only_on_this_host
    short: str = ""
    """For the head of a column: `ORT`; the title where it is empty."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Set for its process, over what is set for every runtime's."""
    formats: tuple[str, ...] = ()
    """The forms of a network that it opens, the one that it would rather have first; empty: its `refuses` judges."""
    extra: str = ""
    """The extra of this package that brings its library, for whoever has not installed it."""
    precision: str = ""
    """The precision of its cells where it chooses the number type itself: `own`. Its session's conditions then say
    which one it was, as `computed_in`. Empty: it computes in the network's."""
    tolerance: float | None = None
    """Largest difference from the expected output, in place of that of the precision."""
    opening_s: float = 0.0
    """How much longer than some seconds it may take to open a network, in which it may compile. No part of the
    measurement, nor of its limit.
    """
    runs_quantised: bool = False
    """Whether it has cells of quantised precisions too, of the network in QDQ form that compiled cells are made from.
    """
    is_loaded_once: bool = False
    """Whether a device loads its library, by `warm_up`, in one process that forks another for each measurement. It must
    start no thread and change no setting before a network is opened; one that has threads is not forked.
    """
    is_compiled: bool = False
    """Whether it runs what is compiled here, so that a cell of it has a target, a tuner and an opt level: TVM alone."""

    @property
    def short_title(self) -> str:
        """For the head of a column."""
        return self.short or self.title

    def refusal(self, model: Model, device: Device, cell: Cell) -> str | None:
        """Why it does not take such a cell: by what its `refuses` says, by the forms that the import leaves, or because
        it is not installed.
        """
        if (refusal := self.refuses(model, device, cell)) is not None:
            return refusal
        if cell.value("mode") == TRAINING and self.train is None:
            return f"it trains no network; {_trainers()} does"
        if self.formats and not set(self.formats) & set(model.formats):
            return f"it opens {' or '.join(self.formats)}; {_left_by(model)}"
        return self.missing() if self.formats else None

    def missing(self) -> str | None:
        """What of it is not installed here, with the mend, as a sentence; None where nothing is."""
        absent = [name for name in self.distributions if not _is_installed(name)]
        if not absent:
            return None
        wanted = f"'tvm-sweep[{self.extra}]'" if self.extra else " ".join(absent)
        return f"{' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} not installed; pip install {wanted}"


def _trainers() -> str:
    return " or ".join(name for name in RUNTIMES.names() if RUNTIMES.get(name).train is not None)


def _left_by(model: Model) -> str:
    return f"the importer {model.importer} leaves {' and '.join(model.formats) or 'none'}"


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


RUNTIMES: Registry[Runtime] = Registry(
    "runtime",
    "sweep.runtimes",
    {
        TVM: "sweep.devices.runtimes.tvm:TVM_RUNTIME",
        USUAL_BASELINE: "sweep.devices.runtimes.onnxruntime:ONNX_RUNTIME",
        "openvino": "sweep.devices.runtimes.openvino:OPENVINO",
        "openvino-default": "sweep.devices.runtimes.openvino:OPENVINO_DEFAULT",
        "litert": "sweep.devices.runtimes.litert:LITERT",
        "torch": "sweep.devices.runtimes.torch_program:TORCH",
        "torch-compile": "sweep.devices.runtimes.torch_program:TORCH_COMPILE",
    },
)
"""Each runtime is described in its own file, which nothing but this table names."""


def runtime_of(name: str, key: str = "") -> Runtime:
    """The runtime of a name, or of a place as `module:attribute`.

    Raises:
        StudyError: there is none of this name, it cannot be imported, or it is no `Runtime`. `key`: its place in a
            person's file.
    """
    if ":" not in name:
        runtime: object = RUNTIMES.get(name, key)
    else:
        try:
            runtime = attribute_at(name)
        except Exception as error:
            problem = f"is no runtime that can be imported: {type(error).__name__}: {error}"
            allowed = "module:attribute of an installed package or of a folder on PYTHONPATH"
            raise StudyError(problem, key=key or None, value=name, allowed=allowed) from error
    if not isinstance(runtime, Runtime):
        problem = f"is no runtime but {type(runtime).__name__}"
        raise StudyError(problem, key=key or None, value=name, allowed="a sweep.study.runtimes.Runtime")
    return runtime


def title_of(name: str, *, short: bool = False) -> str:
    """What people call a runtime; its name where it is not installed here, as in a sweep made elsewhere."""
    return _title_of(name, short, RUNTIMES.version)


@cache
def _title_of(name: str, short: bool, version: int) -> str:
    """Kept, since a page asks for each row, and to look for one that is not there takes 20 ms."""
    try:
        if ":" in name and name.partition(":")[0] not in sys.modules:
            return name  # a sweep that came from elsewhere may name any module, and to import one is to run it
        runtime = runtime_of(name)
    except StudyError:
        return name
    return runtime.short_title if short else runtime.title


def default_baseline(runtimes: Sequence[str]) -> str | None:
    """ONNX Runtime where it is among them, else the first that runs no compiled code; None: nothing is compared."""
    others = [name for name in runtimes if not is_compiled(name)]
    return USUAL_BASELINE if USUAL_BASELINE in others else next(iter(others), None)
