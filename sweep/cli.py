"""The command line: parses, calls, prints, returns an exit code. Nothing is decided here.

Imports of anything slow happen inside the commands, so that `sweep --help` and `sweep plan` answer at once.
Exit codes: 0 done, 1 some cells failed, 2 bad input, 130 interrupted with everything kept.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click
import typer

from sweep.errors import LedgerError, StudyError, SweepError

if TYPE_CHECKING:
    from sweep.study.cluster import Cluster
    from sweep.study.spec import Study

__all__ = ["app", "main"]

EXIT_DONE, EXIT_FAILED, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 0, 1, 2, 130

DEFAULT_CLUSTER = Path("clusters/local.yaml")

app = typer.Typer(
    name="sweep",
    help="Batch sweeps of model x target x tuner x opt-level for Apache TVM, on Ray.\n\n"
    "Example: sweep run experiments/quickstart.yaml --cluster clusters/local.yaml",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
farm_app = typer.Typer(
    name="farm",
    help="The tracker and local device servers of a cluster file.\n\nExample: sweep farm up clusters/local.yaml",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(farm_app)

StudyArgument = Annotated[Path, typer.Argument(help="Study file (YAML).", show_default=False)]
SweepDirArgument = Annotated[Path, typer.Argument(help="Sweep directory.", show_default=False)]
ClusterArgument = Annotated[Path, typer.Argument(help="Cluster file (YAML).")]
ClusterOption = Annotated[Path, typer.Option("--cluster", "-c", help="Cluster file (YAML).")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = _global_options_first(sys.argv[1:] if argv is None else argv)
    try:
        result = app(args=arguments, standalone_mode=False)
        return result if isinstance(result, int) else EXIT_DONE
    except click.exceptions.Exit as end:
        return int(end.exit_code)
    except click.ClickException as error:
        return _complain(_usage_line(error))
    except (StudyError, LedgerError) as error:
        return _complain(str(error))
    except SweepError as error:
        _complain(f"{type(error).__name__}: {error}")
        return EXIT_FAILED
    except (KeyboardInterrupt, click.exceptions.Abort):
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # `sweep plan ... | head`
        sys.stderr.close()
        return EXIT_DONE


@app.command("plan")
def plan_command(
    study: StudyArgument,
    cluster: ClusterOption = DEFAULT_CLUSTER,
    out: Annotated[Path | None, typer.Option(help="Sweep directory whose finished stages count as cached.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Show what a run would do, and start nothing.

    Example: sweep plan experiments/quickstart.yaml --json
    """
    from sweep.api.reading import finished_seconds
    from sweep.api.running import default_sweep_dir
    from sweep.planning.planner import make_plan
    from sweep.planning.summary import explain

    spec, place = _load(study, cluster)
    seconds = finished_seconds(out or default_sweep_dir(spec))
    summary = explain(make_plan(spec, place), seconds, seconds)
    typer.echo(json.dumps(summary.as_dict(), indent=2) if as_json else summary.as_text())
    return EXIT_DONE


@app.command("run")
def run_command(
    study: StudyArgument,
    cluster: ClusterOption = DEFAULT_CLUSTER,
    out: Annotated[Path | None, typer.Option(help="Sweep directory; default sweeps/<study>.")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh/--resume", help="Start again (what there is moves aside), or do what is missing.")
    ] = False,
    max_hours: Annotated[float | None, typer.Option(min=0.0, help="Start nothing more after this long.")] = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first cell that fails.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again what failed for a reason that cannot have changed.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Run a study: what is missing of it, if it was run before.

    Example: sweep run experiments/quickstart.yaml --cluster clusters/local.yaml --out sweeps/first
    """
    from rich.console import Console

    from sweep.api.running import run
    from sweep.report.live import open_progress
    from sweep.running.driver import RunOptions
    from sweep.running.signals import OrderlyEnd

    spec, place = _load(study, cluster)
    hours = max_hours if max_hours is not None else spec.budget.hours
    options = RunOptions(
        max_seconds=None if hours is None else hours * 3600.0, fail_fast=fail_fast, retry_failed=retry_failed
    )
    with OrderlyEnd(), open_progress(Console(stderr=True), spec.name) as view:
        ended = run(spec, place, out=out, fresh=fresh, options=options, view=view)
        view.close(interrupted=ended.status == "interrupted")
    folder = ended.outcome.sweep_dir
    if as_json:
        _print_report(folder, "json")
    else:
        _print_report(folder, "table")
        if ended.executed == 0:
            typer.echo("nothing was missing: nothing was executed")
        typer.echo(f"report: {folder / 'report' / 'index.html'}\nMLflow: sweep ui {_shown(folder)}")
    return {"done": EXIT_DONE, "interrupted": EXIT_INTERRUPTED}.get(ended.status, EXIT_FAILED)


@app.command("status")
def status_command(folder: SweepDirArgument, as_json: JsonOption = False) -> int:
    """Show where a sweep stands, also while it runs.

    Example: sweep status sweeps/cpu-quickstart
    """
    from sweep.api.reading import standing

    now = standing(folder)
    typer.echo(json.dumps(now.as_dict(), indent=2) if as_json else now.as_text())
    return EXIT_DONE


@app.command("report")
def report_command(
    folder: SweepDirArgument,
    formats: Annotated[
        str, typer.Option("--format", "-f", help="Of table, json, markdown, html, csv, parquet; several with commas.")
    ] = "table",
    as_json: JsonOption = False,
) -> int:
    """Print the results of a sweep, or write them as files.

    Example: sweep report sweeps/cpu-quickstart --format table,html
    """
    for name in ["json"] if as_json else formats.split(","):
        _print_report(folder, name.strip())
    return EXIT_DONE


@app.command("ui")
def ui_command(
    folder: SweepDirArgument,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on loopback.")] = 5000,
) -> int:
    """Serve the MLflow UI on a sweep's own store, until Ctrl-C.

    Example: sweep ui sweeps/cpu-quickstart --port 5000
    """
    import os

    from sweep.record.mlflow_store import ui_command as command
    from sweep.record.mlflow_store import ui_environment

    _require_sweep(folder)
    argv = command(folder, port=port)
    typer.echo(f"MLflow on http://127.0.0.1:{port} (Ctrl-C ends it)")
    os.execvpe(argv[0], argv, {**os.environ, **ui_environment()})


@app.command("schema")
def schema_command(
    kind: Annotated[str, typer.Argument(help="study or cluster.")] = "study",
) -> int:
    """Print the JSON schema of study files, for editors.

    Example: sweep schema > study.schema.json
    """
    from sweep.study.gate import cluster_json_schema, study_json_schema

    schemas = {"study": study_json_schema, "cluster": cluster_json_schema}
    if kind not in schemas:
        raise StudyError("no such schema", key="KIND", value=kind, allowed="study, cluster")
    typer.echo(json.dumps(schemas[kind](), indent=2))
    return EXIT_DONE


@app.command("doctor")
def doctor_command(as_json: JsonOption = False) -> int:
    """Look at this machine and installation: what is wrong, and the mend.

    Example: sweep doctor
    """
    from sweep.doctor import run_doctor

    return run_doctor(as_json)


@farm_app.command("up")
def farm_up(cluster: ClusterArgument = DEFAULT_CLUSTER) -> int:
    """Start tracker and local servers, and keep them until Ctrl-C or `sweep farm down`.

    Example: sweep farm up clusters/local.yaml
    """
    from sweep.api.farming import keep_up
    from sweep.running.signals import OrderlyEnd

    with OrderlyEnd():
        return keep_up(_load_cluster(cluster), typer.echo)


@farm_app.command("status")
def farm_status(cluster: ClusterArgument = DEFAULT_CLUSTER, as_json: JsonOption = False) -> int:
    """Show the devices at the tracker: total, free, broken.

    Example: sweep farm status clusters/local.yaml
    """
    from sweep.api.farming import describe

    text, data = describe(_load_cluster(cluster))
    typer.echo(json.dumps(data, indent=2) if as_json else text)
    return EXIT_DONE


@farm_app.command("down")
def farm_down(cluster: ClusterArgument = DEFAULT_CLUSTER) -> int:
    """Stop what `sweep farm up` started.

    Example: sweep farm down clusters/local.yaml
    """
    from sweep.api.farming import take_down

    typer.echo(take_down(_load_cluster(cluster)))
    return EXIT_DONE


def _load(study: Path, cluster: Path) -> tuple[Study, Cluster]:
    from sweep.study.gate import load_cluster, load_study

    return load_study(study), load_cluster(cluster)


def _load_cluster(path: Path) -> Cluster:
    from sweep.study.gate import load_cluster

    return load_cluster(path)


def _require_sweep(folder: Path) -> None:
    if not (folder / "ledger.jsonl").is_file():
        raise StudyError(
            "is not a sweep directory", key="DIR", value=str(folder), allowed="a folder that `sweep run` made"
        )


def _print_report(folder: Path, name: str) -> None:
    from sweep.report.writing import FORMATS, print_report

    _require_sweep(folder)
    if name not in FORMATS:
        raise StudyError("no such format", key="--format", value=name, allowed=", ".join(FORMATS))
    print_report(folder, name)


def _shown(path: Path) -> str:
    """Relative to the current folder where it lies below it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _complain(line: str) -> int:
    sys.stderr.write(f"sweep: {line}\n")
    return EXIT_BAD_INPUT


def _usage_line(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    hint = f" (see `{context.command_path} --help`)" if context is not None else ""
    return " ".join(error.format_message().split()) + hint


def _global_options_first(arguments: list[str]) -> list[str]:
    """`sweep --json plan X` means `sweep plan X --json`."""
    if arguments[:1] == ["--json"] and len(arguments) > 1:
        return [*arguments[1:], "--json"]
    return arguments
