"""A comparison of two sweeps for people and for other tools: terminal table, Markdown, JUnit XML. Knows no files."""

from __future__ import annotations

from xml.etree import ElementTree

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweep.analysis.comparing.fail_rule import RuleAnswer
from sweep.analysis.comparing.shared_cells import SharedCell, SweepComparison
from sweep.analysis.formatting import as_percent, plural, significant
from sweep.analysis.rows.bounds import Reading
from sweep.analysis.statistics import VERDICT_LEVEL, Verdict
from sweep.plain_text import as_markdown as plain
from sweep.plain_text import visible

__all__ = ["as_junit", "as_markdown", "closing_lines", "render_comparison"]

_TITLES = ("cell", "baseline ms", "new ms", "new / baseline", "interval", "verdict")
_STYLES = {Verdict.SLOWER: "red", Verdict.FASTER: "green", Verdict.AMBIGUOUS: "yellow", Verdict.SAME: ""}
_ORDER = (Verdict.SLOWER, Verdict.AMBIGUOUS, Verdict.FASTER, Verdict.SAME)
_NOTES_SHOWN = 8


def render_comparison(found: SweepComparison, console: Console) -> None:
    """Print a table of the shared cells, what is worth knowing of them, and what it comes to."""
    table = Table(box=None, pad_edge=False, show_edge=False)
    for index, title in enumerate(_TITLES):
        table.add_column(title, justify="left" if index in (0, 5) else "right", overflow="fold")
    for cell in _ordered(found):
        *values, verdict = _line(found, cell)
        table.add_row(*values, Text(verdict, style=_STYLES[cell.verdict]))
    if found.cells:
        console.print(table)
        console.print()
    for line in [*_note_lines(found), *closing_lines(found)]:
        console.print(Text(line))


def as_markdown(found: SweepComparison) -> str:
    """For a comment on a pull request."""
    lines = [f"**{plain(line)}**" if index == 0 else plain(line) for index, line in enumerate(closing_lines(found))]
    text = "\n\n".join(lines) + "\n"
    if found.cells:
        rule = ["---", "---:", "---:", "---:", "---:", "---"]
        rows = [_TITLES, rule, *(_escaped(_line(found, cell)) for cell in _ordered(found))]
        text += "\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"
    notes = [f"- {plain(line)}" for line in _note_lines(found)]
    return text + ("\n" + "\n".join(notes) + "\n" if notes else "")


def as_junit(found: SweepComparison) -> str:
    """A test case for each shared cell: failed where it breaks the rule, an error where a rule cannot be answered."""
    failures = errors = skipped = 0
    suite = ElementTree.Element("testsuite", name=_xml(f"sweep compare {found.baseline} {found.new}"))
    for cell in found.cells:
        case = ElementTree.SubElement(
            suite, "testcase", classname=_xml(str(cell.new.get("study") or "sweep")), name=_xml(cell.name), time="0"
        )
        answer, said = found.answer(cell), _xml(_sentence(cell))
        if answer is RuleAnswer.BROKEN:
            failures += 1
            part = ElementTree.SubElement(case, "failure", message=said, type=str(cell.verdict))
        elif answer is RuleAnswer.OPEN and found.rule is not None:
            errors += 1
            part = ElementTree.SubElement(case, "error", message=said, type=str(cell.verdict))
        elif answer is RuleAnswer.OPEN:
            skipped += 1
            ElementTree.SubElement(case, "skipped", message=said)
            continue
        else:
            part = ElementTree.SubElement(case, "system-out")
        part.text = _xml("\n".join([_sentence(cell), *cell.notes]))
    if not found.cells and found.rule is not None:
        errors = 1
        case = ElementTree.SubElement(suite, "testcase", classname="sweep", name="shared cells", time="0")
        ElementTree.SubElement(case, "error", message="the two sweeps share no cell", type="AMBIGUOUS")
    suite.attrib |= {
        "tests": str(len(suite)),
        "failures": str(failures),
        "errors": str(errors),
        "skipped": str(skipped),
        "time": "0",
    }
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def closing_lines(found: SweepComparison) -> list[str]:
    """What it comes to, and how sure the intervals are."""
    lines = [_outcome(found)]
    counts = ", ".join(f"{count} {verdict}" for verdict, count in found.counts.items() if count)
    alone = [
        f"{plural(len(names), 'cell')} only in {side}"
        for names, side in ((found.baseline_alone, "the baseline"), (found.new_alone, "the new sweep"))
        if names
    ]
    lines.append(f"{plural(len(found.cells), 'shared cell')}: {'; '.join([counts or 'nothing to compare', *alone])}")
    if found.cells:
        lines.append(
            "ratios are new over baseline, above 1 is slower; all intervals hold together with "
            f"{as_percent(VERDICT_LEVEL)} (Bonferroni: {significant(100 * found.level, 5)} % each)"
        )
    if found.machine is not None and not any(cell.is_of_pairs for cell in found.cells):
        least, largest = found.machine
        lines.append(
            f"cells whose code is the same took {least:.3f} to {largest:.3f} times as long, which is the machine's "
            "doing, and the other intervals allow for it"
        )
    return lines


def _outcome(found: SweepComparison) -> str:
    if found.rule is None:
        return f"{found.verdict}: {found.new} beside {found.baseline}"
    text = found.rule.text
    broken = [cell.name for cell in found.cells if found.answer(cell) is RuleAnswer.BROKEN]
    if broken:
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        return f"FAILED: {text}: {broken[0]}{more}"
    still_open = sum(found.answer(cell) is RuleAnswer.OPEN for cell in found.cells)
    if not found.cells:
        return f"CANNOT BE TOLD: {text}: the two sweeps share no cell"
    if still_open:
        step = (
            "more `--max-minutes`, or a calmer machine" if found.in_turns else "`--measure-more` measures both in turns"
        )
        return f"CANNOT BE TOLD: {text}: open for {still_open} of {plural(len(found.cells), 'cell')}; {step}"
    return f"PASSED: {text} of no cell"


def _note_lines(found: SweepComparison) -> list[str]:
    """Notes of the cells, each once, with the first cell that it holds for."""
    cells: dict[str, list[str]] = {}
    for cell in _ordered(found):
        for note in cell.notes:
            cells.setdefault(note, []).append(cell.name)
    lines = [
        f"note: {names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {note}"
        for note, names in cells.items()
    ]
    left = len(lines) - _NOTES_SHOWN
    return lines[:_NOTES_SHOWN] + ([f"note: and {plural(left, 'other')}; --json has all"] if left > 0 else [])


def _ordered(found: SweepComparison) -> list[SharedCell]:
    """What is worst comes first."""
    return sorted(found.cells, key=lambda cell: _ORDER.index(cell.verdict))


def _line(found: SweepComparison, cell: SharedCell) -> list[str]:
    ratio = cell.found.ratio
    value = "-" if ratio.value != ratio.value else significant(ratio.value)
    latencies = (Reading.of(row).as_ms for row in (cell.baseline, cell.new))
    return [cell.name, *latencies, value, _interval(cell), str(cell.verdict)]


def _interval(cell: SharedCell) -> str:
    low, high = cell.found.ratio.ci_low, cell.found.ratio.ci_high
    if low is None and high is None:
        return "-"
    if low is None:
        return f"<= {high:.3f}"
    return f">= {low:.3f}" if high is None else f"{low:.3f} to {high:.3f}"


def _sentence(cell: SharedCell) -> str:
    interval = _interval(cell)
    known = "" if interval == "-" else f", new / baseline {interval}"
    return f"{cell.verdict}: {cell.name}{known}"


def _escaped(values: list[str]) -> list[str]:
    return [plain(value, is_cell=True) for value in values]


def _xml(text: str) -> str:
    """Without what XML 1.0 cannot hold."""
    return "".join(letter for letter in visible(text) if letter not in "\ufffe\uffff")
