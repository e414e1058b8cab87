"""The best configuration of each model on each device: a card each where they are few, else a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.analysis.answer import Best, configuration, untuned_note, work
from sweep.analysis.formatting import as_ms, as_times, plural
from sweep.analysis.results import NO_TUNER
from sweep.analysis.runtime_rows import RuntimeRatio

__all__ = ["BestTable", "Card", "best_table", "cards"]

Row = Mapping[str, Any]
_CARDS_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Card:
    """The best of one model on one device."""

    model: str
    device: str
    where: str
    ms: str
    how: str
    facts: Sequence[tuple[str, str]]
    """Each with its mood: good, bad or empty."""


@dataclass(frozen=True, slots=True)
class BestTable:
    """A row a model (and batch), a column a device; None where nothing was measured."""

    devices: Sequence[str]
    rows: Sequence[tuple[str, str, Sequence[Card | None]]]
    """Model, its name with the batch, a card for each device."""


def cards(best: Sequence[Best]) -> list[Card]:
    """Empty where there are too many to be read as cards."""
    return [_card(one) for one in best] if len(best) <= _CARDS_SHOWN else []


def best_table(best: Sequence[Best]) -> BestTable | None:
    """None where cards say it."""
    if len(best) <= _CARDS_SHOWN:
        return None
    devices = list(dict.fromkeys(one.device for one in best))
    by_network: dict[tuple[str, str], dict[str, Card]] = {}
    for one in best:
        by_network.setdefault((one.model, _work(one)), {})[one.device] = _card(one)
    rows = [
        (model, f"{model}{work}", [found.get(device) for device in devices])
        for (model, work), found in by_network.items()
    ]
    return BestTable(devices, rows)


def _card(best: Best) -> Card:
    row, facts = best.row, []
    if row["tuner"] != NO_TUNER and row["speedup_vs_untuned"] is not None:
        facts.append((f"{as_times(row['speedup_vs_untuned'])} faster than untuned", "good"))
    facts += [_against(rival) for rival in best.worth_naming]
    if note := untuned_note(row):
        facts.append((note, "bad"))
    if best.ties:
        facts.append((f"{plural(best.ties, 'other cell')} cannot be told apart from it", ""))
    return Card(
        model=best.model,
        device=best.device,
        where=f"{best.model} on {best.device}{_work(best)}",
        ms=as_ms(row["latency_ms_median"]),
        how=configuration(row),
        facts=facts,
    )


def _against(rival: RuntimeRatio) -> tuple[str, str]:
    if rival.is_tied:
        return f"not to be told apart from {rival.against_title}", ""
    if rival.is_behind:
        return f"still {as_times(rival.ratio)} slower than {rival.against_title}", "bad"
    return f"{as_times(1 / rival.ratio)} faster than {rival.against_title}", "good"


def _work(best: Best) -> str:
    return "".join(f", {words}" for words in work(best.row))
