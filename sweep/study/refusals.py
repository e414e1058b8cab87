"""Which cells their runtimes do not take, and whether it is the network that they refuse or the device."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from sweep.study.cluster.cluster import Cluster
from sweep.study.runtimes import only_on_this_host, runtime_of
from sweep.study.spec import Cell, Model

__all__ = ["Refusals", "work_of"]

_QUANTISED_FROM = "onnx"


def _nothing(precision: str) -> bool:
    return False


class Refusals:
    """What runtimes say of cells. Each is asked once about each."""

    def __init__(
        self,
        models: Sequence[Model],
        cluster: Cluster,
        is_quantised: Callable[[str], bool] = _nothing,
        is_advised: Callable[[str], bool] = _nothing,
    ) -> None:
        """is_quantised: whether networks are quantised for a precision. is_advised: whether it keeps layers by what
        they cost as they are compiled.
        """
        self._is_advised = is_advised
        self._models = {model.name: model for model in models}
        self._devices = {device.key: device for device in cluster.devices}
        self._is_quantised = is_quantised
        self._is_pretended = cluster.is_pretended
        self._said: dict[Cell, str | None] = {}

    def of(self, cell: Cell) -> str | None:
        """Why the runtime of a cell does not take it, or it cannot be quantised; an engine that pretends takes what no
        device could, but a cell needs its advice there too.
        """
        if self._is_pretended and not self._is_advised(cell.precision):
            return None
        if self._is_quantised(cell.precision) and _QUANTISED_FROM not in self._models[cell.model].formats:
            importer = self._models[cell.model].importer
            return f"{cell.precision} is made from {_QUANTISED_FROM}, and the importer {importer} leaves none"
        if cell.is_compiled:
            return None
        if self._is_advised(cell.precision):
            return f"{cell.precision} keeps the layers that are advised for compiled cells"
        if cell not in self._said:
            model, device = self._models[cell.model], self._devices[cell.device]
            self._said[cell] = runtime_of(cell.runtime).refusal(model, device, cell)
        return self._said[cell]

    def is_by_device(self, cell: Cell) -> bool:
        """Whether its runtime could run nothing there, whatever the network is. What refuses the network has a row."""
        refusal = self.of(cell)
        if refusal is None:
            return False
        return refusal == only_on_this_host(self._models[cell.model], self._devices[cell.device], cell)


def work_of(cell: Cell, among: Collection[Cell], axes: Sequence[str]) -> str:
    """What tells a cell from others of its runtime, network and device: ` at batch 4`; empty where nothing does."""
    differing = [axis for axis in axes if len({other.value(axis) for other in among}) > 1]
    return f" at {', '.join(f'{axis} {cell.value(axis)}' for axis in differing)}" if differing else ""
