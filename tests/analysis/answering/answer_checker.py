"""Holds an answer against the rows it is about: takes its sentences apart and counts anew, by loops over the rows.

Shares no code with `sweep.analysis`. Every number of a sentence has to be accounted for: what is left over when all
that is understood is taken away may hold no digit.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence

from tests.analysis.answering.mixed_grids import MISLEADING, TITLES, Row

_COMMAND = r"(?: \(`sweep [^`]*`(?: again)?\))"
_NUMBER = r"([\d.,]+)"
_FASTEST = r"(is [\w ]*?fastest[\w ]*)"
_COMMONEST = (
    r"(of what is compiled, )?(.*?) (is fastest|has the best known time) in (\d+) of (\d+)"
    r"(?:, beyond doubt in (\d+))?"
)
_OF_REAL_ONES = ("the CPU's clock went from", "it ran on core", "it ran with ")
"""What sentences on real machines begin with of which no number can be read."""
_SLIGHTLY = 1e-9
"""What floating-point numbers may differ by, as a share."""


def check_answer(answer: str, rows: Sequence[Row]) -> None:
    """Raises AssertionError where a word or a number of the answer does not hold."""
    compiles = any(row["runtime"] == "tvm" for row in rows)
    if answer.startswith("No latency"):
        _check_unknown(answer, [list(rows)], compiles)
        return
    if found := re.match(r"So far \(([^)]*)\): ", answer):
        _check_counts(found[1], [row for row in rows if row["status"] in ("pending", "skipped")])
        answer = answer[found.end() :]
    else:
        assert not any(row["status"] in ("pending", "skipped") for row in rows)
    places: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        places.setdefault((row["model"], row["device"]), []).append(row)
    told = {}
    for sentence in answer.splitlines():
        if found := re.match(r"In (\d+) of (\d+) model-device pairs: (no latency.*)$", sentence):
            unknown = [place for place in places.values() if not _known(_competitors(place, compiles))]
            assert (int(found[1]), int(found[2])) == (len(unknown), len(places))
            _check_unknown(found[3], unknown, compiles)
        elif sentence.startswith("Over "):
            _OverAll(list(places.values()), compiles).check(sentence)
        else:
            place = re.match(r"([\w.-]+) on ([\w.-]+): (.*)\.$", sentence)
            assert place, sentence
            told[place[1], place[2]] = sentence
            _Place(places[place[1], place[2]], compiles).check(place[3])
    if told:
        assert set(told) == {key for key, place in places.items() if _known(_competitors(place, compiles))}


# -- rows, by plain means -----------------------------------------------------------------------------------------


def _kind(row: Row) -> str:
    """`exact`, `upper` or nothing."""
    if row["status"] == "done":
        return "exact"
    if row["status"] == "tainted" and not any(words in row["error"] for words in (*MISLEADING, *_OF_REAL_ONES)):
        return "upper"
    return ""


def _least(row: Row) -> float:
    """The least that the true latency may be."""
    return row["latency_ms_ci_low"] if _kind(row) == "exact" else 0.0


def _most(row: Row) -> float:
    """The most that the true latency may be: what slowed a cell slowed its slots in a final too, if it was that."""
    if not _kind(row):
        return math.inf
    ends = [row["latency_ms_ci_high"]]
    if _kind(row) == "upper" and row.get("final_ms_ci_high") is not None:
        ends.append(row["final_ms_ci_high"])
    return min(ends)


def _duel(row: Row, other: Row) -> tuple[float, float, float] | None:
    """The ratio of two that took turns in one final, and its ends."""
    if row is other or not row.get("final") or row.get("final") != other.get("final"):
        return None
    names = ("final_ratio_to_best", "final_ratio_to_best_ci_low", "final_ratio_to_best_ci_high")
    (value, low, high), (by, by_low, by_high) = ([one[name] for name in names] for one in (row, other))
    return value / by, low / by_high, high / by_low


def _faster(row: Row, other: Row) -> bool:
    """Beyond doubt."""
    duel = _duel(row, other)
    return _most(row) < _least(other) if duel is None else duel[2] < 1


def _may_be_as_fast(row: Row, other: Row) -> bool:
    duel = _duel(row, other)
    return _least(row) <= _most(other) if duel is None else duel[0] <= 1 or duel[1] <= 1


def _told(row: Row, other: Row) -> bool:
    """Whether it is known how a row stands to another."""
    return _kind(row) == "exact" or _duel(row, other) is not None


def _competitors(place: Sequence[Row], compiles: bool) -> list[Row]:
    return [row for row in place if row["runtime"] == "tvm" or not compiles]


def _known(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if _kind(row)]


def _leader(rows: Sequence[Row]) -> Row | None:
    placed = sorted((row for row in rows if row.get("final")), key=lambda row: row["final_ratio_to_best"])
    if placed and not any(_most(row) < _least(placed[0]) for row in rows if not row.get("final")):
        return placed[0]
    exact = sorted((row for row in rows if _kind(row) == "exact"), key=lambda row: row["latency_ms_median"])
    upper = sorted((row for row in rows if _kind(row) == "upper"), key=_most)
    if upper and (not exact or _most(upper[0]) < _least(exact[0])):
        return upper[0]
    return exact[0] if exact else None


def _configuration(row: Row) -> str:
    if row["runtime"] != "tvm":
        return TITLES[row["runtime"]]
    return f"{'untuned' if row['tuner'] == 'none' else row['tuner']} at O{row['opt_level']} on {row['target']}"


def _shipped(place: Sequence[Row], competitors: Sequence[Row]) -> Row | None:
    leader = _leader(competitors)
    assert leader is not None
    faster = [row for row in place if row not in competitors and _faster(row, leader)]
    return _leader(faster)


def _close(text: str, value: float) -> bool:
    """To three significant digits, or whole."""
    return abs(float(text.replace(",", "")) - value) <= max(0.0051 * value, 0.5 if value >= 1000 else 0.0)


def _check_unknown(text: str, places: Sequence[Sequence[Row]], compiles: bool) -> None:
    """Of places where nothing that competes has a latency."""
    rows = [row for place in places for row in place]
    assert not _known(_competitors(rows, compiles))
    is_of_compiled = text.lower().startswith("no latency of a compiled cell")
    assert is_of_compiled == bool(_known(rows))
    _check_counts(text, _competitors(rows, compiles) if is_of_compiled else rows)


def _check_counts(text: str, rows: Sequence[Row]) -> None:
    counts = Counter(row["status"] for row in rows)
    told = {
        status: int(count)
        for count, status in re.findall(r"(\d+) (?:cells? )?(done|tainted|failed|skipped|pending)", text)
    }
    assert told == {status: count for status, count in counts.items() if count}, (text, counts)


# -- one place ----------------------------------------------------------------------------------------------------


class _Place:
    def __init__(self, rows: Sequence[Row], compiles: bool) -> None:
        self.rows, self.own = list(rows), _competitors(rows, compiles)
        self.left = ""

    def check(self, text: str) -> None:
        """Whether each word and number of a sentence on this place holds."""
        self.left = text
        shipped, leader = _shipped(self.rows, self.own), _leader(self.own)
        assert leader is not None
        scope = self.rows
        if found := self.take(
            rf"ship ([\w ]+) here: it (?:{_FASTEST} (?:at|and takes, disturbed as it was,)|takes, disturbed as it was,)"
            rf" (at most )?{_NUMBER} ms; "
        ):
            assert shipped is not None
            assert found[1] == _configuration(shipped)
            assert bool(found[2]) != bool(found[3]) or shipped.get("final")
            if found[2]:
                self.is_fastest(found[2], shipped, self.rows)
            self.is_known(found[3], found[4], shipped)
            assert _faster(shipped, leader)
            assert self.take("^of what is compiled, ")
            scope = self.own
        else:
            assert shipped is None
        name = re.escape(_configuration(leader))
        if found := self.take(rf"^{name} {_FASTEST} at {_NUMBER} ms"):
            self.is_fastest(found[1], leader, scope)
            self.is_known(None, found[2], leader)
        elif found := self.take(rf"^{name} {_FASTEST} and takes, disturbed as it was, (at most ){_NUMBER} ms"):
            assert leader.get("final")
            self.is_fastest(found[1], leader, scope)
            self.is_known(found[2], found[3], leader)
        else:
            self.disturbed(leader, name)
        if found := self.take(r", (\d+) of (\d+) tasks? untuned"):
            tasks = leader["untuned_tasks"] + leader["tuned_tasks"]
            assert [int(text) for text in found.groups()] == [leader["untuned_tasks"], tasks]
        if found := self.take(rf", (\d+) other cells? cannot be told apart from it{_COMMAND}"):
            ties = [r for r in self.own if r is not leader and _told(r, leader) and _may_be_as_fast(r, leader)]
            assert int(found[1]) == sum(row["runtime"] == leader["runtime"] for row in ties) > 0
        opened = _opened(self.rows, leader)
        found = self.take(r"; open: (.*)$")
        assert bool(found) == bool(opened), (text, opened)
        if found:
            _check_counts(re.sub(_COMMAND, "", found[1]), opened)
            assert found[1].count("`") == 2 * found[1].count("may be faster")
        self.compared(leader)
        assert self.left == "", f"not understood in {text!r}: {self.left!r}"

    def disturbed(self, leader: Row, name: str) -> None:
        """The claim on a leader of which only the upper end is known."""
        assert _kind(leader) == "upper"
        assert not leader.get("final")
        found = self.take(rf"^{name} takes (at most ){_NUMBER} ms, disturbed as it was")
        assert found, self.left
        self.is_known(found[1], found[2], leader)
        exact = [row for row in self.own if _kind(row) == "exact"]
        found = self.take(rf"^, at least {_NUMBER}x faster than ([^,]*), which {_FASTEST} at {_NUMBER} ms")
        assert bool(found) == bool(exact)
        if not found:
            return
        beaten = next(row for row in exact if _configuration(row) == found[2])
        assert float(found[1].replace(",", "")) <= _least(beaten) / _most(leader) * (1 + _SLIGHTLY)
        self.is_fastest(found[3], beaten, self.own)
        self.is_known(None, found[4], beaten)
        others = [r for r in self.own if r is not leader and _kind(r) == "upper" and _most(r) < _least(beaten)]
        found = self.take(r"^ \((\d+) other tainted cells? beats? that as well\)")
        assert (int(found[1]) if found else 0) == len(others)

    def compared(self, leader: Row) -> None:
        """What is left: how the leader stands to untuned and to other runtimes."""
        others = {TITLES[runtime]: _leader([r for r in self.rows if r["runtime"] == runtime]) for runtime in TITLES}
        others["untuned"] = next(
            (r for r in self.own if r["tuner"] == "none" and r["opt_level"] == leader["opt_level"] and _kind(r)), None
        )
        names = "|".join(others)

        def other(name: str) -> Row:
            row = others[name]
            assert row is not None
            return row

        held = leader.get("final_held") or "in turns"
        for pattern, holds in _in_final(names, held).items():
            while found := self.take(pattern):
                name, number = sorted((text for text in found.groups() if text), key=lambda text: text not in others)
                duel = _duel(leader, other(name))
                assert duel is not None
                assert holds(float(number), *duel), (found[0], leader, others)
        while found := self.take(rf", (not to be told apart from|as fast as) ({names}) {held}"):
            duel = _duel(leader, other(found[2]))
            assert duel is not None
            assert duel[1] <= 1 <= duel[2] if found[1].startswith("not") else _close("1.0", duel[0])
        low, high = _least(leader), _most(leader)
        more, less = 1 + _SLIGHTLY, 1 - _SLIGHTLY
        checks: dict[str, Callable[[float, Row], bool]] = {
            rf", at least {_NUMBER}x faster than ({names})": lambda x, r: x <= _least(r) / high * more,
            rf", still at least {_NUMBER}x slower than ({names})": lambda x, r: x <= low / _most(r) * more,
            rf", taking at most {_NUMBER}x the time of ({names})": lambda x, r: x >= high / _least(r) * less,
            rf", open against ({names}), which takes at most {_NUMBER} ms": lambda x, r: x >= _most(r) * less,
            rf", {_NUMBER}x faster than ({names})": lambda x, r: high < _least(r) and _ratio(x, r, leader),
            rf", still {_NUMBER}x slower than ({names})": lambda x, r: (
                _most(r) < _least(leader) and _ratio(x, leader, r)
            ),
        }
        for pattern, holds in checks.items():
            while found := self.take(pattern):
                name, number = sorted(found.groups(), key=lambda text: text not in others)
                assert _duel(leader, other(name)) is None
                assert holds(float(number.replace(",", "")), other(name)), (found[0], leader, others)
        while found := self.take(rf", not to be told apart from ({names})"):
            row = other(found[1])
            assert _kind(row) == _kind(leader) == "exact"
            assert _least(row) <= _most(leader)
            assert _least(leader) <= _most(row)
        while found := self.take(rf", as fast as ({names})"):
            assert _ratio(1.0, leader, other(found[1]))
        while found := self.take(rf", open against ({names}), which was disturbed as well"):
            assert _kind(other(found[1])) == _kind(leader) == "upper"

    def is_fastest(self, words: str, row: Row, scope: Sequence[Row]) -> None:
        """Whether nothing true can make the claim false: the row at its slowest, each other at its fastest."""
        claim = re.fullmatch(r"is (among the )?fastest( of those (?:measured|compared))?( undisturbed)?", words)
        assert claim, words
        assert not claim[2] or claim[2].endswith("compared") == bool(row.get("final"))
        others = [other for other in scope if other is not row]
        if claim[2]:
            assert any(not _told(other, row) for other in others)
            others = [other for other in others if _told(other, row)]
        if claim[1]:
            assert any(_may_be_as_fast(other, row) for other in others)
            assert not any(_faster(other, row) for other in others)
            assert all(_told(other, row) for other in others)
        else:
            assert all(_faster(row, other) for other in others), (words, row, others)

    def is_known(self, at_most: str | None, number: str, row: Row) -> None:
        if at_most:
            assert _kind(row) == "upper"
            assert _most(row) * (1 - _SLIGHTLY) <= float(number.replace(",", "")) <= 1.011 * _most(row) + 1
        else:
            assert _kind(row) == "exact"
            assert _close(number, row["latency_ms_median"])

    def take(self, pattern: str) -> re.Match[str] | None:
        """What it matches is understood, and taken away."""
        found = re.search(pattern, self.left)
        if found:
            self.left = self.left[: found.start()] + self.left[found.end() :]
        return found


def _opened(rows: Sequence[Row], leader: Row) -> list[Row]:
    """Those that may yet be faster; the leader itself where no final has named it and something disturbed it."""
    others = [row for row in rows if row is not leader and not _told(row, leader)]
    return others if _kind(leader) == "exact" or leader.get("final") else [leader, *others]


def _in_final(names: str, held: str) -> dict[str, Callable[[float, float, float, float], bool]]:
    return {
        rf", {_NUMBER}x faster than ({names}) {held}": lambda x, r, _, high: high < 1 and _close(str(x), 1 / r),
        rf", still {_NUMBER}x slower than ({names}) {held}": lambda x, r, low, _: low > 1 and _close(str(x), r),
    }


def _ratio(value: float, above: Row, below: Row) -> bool:
    return _close(str(value), above["latency_ms_median"] / below["latency_ms_median"])


def _known_ratio(row: Row, other: Row) -> float | None:
    """None where it is not known."""
    duel = _duel(row, other)
    if duel is not None:
        return duel[0]
    both = _kind(row) == _kind(other) == "exact"
    return row["latency_ms_median"] / other["latency_ms_median"] if both else None


# -- many places --------------------------------------------------------------------------------------------------


class _OverAll:
    def __init__(self, places: Sequence[list[Row]], compiles: bool) -> None:
        self.own = [(place, _competitors(place, compiles)) for place in places]
        self.own = [(place, own) for place, own in self.own if _known(own)]
        self.leaders = [leader for _, own in self.own if (leader := _leader(own)) is not None]

    def check(self, sentence: str) -> None:
        head, _, opened = sentence.partition(". Open in ")
        self.open(opened)
        found = re.match(r"Over (\d+) models? on (\d+) devices?, ", head)
        assert found, sentence
        assert int(found[1]) == len({row["model"] for row in self.leaders})
        assert int(found[2]) == len({row["device"] for row in self.leaders})
        rivals = set()
        for clause in head[found.end() :].rstrip(".").split("; "):
            rivals.add(self.clause(clause))
        for runtime, title in TITLES.items():
            pairs = self.pairs(runtime)
            if pairs and runtime == "onnxruntime" and self.leaders[0]["runtime"] != runtime:
                assert title in rivals, sentence

    def open(self, text: str) -> None:
        opened = [_opened(place, row) for (place, _), row in zip(self.own, self.leaders, strict=True)]
        assert bool(text) == any(opened)
        if text:
            found = re.match(r"(\d+) of (\d+): (.*)\.$", text)
            assert found, text
            assert (int(found[1]), int(found[2])) == (sum(map(bool, opened)), len(self.own))
            _check_counts(re.sub(_COMMAND, "", found[3]), [row for rows in opened for row in rows])

    def clause(self, text: str) -> str:
        """Checks one; the title of the runtime that it is about."""
        count = len(self.leaders)
        shipped = [_shipped(place, own) for place, own in self.own]
        if found := re.fullmatch(r"ship ([\w ]+) in (\d+) of (\d+)", text):
            names = [_configuration(row) for row in shipped if row is not None]
            assert (names.count(found[1]), count) == (int(found[2]), int(found[3]))
            return ""
        if found := re.fullmatch(_COMMONEST, text):
            self.commonest(found)
            return ""
        if found := re.fullmatch(r"(?:the|(\d+) of the (\d+)) best tuned cells run (.*) as fast as untuned", text):
            self.tuned(found)
            return ""
        if text in ("no tuner beats untuned", "no tuned cell has the best known time"):
            assert not any(row["tuner"] in ("random", "xgb") for row in self.leaders)
            if text == "no tuner beats untuned":
                for (_, own), row in zip(self.own, self.leaders, strict=True):
                    assert all(_faster(row, other) for other in own if other["tuner"] in ("random", "xgb"))
            return ""
        return self.rival(text)

    def commonest(self, found: re.Match[str]) -> None:
        shipped = any(_shipped(place, own) for place, own in self.own)
        assert bool(found[1]) == shipped
        chosen = [index for index, row in enumerate(self.leaders) if _configuration(row) == found[2]]
        assert (len(chosen), len(self.leaders)) == (int(found[4]), int(found[5]))
        certain = 0
        for index in chosen:
            row, (place, own) = self.leaders[index], self.own[index]
            others = [other for other in (own if shipped else place) if other is not row]
            is_known = _kind(row) == "exact" or bool(row.get("final"))
            certain += is_known and all(_faster(row, other) for other in others)
        assert certain == (int(found[6]) if found[6] is not None else len(chosen))
        assert (found[3] == "is fastest") == (certain == len(chosen))

    def tuned(self, found: re.Match[str]) -> None:
        tuned = [row for row in self.leaders if row["tuner"] in ("random", "xgb")]
        factors = []
        for row in tuned:
            place = next(place for place, _ in self.own if any(other is row for other in place))
            for other in place:
                is_untuned = other["tuner"] == "none" and other["opt_level"] == row["opt_level"]
                if is_untuned and (ratio := _known_ratio(other, row)) is not None:
                    factors.append(ratio)
        if found[1]:
            assert (int(found[1]), int(found[2])) == (len(factors), len(tuned))
        else:
            assert len(factors) == len(tuned)
        self.span(found[3], factors)

    def rival(self, text: str) -> str:
        stands = r"slower than it in (\d+) of (\d+)(?:, not to be told apart in (\d+))?(?:, open in (\d+))?"
        where = r"(?:in the (\d+) of (\d+) where that is known, )?"
        found = re.fullmatch(rf"{where}the best cells take (.*) the time of ([\w ]+) \({stands}\)", text)
        bare = re.fullmatch(rf"against ([\w ]+), the best cells are {stands}", text)
        assert found or bare, text
        title = found[4] if found else bare[1] if bare else ""
        pairs = self.pairs(next(runtime for runtime, name in TITLES.items() if name == title))
        exact = [(row, other) for row, other in pairs if _known_ratio(row, other) is not None]
        slower = sum(_faster(other, row) for row, other in pairs)
        faster = sum(_faster(row, other) for row, other in pairs)
        ties = sum(not _faster(o, r) and not _faster(r, o) for r, o in exact)
        told = [int(text or 0) for text in (found.groups()[4:] if found else bare.groups()[1:] if bare else ())]
        assert told == [slower, len(pairs), ties, len(pairs) - slower - faster - ties]
        if found:
            self.span(found[3], [ratio for r, o in exact if (ratio := _known_ratio(r, o)) is not None])
            assert [int(text) for text in found.groups()[:2] if text] in (
                [[]] if len(exact) == len(self.leaders) else [[len(exact), len(self.leaders)]]
            )
        else:
            assert not exact
        return title

    def pairs(self, runtime: str) -> list[tuple[Row, Row]]:
        """Each best cell with the leader of a runtime at its place, which is not its own."""
        found = []
        for (place, _), row in zip(self.own, self.leaders, strict=True):
            other = _leader([one for one in place if one["runtime"] == runtime])
            if other is not None and row["runtime"] != runtime:
                found.append((row, other))
        return found

    def span(self, text: str, values: Sequence[float]) -> None:
        least, _, most = text.replace("x", "").partition(" to ")
        assert _close(least, min(values))
        assert _close(most or least, max(values))
