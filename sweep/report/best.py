"""The best configuration of each model on each device: a card each where they are few, else a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.analysis.answering.best_words import comparisons, configuration, known_ms, open_words, times_words, work
from sweep.analysis.answering.standing import Best
from sweep.analysis.formatting import as_ms, rounded_up
from sweep.analysis.rows.runtime_rows import RuntimeRatio, runtime_title

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
    interval: str
    """`95 % interval 15.9 to 16.3`; empty where the median has none."""
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
    row, is_exact = best.row, best.reading.is_exact
    facts = []
    if (shipped := best.to_ship) is not None:
        facts.append((f"ship {runtime_title(shipped.row)} here: {known_ms(shipped.row)}", "bad"))
    if not is_exact:
        facts.append(("disturbed: it takes at most this", "bad"))
        if (beaten := best.undisturbed) is not None:
            words = times_words(RuntimeRatio(row, beaten.row), configuration(beaten.row))
            facts.append((f"{words}, the best undisturbed one", "good"))
    facts += [(words, mood) for words, mood in comparisons(best)]
    if opened := open_words(best.still_open):
        facts.append((f"open: {opened}", ""))
    return Card(
        model=best.model,
        device=best.device,
        where=f"{best.model} on {best.device}{_work(best)}",
        ms=as_ms(best.known_ms) if is_exact else f"≤ {as_ms(rounded_up(best.known_ms))}",
        interval=_interval(best),
        how=configuration(row),
        facts=facts,
    )


def _interval(best: Best) -> str:
    low, high = best.row["latency_ms_ci_low"], best.row["latency_ms_ci_high"]
    if not best.reading.is_exact or low is None or high is None:
        return ""
    return f"95 % interval {as_ms(low)} to {as_ms(high)}"


def _work(best: Best) -> str:
    return "".join(f", {words}" for words in work(best.row))
