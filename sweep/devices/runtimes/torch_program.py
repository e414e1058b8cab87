"""PyTorch on the imported network: `torch` runs one operator after the other, `torch-compile` what Inductor makes."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sweep.errors import MeasureFailed, in_one_line
from sweep.files.confined import OutsideFolder, below
from sweep.files.npz import load_arrays
from sweep.study.runtimes import Runtime, Session, SessionRequest, only_on_this_host

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from sweep.study.cluster.cluster import Device
    from sweep.study.spec import Cell, Model

__all__ = ["TORCH", "TORCH_COMPILE", "load_program"]

FORMAT = "pt2"
_WEIGHTS = "weights.json"
_IMPORT_S, _COMPILE_S = 20.0, 600.0
"""How long torch may take to be imported, and a network to be compiled: the facts of ResNet-50 are 2 and 46 s."""


class _TorchSession(Session):
    """Operators as torch has them, on the threads of the device."""

    def __init__(self, request: SessionRequest) -> None:
        import torch
        from torch.utils import _pytree as pytree

        torch.set_num_threads(request.threads)
        torch.set_num_interop_threads(1)
        torch.set_grad_enabled(False)
        self._torch = torch
        self._leaves = pytree.tree_leaves
        self._program = load_program(request.network(FORMAT))
        self._network: Any = self._program.module(check_guards=False)
        self._order = list(load_arrays(request.import_dir / "inputs.npz"))
        self._taken: dict[int, Any] = {}
        self.version = str(torch.__version__)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[Any]]:
        outputs = self._network(*self._tensors(inputs))
        if isinstance(outputs, self._torch.Tensor):  # of a file that was exported so: to iterate takes it apart
            return [outputs.numpy()]
        return [output.numpy() for output in self._leaves(outputs)]

    def _tensors(self, inputs: Mapping[str, NDArray[Any]]) -> list[Any]:
        """Views of the arrays."""
        return [self._torch.from_numpy(inputs[name]) for name in self._order]

    def conditions(self) -> Mapping[str, Any]:
        return {"runtime_threads": self._torch.get_num_threads()}


class _CompiledSession(_TorchSession):
    """The same network as Inductor compiles it, weights frozen. What it compiles lies in a folder of its own."""

    def __init__(self, request: SessionRequest) -> None:
        if (missing := _missing_compiler()) is not None:
            raise MeasureFailed(f"torch.compile: {missing}")
        self._folder = tempfile.mkdtemp(prefix="sweep-inductor-")
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = self._folder
        super().__init__(request)
        import torch._inductor.config as inductor

        inductor.compile_threads = 1  # else a pool of processes, which would outlive the measurement
        inductor.freezing = True
        inductor.cpp.threads = request.threads
        self._network = self._torch.compile(self._network, fullgraph=True, dynamic=False)
        try:
            self.run(load_arrays(request.import_dir / "inputs.npz"))  # compiles
        except Exception as error:
            raise MeasureFailed(f"torch.compile: {type(error).__name__}: {in_one_line(error)}") from error

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def load_program(path: Path) -> Any:
    """A program that an import has left, its weights mapped from the file beside it where they are not in itself.

    Raises MeasureFailed where that file is not there.
    """
    import numpy as np
    import torch

    extra = {_WEIGHTS: ""}
    program = torch.export.load(path, extra_files=extra)
    if not extra[_WEIGHTS]:
        return program
    about = json.loads(extra[_WEIGHTS])
    try:
        file = below(path.parent, about["file"])
    except OutsideFolder as error:
        raise MeasureFailed(f"{path.name} has its weights outside its folder") from error
    for name, where in about["weights"].items():
        # Copy on write: torch warns of arrays that nobody may write to
        values = np.memmap(file, np.dtype(where["dtype"]), "c", where["offset_bytes"], tuple(where["shape"]))
        tensor = torch.from_numpy(values)
        own = program.state_dict[name]
        is_parameter = isinstance(own, torch.nn.Parameter)
        program.state_dict[name] = torch.nn.Parameter(tensor, requires_grad=False) if is_parameter else tensor
    return program


def _missing_compiler() -> str | None:
    named = os.environ.get("CXX")
    if any(shutil.which(name) for name in ([named] if named else ["g++", "clang++"])):
        return None
    return f"{named} is not there" if named else "needs a C++ compiler, and neither g++ nor clang++ is there"


def _refuses_to_compile(model: Model, device: Device, cell: Cell) -> str | None:
    return only_on_this_host(model, device, cell) or _missing_compiler()


def _trained(request: SessionRequest) -> Session:
    from sweep.devices.runtimes.torch_training import TrainingSession  # its module imports torch

    return TrainingSession(request, load_program(request.network(FORMAT)))


def _warm_up() -> None:
    """To load a program imports 90 MB of modules, and the first step of training some MB more."""
    import io

    import torch

    from sweep.devices.runtimes.torch_training import loss_of

    layers = (
        torch.nn.Conv2d(1, 2, 1),
        torch.nn.BatchNorm2d(2),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(8, 2),
    )
    example, written = torch.ones(2, 1, 2, 2), io.BytesIO()
    torch.export.save(torch.export.export(torch.nn.Sequential(*layers).eval(), (example,)), written)
    written.seek(0)
    network = torch.export.load(written).module(check_guards=False)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.0)
    loss_of(network(example)).backward()
    optimiser.step()


TORCH = Runtime(
    name="torch",
    title="PyTorch",
    distributions=("torch",),
    open=_TorchSession,
    train=_trained,
    warm_up=_warm_up,
    formats=(FORMAT,),
    extra="torch",
    opening_s=_IMPORT_S,
)
TORCH_COMPILE = Runtime(
    name="torch-compile",
    title="torch.compile",
    distributions=("torch",),
    open=_CompiledSession,
    refuses=_refuses_to_compile,
    formats=(FORMAT,),
    extra="torch",
    opening_s=_COMPILE_S,
)
