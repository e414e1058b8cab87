"""Commands that take a study, or make one: plan, run, tune, schema."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.arguments import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    ClusterOption,
    JsonOption,
    KeyOption,
    LogOption,
    OnlyOption,
    OutOption,
    StudyArgument,
    key_of,
    load_both,
    load_cluster,
    shown,
)
from sweep.cli.speaking import say
from sweep.errors import RecordError, StudyError
from sweep.files.sweep_dir import SweepDir
from sweep.installation import child_environment, python_command
from sweep.redaction import redacted_uri

if TYPE_CHECKING:
    from sweep.api.commands.run import SweepRun
    from sweep.running.options import RunOptions
    from sweep.study.cluster.cluster import Cluster
    from sweep.study.spec import Study

__all__ = ["plan_command", "run_command", "schema_command", "tune_command"]


def plan_command(
    study: StudyArgument,
    cluster: ClusterOption = None,
    out: Annotated[Path | None, typer.Option(help="Sweep directory whose finished stages count as cached.")] = None,
    only: OnlyOption = None,
    predictor: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A measured sweep: show what its cells say of these, and what they spare."),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Show what a run would do, and start nothing.

    Example: sweep plan study.yaml --json
    """
    from sweep.api.commands.read import explain

    loaded_study, loaded_cluster = load_both(study, cluster)
    summary = explain(loaded_study, loaded_cluster, out=out, only=only)
    told, text = summary.as_dict(), summary.as_text()
    if predictor is not None:
        from sweep.api.predicting.predicted_plan import predict_plan

        predicted = predict_plan(loaded_study, loaded_cluster, predictor, out=out, only=only)
        told, text = told | {"predicted": predicted.as_dict()}, f"{text}\n\n{predicted.as_text()}"
    say(json.dumps(told, indent=2) if as_json else text)
    return EXIT_DONE


def run_command(
    study: StudyArgument,
    cluster: ClusterOption = None,
    out: OutOption = None,
    fresh: Annotated[
        bool, typer.Option("--fresh/--resume", help="Start again (what there is moves aside), or do what is missing.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep what another version has measured, instead of doing it again.")
    ] = False,
    only: OnlyOption = None,
    max_hours: Annotated[
        float | None, typer.Option(min=0.0, help="End after this long: tuners share what there is of it.")
    ] = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first cell that fails.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again what failed for good, and what stayed tainted.")
    ] = False,
    retry_tainted: Annotated[
        bool, typer.Option("--retry-tainted", help="Measure again what stayed tainted, and nothing that failed.")
    ] = False,
    warm_start: Annotated[
        list[Path] | None,
        typer.Option(
            "--warm-start",
            metavar="DIR",
            help="Begin with the records of a sweep or MetaSchedule database; repeatable.",
        ),
    ] = None,
    predictor: Annotated[
        str | None,
        typer.Option(
            metavar="self|DIR", help="Skip cells that cannot be the best, by what this run, or a sweep, has measured."
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="Ray cluster to use: auto or HOST:PORT; default: the cluster file's."),
    ] = None,
    log_json: LogOption = None,
    as_json: JsonOption = False,
) -> int:
    """Run a study: what is missing of it, if it was run before.

    Example: sweep run study.yaml --out sweeps/first
    """
    from sweep.running.options import RunOptions

    loaded_study, loaded_cluster = load_both(study, cluster)
    if address is not None:
        loaded_cluster = _on_cluster(loaded_cluster, address)
    if predictor is not None:
        loaded_study = _with_predictor(loaded_study, predictor)
    budget = loaded_study.budget if max_hours is None else replace(loaded_study.budget, hours=max_hours)
    options = RunOptions.within(
        budget, fail_fast=fail_fast, retry_failed=retry_failed, retry_tainted=retry_tainted, only=only, keep=keep
    )
    how = _How(out, fresh, options, warm_start or (), log_json, as_json)
    return _run(loaded_study, loaded_cluster, how)


def _with_predictor(study: Study, predictor: str) -> Study:
    from sweep.study.planner_options import SELF, PlannerOptions

    path = predictor if predictor == SELF else str(Path(predictor).absolute())
    return replace(study, planner=replace(study.planner or PlannerOptions(), predictor=path))


def _on_cluster(cluster: Cluster, address: str) -> Cluster:
    from sweep.study.cluster.ray_address import read_ray_address

    if cluster.engine != "ray":
        allowed = f"--address with `engine: ray` alone; {cluster.path} has {cluster.engine}"
        raise StudyError("is of no use here", key="--address", value=address, allowed=allowed)
    return replace(cluster, ray=replace(cluster.ray, address=read_ray_address(address, None, "--address")))


def tune_command(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="onnx-light:NAME, or an ONNX file.", show_default=False)
    ],
    key: KeyOption = None,
    target: Annotated[str, typer.Option(help="What code is generated for: native is the device's own.")] = "native",
    tuner: Annotated[str, typer.Option(help="Name of a tuner, or module:attribute.")] = "xgb",
    trials: Annotated[int | None, typer.Option(min=1, help="Trials a task; default: the tuner's own.")] = None,
    opt_level: Annotated[int, typer.Option(min=0, max=4, help="Opt level.")] = 3,
    precision: Annotated[str, typer.Option(help="float32, float16 or bfloat16.")] = "float32",
    cluster: ClusterOption = None,
    out: Annotated[Path | None, typer.Option(help="Sweep directory; default sweeps/tune-MODEL-KEY.")] = None,
    log_json: LogOption = None,
    as_json: JsonOption = False,
) -> int:
    """Tune one network for one device, compile and measure it there, with no study file.

    It writes the study that it runs beside the sweep directory: add to it, and `sweep run` does the difference.

    Example: sweep tune onnx-light:squeezenet --tuner xgb --trials 32
    """
    from sweep.api.written_studies.single_model_study import SingleModelStudy, write_study
    from sweep.running.options import RunOptions
    from sweep.study.gate import load_study

    loaded_cluster = load_cluster(cluster)
    asked = SingleModelStudy(model, target, tuner, key_of(key, loaded_cluster), trials, opt_level, precision)
    folder = out or Path("sweeps") / asked.name
    loaded_study = load_study(write_study(asked, folder.absolute()))
    return _run(loaded_study, loaded_cluster, _How(folder, False, RunOptions(), (), log_json, as_json))


@dataclass(frozen=True, slots=True)
class _How:
    """The options of a command that runs a study."""

    out: Path | str | None
    fresh: bool
    options: RunOptions
    warm_start: Sequence[Path]
    log_json: str | None
    as_json: bool


def _run(study: Study, cluster: Cluster, how: _How) -> int:
    """Run what is missing, with progress, and show what came of it."""
    from sweep.api.commands.run import run
    from sweep.api.session.journal import STREAM, Journal, target_of_environment
    from sweep.report.live.progress_view import open_progress
    from sweep.report.terminal import TextConsole
    from sweep.running.signals import OrderlyEnd

    target = how.log_json or target_of_environment()

    def tell(ended: SweepRun) -> None:
        if view is not None:
            view.close(interrupted=ended.status == "interrupted")
        if journal is not None:
            journal.run_ended(ended.status, executed=ended.executed, reason=ended.stopped)
        _show(ended, cluster, as_json=how.as_json)

    with OrderlyEnd(), ExitStack() as closing:
        journal = None if target is None else closing.enter_context(Journal(target, study.name))
        view = None  # lines for machines and for people do not go to one place
        if target != STREAM:
            view = closing.enter_context(open_progress(TextConsole(stderr=True), study.name))
        try:
            ended = run(
                study,
                cluster,
                out=how.out,
                fresh=how.fresh,
                options=how.options,
                view=view,
                warm_start=how.warm_start,
                watchers=[] if journal is None else [journal.watch],
                at_end=tell,
            )
        except KeyboardInterrupt:  # before the work began, or after it
            if view is not None:
                view.close(interrupted=True)
            if journal is not None:
                journal.run_ended("interrupted")
            return EXIT_INTERRUPTED
    return {"done": EXIT_DONE, "interrupted": EXIT_INTERRUPTED}.get(ended.status, EXIT_FAILED)


def _show(ended: SweepRun, cluster: Cluster, *, as_json: bool) -> None:
    from sweep.running.driver import NO_TIME

    folder = ended.sweep_dir
    _show_results(ended, "json" if as_json else "table")
    if as_json:
        return
    if ended.executed == 0 and ended.status in ("done", "failed"):
        say("nothing was missing: nothing was executed")
    if ended.stopped is not None:
        say(f"{ended.stopped}: the same command does what was skipped")
    if ended.cut_short:
        say(f"{NO_TIME}: {ended.cut_short} of the tune stages ended early; the same command goes on with them")
    say(f"report: {SweepDir(folder).report / 'index.html'}")
    if cluster.is_mirrored:
        where = redacted_uri(cluster.mlflow_uri) if cluster.mlflow_uri else f"sweep ui {shown(folder)}"
        say(f"MLflow: {where}")


def _show_results(ended: SweepRun, name: str) -> None:
    """In a process of its own where they are many: a driver is as small at its end as while cells ended.

    Raises:
        SweepError: they cannot be shown.
    """
    from sweep.api.commands.report import print_report
    from sweep.api.session.reporting import HERE_UP_TO_CELLS

    if ended.cells <= HERE_UP_TO_CELLS:
        print_report(ended.sweep_dir, name)
        return
    sys.stdout.flush()
    command = [*python_command("sweep"), "report", str(ended.sweep_dir), "--format", name]
    code = subprocess.run(command, env=child_environment(), check=False).returncode
    if code != EXIT_DONE:  # it has said why
        raise RecordError(f"the results cannot be shown: `sweep report {shown(ended.sweep_dir)}` ended with {code}")


def schema_command(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="study or cluster.")] = "study",
) -> int:
    """Print the JSON schema of study files, for editors.

    Example: sweep schema > study.schema.json
    """
    from sweep.study.gate import cluster_json_schema, study_json_schema

    schemas = {"study": study_json_schema, "cluster": cluster_json_schema}
    if kind not in schemas:
        raise StudyError("no such schema", key="KIND", value=kind, allowed="study, cluster")
    say(json.dumps(schemas[kind](), indent=2))
    return EXIT_DONE
