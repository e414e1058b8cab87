"""The page of operators that importers take: what `sweep inspect --coverage` says, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.inspection.operator_support import AS_IT_IS, EITHER, LACKS, REWRITTEN, OperatorTable

__all__ = ["operators_page"]

_HEAD = """# Operators that importers take

Made by `python tools/operators_page.py` from TVM's tables of converters and the rules of this package.
[inspecting](inspecting.md#which-operators-are-taken) says what the words mean; `sweep inspect --coverage` shows
the same for what is installed.

| importer | operators | converted | converted or rewritten | rewritten | lacks |
|---|---|---|---|---|---|
"""


def operators_page(tables: Sequence[OperatorTable]) -> str:
    """A table of counts, then each importer's operators by what it does with them."""
    lines = [_HEAD.rstrip()]
    for table in tables:
        counts = table.counts()
        figures = " | ".join(str(counts[way]) for way in (AS_IT_IS, EITHER, REWRITTEN, LACKS))
        lines.append(f"| {table.importer} | {len(table.known)} | {figures} |")
    for table in tables:
        lines += ["", f"## {table.importer}", ""]
        for way in (AS_IT_IS, EITHER, REWRITTEN, LACKS):
            names = [name for name in table.known if table.support(name) == way]
            if names:
                lines += [f"**{way}** ({len(names)}): {', '.join(f'`{name}`' for name in names)}", ""]
        for runtime, runs in table.runtimes.items():
            lacking = [name for name in table.known if name not in runs]
            if lacking:
                lines += [f"{runtime} lacks ({len(lacking)}): {', '.join(f'`{name}`' for name in lacking)}", ""]
        lines.pop()
    return "\n".join(lines) + "\n"
