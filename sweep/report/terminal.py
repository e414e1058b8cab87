"""The terminal that tables and progress are drawn on. What they say is text: no markup, no command to a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from sweep.plain_text import visible

__all__ = ["TextConsole"]


class TextConsole(Console):
    """A console whose own control sequences alone reach the terminal."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As rich does, with what cannot be seen written out in all that is not rich's own control."""
        return self._plain(super().render(renderable, options))

    @staticmethod
    def _plain(segments: Iterable[Segment]) -> Iterator[Segment]:
        for segment in segments:
            text = segment.text if segment.control else visible(segment.text)
            yield segment if text == segment.text else Segment(text, segment.style)
