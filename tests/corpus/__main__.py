from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import onnx

from sweep.toolchain.compile_workers.compile_pool import CompilePool
from tests.corpus import __doc__ as about
from tests.corpus.every import NETWORKS
from tests.corpus.trial import Outcome, try_network


def main(arguments: Sequence[str]) -> int:
    """Print a line for each network; 1 where one is wrong at a level."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="networks, files or folders; all networks by default")
    parser.add_argument("--levels", default="0,1,2,3,4")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--jobs", type=int, default=2)
    chosen = parser.parse_args(arguments)
    levels = [int(level) for level in chosen.levels.split(",")]
    with tempfile.TemporaryDirectory() as scratch, CompilePool(slots=chosen.jobs) as pool:
        files = dict(_files(chosen.names or list(NETWORKS), Path(scratch)))

        def outcome(name: str) -> tuple[str, Outcome]:
            asked = _asked(files[name])
            return name, try_network(
                pool,
                files[name],
                levels,
                Path(scratch) / name,
                chosen.precision,
                inputs=asked.get("inputs"),
                batch=asked.get("batch"),
            )

        with ThreadPoolExecutor(chosen.jobs) as threads:
            outcomes = dict(threads.map(outcome, files))
            for name, found in outcomes.items():
                print(f"{name:<36} {_said(found)}", flush=True)
    refused = sum(found.refused is not None for found in outcomes.values())
    wrong = sum(bool(found.wrong) for found in outcomes.values())
    unknown = sum(found.unknown is not None and not found.wrong for found in outcomes.values())
    right = len(outcomes) - refused - wrong - unknown
    print(
        f"{len(outcomes)} networks: {right} right, {refused} refused, {wrong} wrong, {unknown} that nothing else runs"
    )
    return int(wrong > 0)


def _files(names: Sequence[str], scratch: Path) -> Iterator[tuple[str, Path]]:
    for name in names:
        if name in NETWORKS:
            path = scratch / f"{name}.onnx"
            onnx.save(NETWORKS[name](), str(path))
            yield name, path
            continue
        found = sorted(Path(name).glob("*.onnx")) if Path(name).is_dir() else [Path(name)]
        yield from ((path.stem, path) for path in found)


def _asked(path: Path) -> dict[str, Any]:
    """Inputs and batch of a file, by the `cases.json` of its folder, where there is one."""
    cases = path.with_name("cases.json")
    entry = json.loads(cases.read_text()).get(path.stem, {}) if cases.is_file() else {}
    return dict(entry)


def _said(found: Outcome) -> str:
    if found.refused is not None:
        return f"refused: {found.refused}"
    parts = [f"O{level} WRONG: {why}" for level, why in found.wrong.items()]
    if found.unknown is not None:
        parts.append(f"nothing else runs it: {found.unknown}")
    parts += [f"O{level} without {', '.join(passes)}" for level, passes in found.left_out.items()]
    return "; ".join(parts) or "right"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
