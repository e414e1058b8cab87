"""Runs the onnx package's tests, and counts."""

from __future__ import annotations

import argparse
import fnmatch
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sweep.toolchain.compile_workers.compile_pool import CompilePool
from tests.onnx_backend import __doc__ as about
from tests.onnx_backend.cases_of_onnx import INPUTS, SETS, BackendTest, cases_of
from tests.onnx_backend.trial import VERDICTS, Finding, find

_MEMORY_BYTES = 4 << 30


def main(arguments: Sequence[str]) -> int:
    """Print what is not right, and counts; 1 where a test is wrong, unclear or crashed."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="patterns of names; all by default")
    parser.add_argument("--set", choices=SETS, default="node")
    parser.add_argument("--inputs", choices=INPUTS, default="shapes")
    parser.add_argument("--levels", default="0")
    parser.add_argument("--every", type=int, default=1, help="each N-th test alone")
    parser.add_argument(
        "--part", type=_part, default=(1, 1), metavar="I/N", help="the I-th of N parts, for a whole set in pieces"
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--say", choices=("bad", "refused", "all"), default="bad", help="which tests to print a line of"
    )
    chosen = parser.parse_args(arguments)
    levels = [int(level) for level in chosen.levels.split(",")]
    patterns = chosen.names or ["*"]
    tests = [test for test in cases_of(chosen.set) if any(fnmatch.fnmatch(test.name, one) for one in patterns)]
    number, parts = chosen.part
    tests = tests[:: chosen.every][number - 1 :: parts]
    said = {"bad": VERDICTS[1:2] + VERDICTS[3:], "refused": VERDICTS[1:], "all": VERDICTS}[chosen.say]
    began = time.monotonic()
    findings = []
    with tempfile.TemporaryDirectory() as scratch, CompilePool(chosen.jobs, memory_limit_bytes=_MEMORY_BYTES) as pool:

        def tried(test: BackendTest) -> Finding:
            return find(pool, test, levels, Path(scratch) / test.name, chosen.inputs)

        with ThreadPoolExecutor(chosen.jobs) as threads:
            for finding in threads.map(tried, tests):
                findings.append(finding)
                if finding.verdict in said:
                    print(f"{finding.verdict:<8} {finding.test.name:<56} {finding.words}", flush=True)
    print("\n".join(summary(findings, chosen.set, time.monotonic() - began)))
    counts = Counter(finding.verdict for finding in findings)
    return int(counts["wrong"] + counts["unclear"] + counts["crashed"] > 0)


def summary(findings: Sequence[Finding], kind: str, seconds: float) -> Iterator[str]:
    """Refusals by reason and by operator, then counts."""
    refused = [finding for finding in findings if finding.verdict in ("refused", "unclear")]
    reasons: dict[str, list[Finding]] = {}
    operators = Counter(finding.test.operators[0] for finding in refused if finding.test.operators)
    for finding in refused:
        reasons.setdefault(_reason(finding.words), []).append(finding)
    if refused:
        yield "\nRefused, by reason:"
    for reason, ones in sorted(reasons.items(), key=lambda pair: -len(pair[1])):
        yield f"  {len(ones):>4}  {reason[:150]}  ({ones[0].test.name})"
    if refused:
        yield "\nRefused, by the first operator: " + ", ".join(
            f"{name} {count}" for name, count in operators.most_common()
        )
    yield ""
    yield _counts(f"{kind}, all", findings, seconds)
    fixed = [finding for finding in findings if finding.test.has_fixed_shapes]
    yield _counts(f"{kind}, tensors of fixed shapes alone", fixed, seconds)


def _counts(title: str, findings: Sequence[Finding], seconds: float) -> str:
    counts = Counter(finding.verdict for finding in findings)
    parts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS)
    share = 100 * counts["right"] / max(1, len(findings))
    return f"{title}: {len(findings)} tests in {seconds:.0f} s: {parts}; {share:.1f} % right"


def _part(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    number, parts = map(int, found.groups()) if found else (0, 0)
    if not 1 <= number <= parts:
        raise argparse.ArgumentTypeError(f"{text!r} is no part: I/N is wanted, such as 2/8")
    return number, parts


def _reason(words: str) -> str:
    """Without names, numbers and nodes, so that equal ones count together."""
    text = re.sub(r"\(node [^)]*\)", "", words)
    text = re.sub(r"^(\S+) is of", "... is of", text)
    text = re.sub(r"(input|output) '?[\w.:]+'?", r"\1 ...", text)
    return re.sub(r"\d+", "N", text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
