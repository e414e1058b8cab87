"""Why a block of repeats is not to be trusted: what disturbed it, by how much, and how much would have passed.

Who judges is `sweep.analysis.taint`; this is what it says, as results and ledgers keep it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from sweep.planning.results.json_record import JsonRecord, seldom

__all__ = ["Disturbance", "DisturbanceKind"]


class DisturbanceKind(StrEnum):
    """What disturbed."""

    KERNEL_SLOWED = "kernel_slowed"
    KERNEL_DRIFTED = "kernel_drifted"
    FOREIGN_THREADS = "foreign_threads"
    OTHERS_TOOK = "others_took"
    HYPERVISOR_TOOK = "hypervisor_took"
    CLOCK_CHANGED = "clock_changed"
    OTHER_CORES = "other_cores"
    OTHER_THREADS = "other_threads"
    UNKNOWN = "unknown"
    """What another version has written in words that this one does not know."""


@dataclass(frozen=True, slots=True)
class Disturbance(JsonRecord):
    """One disturbance of a block, or of several blocks at its worst."""

    kind: str = DisturbanceKind.UNKNOWN
    measured: float | None = None
    """By how much: a share of 1, or a number of threads; the more, the worse. None where there is no more and less."""
    bound: float | None = None
    """The least that would have been too much; of the same unit."""
    text: str = ""
    """The same in words, with both sides of what differs."""
    in_blocks: int | None = seldom()
    """In how many blocks it was found, of `of_blocks`; None of a single block."""
    of_blocks: int | None = seldom()

    def __str__(self) -> str:
        """A short sentence."""
        return self.text if self.in_blocks is None else f"{self.text}; in {self.in_blocks} of {self.of_blocks} blocks"

    @classmethod
    def from_json(cls, payload: Mapping[str, Any] | str) -> Self:
        """Of a JSON object; of the sentence alone where an earlier version has written it."""
        return cls.from_sentence(payload) if isinstance(payload, str) else super(Disturbance, cls).from_json(payload)

    @classmethod
    def _of(cls, payload: Any) -> Self:
        return cls.from_sentence(payload) if isinstance(payload, str) else super(Disturbance, cls)._of(payload)

    @classmethod
    def from_sentence(cls, sentence: str) -> Self:
        """What an earlier version meant by a sentence."""
        text, mark, counts = sentence.rpartition("; in ")
        blocks = _BLOCKS.fullmatch(counts) if mark else None
        in_blocks, of_blocks = (int(blocks[1]), int(blocks[2])) if blocks else (None, None)
        text = text if blocks else sentence
        for kind, pattern in _SENTENCES.items():
            if (words := pattern.match(text)) is not None:
                figures = [float(figure.replace(",", "")) for figure in words.groups()]
                return cls(kind, _measured(kind, figures), None, text, in_blocks, of_blocks)
        return cls(text=text, in_blocks=in_blocks, of_blocks=of_blocks)


_BLOCKS = re.compile(r"(\d+) of (\d+) blocks")
_SENTENCES = {
    DisturbanceKind.KERNEL_SLOWED: re.compile(r"the \w+ kernel was ([\d.,]+) % slower "),
    DisturbanceKind.KERNEL_DRIFTED: re.compile(r"the \w+ kernel went from ([\d.,]+) to ([\d.,]+) ms"),
    DisturbanceKind.FOREIGN_THREADS: re.compile(r"([\d,]+) foreign threads? wanted the cores"),
    DisturbanceKind.OTHERS_TOOK: re.compile(r"others took ([\d.,]+) % "),
    DisturbanceKind.HYPERVISOR_TOOK: re.compile(r"the hypervisor took ([\d.,]+) % "),
    DisturbanceKind.CLOCK_CHANGED: re.compile(r"the CPU's clock went from (\d+) to (\d+) MHz"),
    DisturbanceKind.OTHER_CORES: re.compile(r"it ran on cores? .* instead of "),
    DisturbanceKind.OTHER_THREADS: re.compile(r"it ran with [\d,]+ threads? instead of "),
}
"""What earlier versions wrote of each kind, with its figures."""
_BETWEEN = (DisturbanceKind.KERNEL_DRIFTED, DisturbanceKind.CLOCK_CHANGED)
_SHARES = (DisturbanceKind.KERNEL_SLOWED, DisturbanceKind.OTHERS_TOOK, DisturbanceKind.HYPERVISOR_TOOK)


def _measured(kind: DisturbanceKind, figures: list[float]) -> float | None:
    if kind in _BETWEEN:
        return max(figures) / min(figures) - 1 if min(figures) > 0 else None
    if not figures:
        return None
    return figures[0] / 100 if kind in _SHARES else figures[0]
