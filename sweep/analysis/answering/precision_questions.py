"""What layouts, number types, opt levels and AVX2 buy, in sentences: each only where its rows are there. Pure.

The questions are those of whoever brings a network of a mobile runtime here: is it faster than where it comes from, in
its own layout and in the other, what do integers change, which opt level, and what do wider vectors add; each with what
it costs in accuracy, where that was found out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sweep.analysis.answering.best_words import configuration, known_ms, times_words, work
from sweep.analysis.formatting import as_ms
from sweep.analysis.rows.columns import LATENCY
from sweep.analysis.rows.runtime_rows import RuntimeRatio, group_key, is_compiled_row, measured
from sweep.study.runtimes import title_of
from sweep.study.targets.known_targets import features_of
from sweep.study.targets.written_target import architectures_of

__all__ = ["number_type", "question_lines", "verdict"]

Row = Mapping[str, Any]
NHWC, NCHW, INT8, FLOAT = "NHWC", "NCHW", "int8", "float32"
_X86 = "x86-64"
_MOST = 24
"""Lines: of more places the table tells more."""


def question_lines(rows: Sequence[Row], most: int = _MOST) -> list[str]:
    """A sentence for each question and each place that has the rows for it."""
    groups: dict[Any, list[Row]] = {}
    for row in measured(rows):
        groups.setdefault(group_key(row), []).append(row)
    lines = [line for ask in _QUESTIONS for group in groups.values() for line in ask(group)]
    return [*lines[:most], *([f"And {len(lines) - most} more of the kind."] if len(lines) > most else [])]


def number_type(row: Row) -> str:
    """What its network computes in: the precision of the cell, else what the network's own file is quantised to."""
    precision = str(row.get("precision") or FLOAT)
    return str(row.get("source_number_type") or precision) if precision == FLOAT else precision


def verdict(ratio: RuntimeRatio) -> str:
    """FASTER or SLOWER, where that is beyond doubt; AMBIGUOUS where the intervals meet."""
    return "FASTER" if ratio.is_ahead else "SLOWER" if ratio.is_behind else "AMBIGUOUS"


def _source_against(layout: str) -> Callable[[Sequence[Row]], Iterator[str]]:
    def ask(group: Sequence[Row]) -> Iterator[str]:
        for kind, of_kind in _by(number_type, group).items():
            source = _fastest(row for row in of_kind if not is_compiled_row(row))
            ours = _fastest(row for row in of_kind if is_compiled_row(row) and row.get("layout") == layout)
            if source is not None and ours is not None and _has_layouts(group):
                best = "" if layout == NHWC else "fastest "
                yield _compared(ours, f"TVM's {best}{layout} in {kind}", source, title_of(source["runtime"]))

    return ask


def _layouts(group: Sequence[Row]) -> Iterator[str]:
    for kind, of_kind in _by(number_type, filter(is_compiled_row, group)).items():
        ends = [_fastest(row for row in of_kind if row.get("layout") == layout) for layout in (NHWC, NCHW)]
        if ends[0] is not None and ends[1] is not None:
            yield _compared(ends[0], f"NHWC in {kind}", ends[1], "NCHW")


def _source_int8(group: Sequence[Row]) -> Iterator[str]:
    integers = [row for row in group if number_type(row).startswith(INT8)]
    source = _fastest(row for row in integers if not is_compiled_row(row))
    ours = _fastest(filter(is_compiled_row, integers))
    if source is not None and ours is not None:
        yield _compared(ours, "int8 compiled here", source, f"{title_of(source['runtime'])}'s int8")


def _opt_levels(group: Sequence[Row]) -> Iterator[str]:
    """In speed and accuracy; where a study asks about layouts and evaluates nothing, in speed alone."""
    for kind, of_kind in _by(number_type, filter(is_compiled_row, group)).items():
        judged = _by_level(row for row in of_kind if row.get("accuracy") is not None)
        is_judged = len(judged) > 1
        found = judged if is_judged else _by_level(of_kind)
        if len(found) < 2 or not (is_judged or _has_layouts(group)):
            continue
        told = ", ".join(
            f"O{level} {as_ms(row[LATENCY])} ms{f' {_accuracy(row)}' if is_judged else ''}"
            for level, row in found.items()
        )
        best, *others = sorted(found.values(), key=lambda row: float(row[LATENCY]))
        ratio = RuntimeRatio(best, others[0])
        yield (
            f"{_place(best)}, opt levels in {kind}: {told}; O{best['opt_level']} is "
            f"{times_words(ratio, 'O' + str(others[0]['opt_level']))} ({verdict(ratio)})"
            f"{f'; {_spread(list(found.values()))}' if is_judged else ''}."
        )


def _by_level(rows: Iterable[Row]) -> dict[int, Row]:
    """The fastest row of each opt level, rising."""
    levels = {level: _fastest(of_level) for level, of_level in _by(lambda row: int(row["opt_level"]), rows).items()}
    return {level: row for level, row in sorted(levels.items()) if row is not None}


def _spread(rows: Sequence[Row]) -> str:
    if len({(row.get("evaluated_samples"), row["accuracy"]) for row in rows}) == 1:
        return "all are equally accurate"
    ordered = sorted(rows, key=lambda row: float(row["accuracy"]))
    least, most = ordered[0], ordered[-1]
    points = (most["accuracy"] - least["accuracy"]) * 100
    meet = least["accuracy_ci_high"] is not None and least["accuracy_ci_high"] >= most["accuracy_ci_low"]
    sure = "their intervals meet" if meet else "beyond their intervals"
    return f"O{least['opt_level']} is {points:.2f} points less accurate than O{most['opt_level']}, {sure}"


def _avx2(group: Sequence[Row]) -> Iterator[str]:
    compiled = [row for row in group if is_compiled_row(row)]
    for kind, of_kind in _by(number_type, compiled).items():
        widths = _by(_vector_width, of_kind)
        wide, narrow = _fastest(widths.get("avx2", ())), _fastest(widths.get("less", ()))
        if wide is not None and narrow is not None:
            cpu = _cpu(wide)
            yield _compared(
                wide,
                f"AVX2 ({wide['target']}) in {kind}",
                narrow,
                f"{narrow['target']} without",
                f" on {cpu}" if cpu else "",
            )


def _vector_width(row: Row) -> str:
    """`avx2` for code with AVX2 and nothing wider, `less` for x86 code without; empty for what is neither."""
    try:
        target = json.loads(row.get("target_json") or "{}")
        if architectures_of(target) != (_X86,):
            return ""
        features = features_of(_X86, target.get("mcpu"), target.get("mattr") or ())
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
    if any(feature.startswith("avx512") for feature in features):
        return ""
    return "avx2" if "avx2" in features else "less"


def _cpu(row: Row) -> str:
    try:
        return str(json.loads(row.get("conditions_json") or "{}").get("cpu_model") or "")
    except (ValueError, AttributeError):
        return ""


def _compared(ours: Row, what: str, other: Row, name: str, where: str = "") -> str:
    ratio = RuntimeRatio(ours, other)
    times = f"{known_ms(ours)} ({configuration(ours)}) and {known_ms(other)}"
    told = f"{_place(ours)}{where}, {what} against {name}: {times}; {times_words(ratio, name)} ({verdict(ratio)})"
    if ours.get("accuracy") is not None and other.get("accuracy") is not None:
        told += f"; accuracy {_accuracy(ours)} and {_accuracy(other)}"
    return f"{told}."


def _accuracy(row: Row) -> str:
    low, high = row.get("accuracy_ci_low"), row.get("accuracy_ci_high")
    ends = "" if low is None or high is None else f" [{low:.2%}, {high:.2%}]"
    return f"{row['accuracy']:.2%}{ends}"


def _place(row: Row) -> str:
    at = f" at {', '.join(work(row))}" if work(row) else ""
    return f"{row['model']}{at} on {row['device']}"


def _fastest(rows: Iterable[Row]) -> Row | None:
    return min(rows, key=lambda row: float(row[LATENCY]), default=None)


def _has_layouts(group: Sequence[Row]) -> bool:
    """Whether the study asks about layouts at all: else each study would have what its answer says once more."""
    return any(row.get("layout") == NHWC for row in group if is_compiled_row(row))


def _by(key: Callable[[Row], Any], rows: Iterable[Row]) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


_QUESTIONS: Sequence[Callable[[Sequence[Row]], Iterator[str]]] = (
    _source_against(NHWC),
    _source_against(NCHW),
    _layouts,
    _source_int8,
    _opt_levels,
    _avx2,
)
