"""Many networks, tuned by one `sweep run` in a time budget, in turns with every other runtime that is installed.

The times are those of the finals of the sweep: our fastest cell and the other runtimes are loaded together, and take
turns in slots of 20 ms, forth and back. A ratio is of each round, and its interval holds however often one looks.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.results import conditions, print_table, save
from benchmarks.tuning.ours import start_sweep, write_study
from benchmarks.tuning.timeline import read_lines
from benchmarks.tuning.zoo_layers import lost_layers
from sweep.analysis.final_place import places_of
from sweep.errors import StudyError, SweepError, end_of_process, in_one_line
from sweep.planning.results.final_result import FinalResult
from sweep.study.gate import load_study

__all__ = ["CLASSIC", "MODERN", "bench_zoo", "ratios_of", "sources_of", "status_of"]

CLASSIC = (
    "bvlc_alexnet",
    "densenet121",
    "inception_v1",
    "inception_v2",
    "resnet50",
    "shufflenet",
    "squeezenet",
    "vgg19",
    "zfnet512",
)
"""Of the onnx package, with seeded weights."""
MODERN = (
    "torchvision:resnet18",
    "torchvision:mobilenet_v2",
    "torchvision:mobilenet_v3_small",
    "torchvision:efficientnet_b0",
    "torchvision:shufflenet_v2_x1_0",
    "torchvision:convnext_tiny",
    "torchvision:vit_b_16",
    "benchmarks.tuning.encoder:encoder",
)
"""Of today: depthwise convolutions and transformers."""
_SETS = {"classic": CLASSIC, "modern": MODERN, "all": (*CLASSIC, *MODERN)}
_RIVALS = ("onnxruntime", "openvino")
_OURS = "tvm"
_BESIDE_TUNING_MINUTES = 60.0
"""Imports, builds and measurements, before a run that hangs is ended."""
_HAS_RESULTS = (0, 1, None)
"""How a run ends that may have some: well, with cells that failed, or when its time was over."""


def sources_of(names: Sequence[str]) -> list[str]:
    """The models of a study: sets by name (`classic`, `modern`, `all`), networks of the onnx package, or sources.

    Raises StudyError for what is none of them. What is after a prefix, the study tells.
    """
    for name in names:
        if name not in _SETS and name not in CLASSIC and ":" not in name:
            allowed = f"{', '.join((*_SETS, *CLASSIC))}, or a source such as {MODERN[0]}"
            raise StudyError("no set and no network is called so", key="--models", value=name, allowed=allowed)
    wanted = [one for name in names for one in _SETS.get(name, (name,))]
    return list(dict.fromkeys(name if ":" in name else f"onnx-light:{name}" for name in wanted))


def bench_zoo(folder: Path, minutes: float, models: Sequence[str], options: Mapping[str, Any]) -> None:
    """Run the study in `folder` (or go on with it), and print what came of it.

    minutes: of tuning, all models together. Raises StudyError for a model that there is not, and SweepError where the
    run has no results.
    """
    sources = sources_of(models)
    rivals = [name for name in _RIVALS if importlib.util.find_spec(name) is not None]
    before = conditions(minutes=minutes, models=sources, rivals=rivals, threads=1, options=dict(options))
    # The models are tuned as one pool, and the tuner's time limit is the pool's
    study = write_study(folder, sources, {"hours": minutes / 60.0, **options}, reference=rivals, final={"best": 1})
    load_study(study)
    print(f"sweep run of {len(sources)} models, {minutes:g} minutes of tuning; see {folder / 'output.txt'}", flush=True)
    with start_sweep(study, folder) as child:
        code = child.wait(60.0 * (minutes + _BESIDE_TUNING_MINUTES))
    if code not in _HAS_RESULTS or not (folder / "sweep" / "results.parquet").is_file():
        ended = "took too long" if code is None else f"ended with {end_of_process(code)}"
        raise SweepError(f"sweep run {ended}: {_last_line(child.output)}; see {child.output}")
    rows = _read(folder / "sweep")
    means = _means(rows, rivals)
    behind = [row["model"] for row in rows if _worst(row, rivals) > 1.0]
    layers = [layer for model in behind for layer in lost_layers(folder / "sweep", model)]
    save(folder, "zoo", {"conditions": before, "models": rows, "geometric_means": means, "layers": layers})
    _print(rows, rivals, means, layers)


def _last_line(output: Path) -> str:
    lines = [line for line in output.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return in_one_line(lines[-1]) if lines else "it said nothing"


def ratios_of(final: FinalResult, runtimes: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Of each other runtime in a final: `ratio`, our time over its own, `low` and `high`, and the `rounds` it took.

    runtimes: by cell. Empty where there were too few rounds.
    """
    if not any(one.is_compiled for one in final.timed):
        return {}
    places = places_of("", final)
    return {
        runtimes[one.cell]: {
            "ratio": 1.0 / place.ratio,
            "low": 1.0 / place.ci_high,
            "high": 1.0 / place.ci_low,
            "rounds": place.rounds,
        }
        for one in final.timed
        if one.cell in runtimes and not one.is_compiled and (place := places.get(one.cell)) is not None
    }


def _read(sweep_dir: Path) -> list[dict[str, Any]]:
    """A row a model, from results.parquet and the finals of the ledger."""
    import pandas

    table = pandas.read_parquet(sweep_dir / "results.parquet")
    runtimes = dict(zip(table.cell_id, table.runtime, strict=True))
    models = dict(zip(table.cell_id, table.model, strict=True))
    finals: dict[str, FinalResult] = {}
    for line in read_lines(sweep_dir / "ledger.jsonl"):
        if line["event"] == "stage_done" and line["kind"] == "final":
            final = FinalResult.from_json(line["result"])
            finals |= {models[one.cell]: final for one in final.contenders if one.cell in models}
    rows = []
    for model, cells in table.groupby("model", sort=False):
        first = {row.runtime: row for row in cells.itertuples()}
        ours = first.get(_OURS)
        rows.append(
            {
                "model": str(model),
                "ms": {name: _number(row.latency_ms_median) for name, row in first.items()},
                "in_turns": ratios_of(finals[str(model)], runtimes) if str(model) in finals else {},
                "trials": None if ours is None else _number(ours.tuning_valid),
                "status": {name: status_of(str(row.status), row.error_class) for name, row in first.items()},
            }
        )
    return rows


def status_of(status: str, error_class: Any) -> str:
    """Of a cell, with the class of its error where it has one: a table has NaN in its place."""
    return f"{status}: {error_class}" if isinstance(error_class, str) and error_class else status


def _number(value: Any) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def _ratio(row: Mapping[str, Any], rival: str) -> float | None:
    """In turns; of first measurements where a runtime was too slow to take part."""
    turns = row["in_turns"].get(rival)
    if turns is not None:
        return float(turns["ratio"])
    ours, theirs = row["ms"].get(_OURS), row["ms"].get(rival)
    return ours / theirs if ours and theirs else None


def _worst(row: Mapping[str, Any], rivals: Sequence[str]) -> float:
    return max((ratio for rival in rivals if (ratio := _ratio(row, rival)) is not None), default=0.0)


def _means(rows: Sequence[Mapping[str, Any]], rivals: Sequence[str]) -> dict[str, dict[str, float | int]]:
    """Geometric mean, largest and count of the ratios to each runtime, and to the fastest for each network."""
    found = {}
    for name in (*rivals, "fastest"):
        every = [_worst(row, rivals) if name == "fastest" else _ratio(row, name) or 0.0 for row in rows]
        ratios = [ratio for ratio in every if ratio > 0.0]
        if ratios:
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            found[name] = {"mean": mean, "largest": max(ratios), "networks": len(ratios)}
    return found


def _print(
    rows: Sequence[Mapping[str, Any]],
    rivals: Sequence[str],
    means: Mapping[str, Mapping[str, Any]],
    layers: Sequence[Mapping[str, Any]],
) -> None:
    header = ["model", "sweep ms"]
    header += [title for rival in rivals for title in (f"{rival} ms", f"sweep / {rival} (99 %)")]
    print_table(
        "zoo: one thread on one core; ratios of rounds in turns, below 1 sweep is faster (~: of first measurements)",
        [*header, "valid trials", "status"],
        [
            [
                row["model"],
                row["ms"].get(_OURS),
                *(shown for rival in rivals for shown in (row["ms"].get(rival), _shown(row, rival))),
                row["trials"],
                ", ".join(dict.fromkeys(row["status"].values())),
            ]
            for row in rows
        ],
    )
    for name, mean in means.items():
        of = f"over {name}: geometric mean of {mean['networks']} ratios"
        print(f"{of} {mean['mean']:.3f}, largest {mean['largest']:.3f}")
    if layers:
        title = "where the networks that are behind lose most: against the best that any layer attains on this core"
        columns = ["model", "task", "weight", "total_ms", "share", "gflops", "lost_ms", "trials"]
        print_table(title, columns, [[layer[column] for column in columns] for layer in layers])


def _shown(row: Mapping[str, Any], rival: str) -> str | None:
    turns = row["in_turns"].get(rival)
    if turns is not None:
        return f"{turns['ratio']:.3f} ({turns['low']:.3f}..{turns['high']:.3f}), {turns['rounds']} rounds"
    ratio = _ratio(row, rival)
    return None if ratio is None else f"~{ratio:.2f}"
