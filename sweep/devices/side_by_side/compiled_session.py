"""A built model in this process, through TVM's Relax VM: as a session, like those of other runtimes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sweep.devices.measuring.timing import Clock
from sweep.devices.runtimes.artifact import ENTRY, Artifact, flat_outputs
from sweep.installation import torch_left_out
from sweep.study.runtimes import Session

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CompiledSession"]

_BEFORE = "sweep.before_values"


class CompiledSession(Session):
    """Its inputs are set once: they are those of its import, in the types that its precision takes."""

    def __init__(self, artifact: Artifact) -> None:
        with torch_left_out():
            import tvm
        self.version = str(tvm.__version__)
        self._device = tvm.cpu()
        self._machine = tvm.runtime.vm.VirtualMachine(tvm.runtime.load_module(str(artifact.lib)), self._device)
        self._machine.set_input(ENTRY, *(tvm.runtime.tensor(value, self._device) for value in artifact.inputs))

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[Any]]:
        self._machine.invoke_stateful(ENTRY)
        return [tensor.numpy() for tensor in flat_outputs(self._machine.get_outputs(ENTRY))]

    def clock(self, inputs: Mapping[str, NDArray[Any]], flush: Callable[[], None]) -> Clock:
        """TVM's own evaluator, as over RPC; it calls `flush` by a name."""
        import tvm_ffi

        def before(*_: object) -> None:
            flush()

        tvm_ffi.register_global_func(_BEFORE, before, override=True)

        def clock(number: int, repeat: int) -> list[float]:
            evaluator = self._machine.module.time_evaluator(
                "invoke_stateful", self._device, number=number, repeat=repeat, f_preproc=_BEFORE
            )
            return [float(value) for value in evaluator(ENTRY).results]

        return clock

    def conditions(self) -> Mapping[str, Any]:
        import tvm_ffi

        return {"runtime_threads": int(tvm_ffi.get_global_func("runtime.NumThreads")())}

    def close(self) -> None:
        del self._machine
