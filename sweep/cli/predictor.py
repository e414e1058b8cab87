"""The commands of models of a device: predictor fit, evaluate, predict."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweep.analysis.formatting import plural
from sweep.cli.arguments import EXIT_DONE, JsonOption, shape_of
from sweep.cli.speaking import say
from sweep.errors import StudyError
from sweep.study.runtimes import USUAL_BASELINE

if TYPE_CHECKING:
    from sweep.predict.predictor_evaluation import Evaluation

__all__ = ["predictor_app"]

predictor_app = typer.Typer(
    name="predictor",
    help="Models of a device: latency or memory of a network from the geometry of its layers.\n\n"
    "Example: sweep predictor fit sweeps/cpu-quickstart --runtime onnxruntime --out here.json",
    rich_markup_mode=None,
)

PredictorArgument = Annotated[Path, typer.Argument(metavar="P", help="What `fit` wrote.", show_default=False)]
FoldersArgument = Annotated[
    list[Path] | None, typer.Argument(metavar="[DIR]...", help="Sweep directories.", show_default=False)
]
LayersOption = Annotated[
    Path | None, typer.Option("--layers", help="CSV, a row a layer at batch 1.", show_default=False)
]
MeasurementsOption = Annotated[
    Path | None, typer.Option("--measurements", help="CSV, a row a measured value.", show_default=False)
]
RuntimeOption = Annotated[str, typer.Option("--runtime", help="Of the sweeps' cells.")]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="Of the sweeps' cells.", show_default="the only one")
]
ColumnOption = Annotated[
    str | None, typer.Option("--column", help="Holds the value.", show_default="latency_ms or mem_used_mib")
]


@predictor_app.command("fit")
def fit_command(
    folders: FoldersArgument = None,
    layers: LayersOption = None,
    measurements: MeasurementsOption = None,
    out: Annotated[Path, typer.Option(help="The predictor's file.")] = Path("predictor.json"),
    variable: Annotated[str, typer.Option(help="latency or memory.")] = "latency",
    mode: Annotated[
        str | None,
        typer.Option(help="What was measured: training or inference.", show_default="inference; of tables, training"),
    ] = None,
    kind: Annotated[
        str, typer.Option(help="physical+residual, physical, xgboost or extra-trees.")
    ] = "physical+residual",
    column: ColumnOption = None,
    runtime: RuntimeOption = USUAL_BASELINE,
    device: DeviceOption = None,
    coverage: Annotated[float, typer.Option(help="Share of values that the intervals are to hold.")] = 0.9,
    register: Annotated[
        str | None,
        typer.Option(help="Log it to MLflow, as a version of this name in the registry.", show_default=False),
    ] = None,
    mlflow: Annotated[
        str | None, typer.Option(help="Where to register it.", show_default="the first sweep's own store")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Fit a predictor to sweeps, or to tables of layers and measurements, and write it to a file.

    Example: sweep predictor fit --layers layers.csv --measurements measurements.csv --variable memory --out tx2.json
    """
    from sweep.api.predicting.device_models import fit_predictor_to_sweeps, fit_predictor_to_tables

    tables = _tables("fit", folders, layers, measurements)
    if tables is None:
        done = fit_predictor_to_sweeps(
            folders or (),
            out,
            variable=variable,
            runtime=runtime,
            device=device,
            mode=mode or "inference",
            kind=kind,
            coverage=coverage,
        )
    else:
        done = fit_predictor_to_tables(
            *tables,
            out,
            variable=variable,
            mode=mode or "training",
            kind=kind,
            column=column,
            coverage=coverage,
        )
    told = done.as_dict()
    if register is not None:
        from sweep.api.predicting.device_models import register as register_in

        told["registered"] = register_in(out, register, mlflow, folders or ())
    say(json.dumps(told, indent=2) if as_json else _fit_text(told))
    return EXIT_DONE


@predictor_app.command("evaluate")
def evaluate_command(
    predictor: PredictorArgument,
    folders: FoldersArgument = None,
    layers: LayersOption = None,
    measurements: MeasurementsOption = None,
    how: Annotated[
        str, typer.Option(help="as-it-is; or fitted anew: leave-one-network-out, leave-one-device-out, within-network.")
    ] = "as-it-is",
    column: ColumnOption = None,
    runtime: RuntimeOption = USUAL_BASELINE,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> int:
    """Compare a predictor with sweeps or tables: errors, and how many values its intervals hold.

    Example: sweep predictor evaluate here.json sweeps/other --how leave-one-network-out
    """
    from sweep.api.predicting.device_models import evaluate_predictor, evaluate_predictor_on_sweeps

    tables = _tables("evaluate", folders, layers, measurements)
    if tables is not None:
        found, left_out, remark = evaluate_predictor(predictor, *tables, how=how, column=column)
    else:
        evaluated = evaluate_predictor_on_sweeps(predictor, folders or (), how=how, runtime=runtime, device=device)
        found, left_out, remark = evaluated
    if remark:
        say(f"note: {remark}", err=True)
    if as_json:
        say(json.dumps({**found.to_json(), "without_layers": left_out}, indent=2))
    else:
        say(_evaluation_text(found, left_out))
    return EXIT_DONE


@predictor_app.command("predict")
def predict_command(
    predictor: PredictorArgument,
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="An ONNX file.", show_default=False)],
    batch: Annotated[str, typer.Option(help="Samples a call; several with commas.")] = "1",
    inputs: Annotated[
        list[str] | None, typer.Option("--input", help="Shape of an input: NAME=1,3,224,224", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Predict a network's latency or memory, with an interval.

    Example: sweep predictor predict here.json net.onnx --batch 1,8
    """
    from sweep.api.predicting.device_models import predict_network

    found, remark = predict_network(
        predictor, model, _batches(batch), dict(shape_of("--input", text) for text in inputs or [])
    )
    if remark:
        say(f"note: {remark}", err=True)
    if as_json:
        say(json.dumps([asdict(one) for one in found], indent=2))
        return EXIT_DONE
    for one in found:
        if one.abstains:
            say(f"batch {one.batch}: abstains: more than a factor of four outside of all that was measured")
        else:
            share = f"{one.coverage:.0%}"
            say(f"batch {one.batch}: {one.value:.3g} {one.unit} ({one.low:.3g} to {one.high:.3g}, {share})")
    return EXIT_DONE


def _tables(
    command: str, folders: list[Path] | None, layers: Path | None, measurements: Path | None
) -> tuple[Path, Path] | None:
    """Both tables; None where sweep directories are given in their place."""
    if bool(folders) == (layers is not None or measurements is not None):
        raise StudyError(f"predictor {command}: give sweep directories, or both --layers and --measurements")
    if folders:
        return None
    if layers is None or measurements is None:
        missing = "--layers" if layers is None else "--measurements"
        raise StudyError(f"{missing}: is needed beside the other table")
    return layers, measurements


def _batches(text: str) -> list[int]:
    try:
        batches = [int(part) for part in text.split(",")]
    except ValueError:
        batches = [0]
    if min(batches) < 1:
        raise StudyError(f"--batch: {text!r}; allowed: whole numbers of at least 1, with commas between them")
    return batches


def _fit_text(told: dict[str, Any]) -> str:
    source = f"{told['rows']} values of {plural(len(told['networks']), 'network')}"
    lines = [f"{told['out']}: {told['variable']} by {told['kind']}, from {source}"]
    if told["failed"]:
        lines.append(f"  left out: {plural(told['failed'], 'measurement')} that failed")
    if told["left_out"]:
        lines.append(f"  {_without_layers(told['left_out'])}")
    if "registered" in told:
        lines.append(f"  registered as {told['registered']}")
    return "\n".join(lines)


def _evaluation_text(found: Evaluation, left_out: int) -> str:
    lines = [f"{'network':<24} {'rows':>6} {'mean error':>11} {'median':>8} {'in interval':>12} {'abstained':>10}"]
    for name, errors in [*found.by_network.items(), *found.by_device.items(), ("all rows", found.total)]:
        mean, median, held = (
            "-" if value is None else f"{value:.1%}"
            for value in (
                errors.mean_absolute_relative_error, errors.median_absolute_relative_error, errors.interval_coverage,
            )
        )  # fmt: skip
        lines.append(f"{name:<24} {errors.rows:>6} {mean:>11} {median:>8} {held:>12} {errors.abstained:>10}")
    if found.mean_over_networks is not None:
        lines.append(f"mean of the networks' mean absolute relative errors: {found.mean_over_networks:.1%}")
    if left_out:
        lines.append(_without_layers(left_out))
    return "\n".join(lines)


def _without_layers(count: int) -> str:
    return f"left out: {plural(count, 'measurement')} of networks without layers"
