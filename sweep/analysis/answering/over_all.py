"""The answer over more models and devices than can be named one by one. Each number is of the rows its words name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sweep.analysis.answering.best_words import configuration, open_words
from sweep.analysis.answering.standing import Best, is_tuned
from sweep.analysis.formatting import as_times, plural
from sweep.analysis.rows.bounds import Reading
from sweep.analysis.rows.runtime_rows import RuntimeRatio, is_compiled_row, runtime_title

__all__ = ["describe_all"]

Row = Mapping[str, Any]


def describe_all(best: Sequence[Best], rows: Sequence[Row]) -> str:
    """One sentence, or two where something is open. `rows`: of the whole sweep."""
    models, devices = {one.model for one in best}, {one.device for one in best}
    where = f"{plural(len(models), 'model')} on {plural(len(devices), 'device')}"
    clauses = [*_to_ship(best), _commonest(best), *_of_tuners(best, rows)]
    clauses += [_over_rival(ratios, len(best)) for ratios in _by_rival(best)]
    told = f"Over {where}, {'; '.join(clauses)}."
    opened = open_words(row for one in best for row in one.still_open)
    places = sum(bool(one.still_open) for one in best)
    return f"{told} Open in {places} of {len(best)}: {opened}." if opened else told


def _to_ship(best: Sequence[Best]) -> list[str]:
    """Where another runtime is faster than all that is compiled."""
    shipped = Counter(runtime_title(one.to_ship.row) for one in best if one.to_ship is not None)
    return [f"ship {title} in {count} of {len(best)}" for title, count in shipped.most_common()]


def _commonest(best: Sequence[Best]) -> str:
    """What has the best time most often, and how often that is beyond doubt."""
    among = "of what is compiled, " if any(one.to_ship for one in best) else ""
    choice, times = Counter(configuration(one.row) for one in best).most_common(1)[0]
    chosen = [one for one in best if configuration(one.row) == choice]
    certain = sum((one.own if among else one.overall).is_certain for one in chosen)
    if certain == times:
        return f"{among}{choice} is fastest in {times} of {len(best)}"
    return f"{among}{choice} has the best known time in {times} of {len(best)}, beyond doubt in {certain}"


def _of_tuners(best: Sequence[Best], rows: Sequence[Row]) -> list[str]:
    """What tuning bought in the best cells that were tuned, or that it bought nothing."""
    tuned = [one for one in best if is_compiled_row(one.row) and is_tuned(one.row)]
    against = [one.against_untuned for one in tuned]
    factors = [1 / ratio.ratio for ratio in against if ratio is not None and ratio.is_exact]
    if factors:
        of = "the" if len(factors) == len(tuned) else f"{len(factors)} of the {len(tuned)}"
        return [f"{of} best tuned cells run {_span(factors)} as fast as untuned"]
    of_tuners = [row for row in rows if is_compiled_row(row) and is_tuned(row) and Reading.of(row).bound is not None]
    if tuned or not of_tuners:
        return []
    is_certain = all(one.own.is_certain for one in best)
    return ["no tuner beats untuned" if is_certain else "no tuned cell has the best known time"]


def _by_rival(best: Sequence[Best]) -> list[list[RuntimeRatio]]:
    """How the best cells stand to each other runtime: the baseline first, others where any of them is no slower."""
    runtimes: dict[str, list[RuntimeRatio]] = {}
    for rival in (rival for one in best for rival in one.rivals):
        runtimes.setdefault(rival.against["runtime"], []).append(rival)
    of_baseline = [against for against in runtimes.values() if against[0].is_to_baseline]
    others = [against for against in runtimes.values() if not against[0].is_to_baseline]
    return of_baseline + [against for against in others if any(one.is_behind or one.is_tied for one in against)]


def _over_rival(against: Sequence[RuntimeRatio], places: int) -> str:
    """`against`: of one runtime, wherever it was measured. `places`: of all best cells."""
    title = against[0].against_title
    exact = [one for one in against if one.is_exact]
    ties, opened = sum(one.is_tied for one in against), sum(one.is_open for one in against)
    stands = f"slower than it in {sum(one.is_behind for one in against)} of {len(against)}"
    stands += f", not to be told apart in {ties}" if ties else ""
    stands += f", open in {opened}" if opened else ""
    if not exact:
        return f"against {title}, the best cells are {stands}"
    where = "" if len(exact) == places else f"in the {len(exact)} of {places} where that is known, "
    return f"{where}the best cells take {_span([one.ratio for one in exact])} the time of {title} ({stands})"


def _span(values: Sequence[float]) -> str:
    least, most = as_times(min(values)), as_times(max(values))
    return least if least == most else f"{least} to {most}"
