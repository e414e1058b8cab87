"""The page of what became of each network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.packaged.listing import Packaged

__all__ = ["page_of", "totals"]

_HEAD = """# Real networks

Networks that lie inside packages of the index, each imported, built at opt level {level} and run by TVM, and compared
with its own runtime: LiteRT for TFLite; for ONNX, ONNX Runtime without optimisations, or as it ships where these two
differ, as on quantised networks; the check of `sweep` itself has to agree. Made by `make coverage`, which downloads the
packages that [packages.yaml](../tests/packaged/packages.yaml) lists; nothing of them is in this
repository. *Difference* is the greatest of an output, as a share of its largest value (at least 1). Up to 1e-3 is
equal, and one step of a quantised output; above that, what is *as near as to itself*: a network that rounds inside has
its own runtime's answer further from itself, once its inputs are off by their rounding (2e-7 of each). A network that
keeps state from call to call is compared over three calls. One with MediaPipe's transposed convolution, which LiteRT
lacks, is compared with LiteRT's own in its place. Where a file leaves sizes open, the list has those that it is tried
at. A file that several packages have stands once. Results are kept from run to run: not all rows need be of one commit.
"""


def totals(networks: Sequence[Packaged], tried: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """By format and in all: networks, packages, imported, built, equal."""
    told = {}
    for name, suffix in (("ONNX", ".onnx"), ("TFLite", ".tflite"), ("all", "")):
        chosen = [network for network in networks if network.path.endswith(suffix) and network.sha256 in tried]
        outcomes = [tried[network.sha256] for network in chosen]
        told[name] = {
            "networks": len(chosen),
            "packages": len({network.package for network in chosen}),
            **{key: sum(bool(each[f"is_{key}"]) for each in outcomes) for key in ("imported", "built", "equal")},
        }
    return told


def page_of(networks: Sequence[Packaged], tried: Mapping[str, Mapping[str, Any]], level: int) -> str:
    """Counts, then a row a network, then a line for each that is not equal."""
    lines = [_HEAD.format(level=level), "| format | networks | packages | imported | built | equal | share |"]
    lines.append("|---|---|---|---|---|---|---|")
    for name, count in totals(networks, tried).items():
        share = f"{count['equal'] / count['networks']:.0%}" if count["networks"] else "-"
        lines.append(f"| {name} | {' | '.join(map(str, count.values()))} | {share} |")
    lines += ["", _when([tried[network.sha256] for network in networks if network.sha256 in tried])]
    lines += ["", "| package | network | parameters | MACs | imported | built | equal | difference |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    failures = []
    for network in networks:
        if (found := tried.get(network.sha256)) is None:
            continue
        marks = ["yes" if found[f"is_{key}"] else "no" for key in ("imported", "built", "equal")]
        if (own := found.get("own_difference")) is not None:
            marks[-1] = f"as near as to itself ({own:.1e})"
        apart = "-" if found["difference"] is None else f"{found['difference']:.1e}"
        counts = (_large(found.get(key)) for key in ("parameters", "macs"))
        where = f"{network.package} {network.version}"
        lines.append(f"| {where} | {network.path} | {' | '.join(counts)} | {' | '.join(marks)} | {apart} |")
        if found["why"]:
            failures.append(f"- {network.package}: `{network.path}`: {_plain(found['why'])}")
    if failures:
        lines += ["", "## Not equal", "", *failures]
    return "\n".join(lines) + "\n"


def _when(outcomes: Sequence[Mapping[str, Any]]) -> str:
    """How many of the equal ones are as near as to themselves, and when networks were tried."""
    near = sum(bool(each["is_equal"]) and each.get("own_difference") is not None for each in outcomes)
    days = Counter(each.get("tried", "before") for each in outcomes)
    told = ", ".join(
        f"{count} on {day}" if day != "before" else f"{count} before" for day, count in sorted(days.items())
    )
    return f"Of the equal ones {near} are as near as to themselves. Tried: {told}."


def _large(number: int | None) -> str:
    if number is None:
        return "-"
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("`", "'")
