"""`python -m benchmarks [NAME ...]`: the short ones, or the one that is named.

Each prints a table and saves JSON, with the conditions, under `bench-results` or in `--out`. Alone on a machine they
mean something; see the load that is saved with them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sweep.errors import StudyError, SweepError

EXAMPLES = """\
python -m benchmarks                                     the short ones: planner, 3 minutes of each tuner
python -m benchmarks planner --cells 1000000             time and memory of a plan
python -m benchmarks tuning --minutes 20                 throughput, latency and time, in rounds of 64 and 16
python -m benchmarks throughput --minutes 5 --rounds 16  candidates a minute against MetaSchedule as shipped
python -m benchmarks latency --points 3,10,20            whole models from the newest throughput runs
python -m benchmarks time --out DIR                      where the time of the runs in DIR went
python -m benchmarks zoo --minutes 120                   17 networks in turns with ONNX Runtime and OpenVINO
python -m benchmarks zoo --models modern --out DIR       eight of them; the same DIR goes on where it was
python -m benchmarks kernels --models softmax,MobileNetV2  layers in turns: now, before, ONNX Runtime; all by default
python -m benchmarks plan                                trials of the pooled plan against the naive loop
python -m benchmarks driver --cells 10000                what the driver costs above the work, beside Ray Tune
python -m benchmarks recording                           what MLflow costs a sweep of 1,000 cells; --store http
python -m benchmarks costs                               what one event, cell, run and call costs
python -m benchmarks replay                              what the planner spares of a measured sweep, 10 seeds
python -m benchmarks overlay                             the overlay's metric against a loop over rows
python -m benchmarks tuners                              tuners and Optuna's samplers at equal trials; --measured
python -m benchmarks comparison --minutes 60             how often equal cells are called different, and 5 % found

With make: make bench ARGS="tuning --minutes 20". An option of the tuner: --set population=64.
"""
SHORT_MINUTES = 3.0
LONG_MINUTES = 20.0
DRIVER_CELLS = 10_000
ZOO_MINUTES = 120.0
COMPARISON_MINUTES = 60.0
POINTS = (3.0, 10.0, 20.0)
ROUNDS, SHORT_ROUNDS = (64, 16), (16,)
RECORDING_CELLS = 1_000
OWN_FOLDERS = ("replay", "zoo", "overlay", "driver", "recording", "comparison", "costs", "tuners", "kernels")


def main(arguments: Sequence[str]) -> int:
    """Run what the command line asks for; the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        _check(asked)
        return _run(asked)
    except SweepError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, StudyError) else 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _check(asked: argparse.Namespace) -> None:
    """Before there is a folder. Raises StudyError."""
    if asked.name == "zoo":
        from benchmarks.tuning.zoo import sources_of

        sources_of(asked.models or ())


def _run(asked: argparse.Namespace) -> int:
    """Imports stand here: each benchmark loads what it needs alone."""
    from benchmarks.results import RESULTS, latest_folder, new_folder

    if asked.name in (None, "planner"):
        from benchmarks.planner import LARGEST, bench_planner

        bench_planner(asked.cells or LARGEST)
        if asked.name is not None:
            return 0
    if asked.name in ("latency", "time"):
        folder = latest_folder("tuning", asked.out)
        if folder is None or not (folder / "throughput.json").is_file():
            print(f"no runs in {folder or RESULTS}: run `throughput` or `tuning` first", file=sys.stderr)
            return 2
    elif asked.name == "plan":
        folder = new_folder("plan", asked.out or RESULTS / "plan")  # the same each time: lowerings are kept
    else:
        folder = new_folder(asked.name if asked.name in OWN_FOLDERS else "tuning", asked.out)
    print(f"results: {folder}", flush=True)
    options = dict(asked.set or [])
    if asked.name in ("zoo", "kernels"):
        _against_onnxruntime(asked, folder, options)
    elif asked.name == "plan":
        from benchmarks.tuning.pooled_plan import bench_plan

        bench_plan(folder)
    elif asked.name in ("costs", "driver", "recording", "replay"):
        _simulated(asked, folder)
    elif asked.name == "overlay":
        from benchmarks.overlay import bench_overlay

        bench_overlay(folder)
    elif asked.name == "tuners":
        from benchmarks.tuning.equal_trials import bench_tuners

        bench_tuners(folder, is_measured=asked.measured)
    elif asked.name == "comparison":
        from benchmarks.comparison import bench_comparison

        bench_comparison(folder, asked.minutes or COMPARISON_MINUTES)
    else:
        _tuning(asked, folder, options)
    return 0


def _against_onnxruntime(asked: argparse.Namespace, folder: Path, options: dict[str, Any]) -> None:
    if asked.name == "zoo":
        from benchmarks.tuning.zoo import bench_zoo

        bench_zoo(folder, asked.minutes or ZOO_MINUTES, asked.models or ("all",), options)
    else:
        from benchmarks.tuning.kernels import bench_kernels

        try:
            bench_kernels(folder, asked.models or ())
        except ValueError as error:
            raise SystemExit(str(error)) from error


def _simulated(asked: argparse.Namespace, folder: Path) -> None:
    if asked.name == "replay":
        from benchmarks.planner_replay import bench_planner_replay

        bench_planner_replay(folder)
    elif asked.name == "costs":
        from benchmarks.unit_costs import bench_costs

        bench_costs(folder)
    elif asked.name == "driver":
        from benchmarks.driver import bench_driver

        bench_driver(folder, asked.cells or DRIVER_CELLS, asked.tune_cells, asked.speed)
    else:
        from benchmarks.recording import SIZES, bench_recording

        pairs, seconds = SIZES[asked.store]
        bench_recording(
            folder, asked.cells or RECORDING_CELLS, asked.pairs or pairs, asked.seconds or seconds, asked.store
        )


def _tuning(asked: argparse.Namespace, folder: Path, options: dict[str, Any]) -> None:
    minutes = asked.minutes or (LONG_MINUTES if asked.name else SHORT_MINUTES)
    if asked.name in (None, "tuning", "throughput"):
        from benchmarks.tuning.throughput import bench_throughput

        rounds = asked.rounds or (ROUNDS if asked.name else SHORT_ROUNDS)
        bench_throughput(folder, asked.model, minutes, rounds, options)
    if asked.name in (None, "tuning", "time"):
        from benchmarks.tuning.spent import bench_time

        bench_time(folder)
    if asked.name in (None, "tuning", "latency"):
        from benchmarks.tuning.latency import bench_latency

        bench_latency(folder, asked.points or ((minutes,) if minutes <= POINTS[0] else POINTS), asked.repeats)


def _parser() -> argparse.ArgumentParser:
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description=__doc__, epilog=EXAMPLES, formatter_class=shape
    )
    names = (
        "planner",
        "tuning",
        "throughput",
        "latency",
        "time",
        "zoo",
        "kernels",
        "plan",
        "overlay",
        "driver",
        "recording",
        "comparison",
        "replay",
        "costs",
        "tuners",
    )
    parser.add_argument("name", nargs="?", choices=names, help="one of them; by default the short ones")
    parser.add_argument("--out", type=Path, help="folder of results; by default a new one under bench-results")
    parser.add_argument(
        "--minutes", type=float, help="of tuning: of each run, in `zoo` of all models together; of `comparison`"
    )
    parser.add_argument("--rounds", type=_numbers(int), help="candidates a round, such as 64,16")
    parser.add_argument("--points", type=_numbers(float), help="minutes at which the model is built, such as 3,10,20")
    parser.add_argument("--repeats", type=int, default=5, help="rounds in which all artifacts are timed in turn")
    parser.add_argument("--model", default="onnx-light:squeezenet", help="of throughput and latency")
    parser.add_argument(
        "--models",
        type=lambda text: tuple(text.split(",")),
        help="of `zoo`: classic, modern, all, or squeezenet,torchvision:vit_b_16; parts of names in `kernels`",
    )
    parser.add_argument(
        "--cells", type=int, help="of `driver` and `recording`, a multiple of 100; of `planner`, such as 1000000"
    )
    parser.add_argument("--tune-cells", type=int, default=200, help="of Ray Tune in `driver`; 0: without it")
    parser.add_argument("--speed", type=float, default=1.0, help="of `driver`: simulated seconds a second")
    parser.add_argument("--store", choices=("sqlite", "http"), default="sqlite", help="of `recording`")
    parser.add_argument("--pairs", type=int, help="of `recording`: sweeps with MLflow, and as many without")
    parser.add_argument("--seconds", type=float, help="of `recording`: work of a cell")
    parser.add_argument("--measured", action="store_true", help="of `tuners`: by the times of every point of a product")
    parser.add_argument("--set", type=_option, action="append", metavar="KEY=VALUE", help="an option of sweep's tuner")
    return parser


def _numbers(kind: type[int] | type[float]) -> Any:
    def numbers(text: str) -> tuple[float, ...]:
        return tuple(kind(part) for part in text.split(","))

    return numbers


def _option(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("is not KEY=VALUE")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
