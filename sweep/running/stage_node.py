"""A stage as the state machine sees it: its state, what waits for it, and what has happened to it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from sweep.planning.results.stage_result import StageResult
from sweep.planning.stage import Stage
from sweep.running.events import StageState
from sweep.running.slots import Need

__all__ = ["StageNode"]


@dataclass(slots=True)
class StageNode:
    """A node of the graph of stages."""

    stage: Stage
    place: int
    """In the plan."""
    needs: tuple[Need, ...]
    missing: int = 0
    """Inputs that are not done."""
    state: StageState = StageState.WAITING
    failures: Counter[str] = field(default_factory=Counter)
    """In this run, by their class: who was lost with a board has as many tries with an engine as ever."""
    root_cause: str | None = None
    """Of a failed or skipped one: the stage whose failure is the reason, or why the run stopped."""
    dependents: list[str] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)
    """Those that have it among their goals."""
    error_class: str | None = None
    """Of its last failure in this run."""
    result: StageResult | None = None
    """Of a goal, until its cells are settled; kept for the admission alone."""
    order: int = field(init=False)
    """Of those that could start the one with the least does: its place, or less where its cells are preferred."""
    happened: tuple[tuple[float, str], ...] = ()
    """When what happened to it in this run; of attempts alone, so that a stage that never ran has nothing."""

    def __post_init__(self) -> None:
        self.order = self.place

    def note(self, t: float, what: str) -> None:
        """Something happened."""
        self.happened = (*self.happened, (t, what))

    @property
    def story(self) -> str:
        """For an error: its state, and how it came to that."""
        so_far = "; ".join(f"{what} at {t:g} s" for t, what in self.happened) or "never started"
        because = "" if self.root_cause in (None, self.stage.id) else f" because of {self.root_cause}"
        return f"{self.stage.label} ({self.stage.id}) is {self.state}{because}; so far: {so_far}"
