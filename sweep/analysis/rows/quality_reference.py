"""Which cell's answers stand for the network as its file has it, that others of its model are compared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sweep.analysis.classification import Agreement, agreement
from sweep.analysis.outcome import CellOutcome
from sweep.planning.results.evaluate_result import Evaluation, unpacked

__all__ = ["QualityReference", "QualityReferences"]

FLOAT = "float32"


@dataclass(frozen=True, slots=True)
class QualityReference:
    """A float32 cell of the same model."""

    cell: str
    """Its name."""
    result: Evaluation

    def drop(self, of: Evaluation) -> float | None:
        """Its accuracy less another's: above 0 where that is worse."""
        if of.accuracy is None or self.result.accuracy is None:
            return None
        # From whole numbers, so that a drop of one sample in a hundred is 0.01 and no digit more
        return (self.result.correct - of.correct) / of.samples

    def agreement(self, of: Evaluation) -> Agreement | None:
        """Sample by sample; None where the predictions cannot be read."""
        try:
            mine, other, labels = unpacked(self.result.predicted), unpacked(of.predicted), unpacked(of.labels)
        except ValueError:
            return None
        return agreement(mine, other, labels) if len(mine) == len(other) == len(labels) > 0 else None


class QualityReferences:
    """Of a sweep: for each model and each set of samples one cell.

    The runtime that the network's format comes from, or another one that runs its file, comes before code that was
    compiled here; of that the least opt level, untuned first: what changes least. A model that is quantised in its file
    is compared with the one that a study names as its original.
    """

    def __init__(self, cells: Iterable[CellOutcome], originals: Mapping[str, str] | None = None) -> None:
        """originals: by model whose file was quantised from another one, that one."""
        self._originals = originals or {}
        self._found: dict[tuple[str, str], tuple[tuple[bool, int, str], QualityReference]] = {}
        for cell in cells:
            result = cell.result(Evaluation)
            if result is None or result.accuracy is None or cell.axes["precision"] != FLOAT:
                continue
            rank = (cell.cell.is_compiled, cell.cell.opt_level or 0, cell.cell.name)
            key = (cell.cell.model, result.labels)
            if key not in self._found or rank < self._found[key][0]:
                self._found[key] = rank, QualityReference(cell.cell.name, result)

    def of(self, cell: CellOutcome) -> QualityReference | None:
        """What a cell is compared with; None where it was not evaluated, or no float32 cell was on its samples."""
        result = cell.result(Evaluation)
        if result is None:
            return None
        model = cell.cell.model
        found = self._found.get((self._originals.get(model, model), result.labels))
        return None if found is None else found[1]
