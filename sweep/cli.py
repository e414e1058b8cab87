"""The command line: parses, calls, prints, returns an exit code. Nothing is decided here.

Imports of anything slow happen inside the commands, so that `sweep --help` and `sweep plan` answer at once.
Exit codes: 0 done, 1 some cells failed, 2 bad input, 130 interrupted with everything kept.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
import typer

from sweep.errors import LedgerError, StudyError, SweepError

if TYPE_CHECKING:
    from sweep.analysis.outcome import SweepOutcome
    from sweep.plan.planner import Plan
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
    from sweep.api import default_sweep_dir
    from sweep.plan.planner import make_plan
    from sweep.plan.summary import explain

    spec, place = _load(study, cluster)
    todo = make_plan(spec, place)
    summary = explain(todo, _ledger_seconds(out or default_sweep_dir(spec)))
    if as_json:
        typer.echo(json.dumps(summary.as_dict(), indent=2))
    else:
        typer.echo(summary.as_text())
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
    from sweep.report.session import run_and_report
    from sweep.run.driver import RunOptions

    spec, place = _load(study, cluster)
    hours = max_hours if max_hours is not None else spec.budget.hours
    options = RunOptions(
        max_seconds=None if hours is None else hours * 3600.0, fail_fast=fail_fast, retry_failed=retry_failed
    )
    raise NotImplementedError(run_and_report, options, out, fresh, as_json)


def _load(study: Path, cluster: Path) -> tuple[Study, Cluster]:
    from sweep.study.gate import load_cluster, load_study

    return load_study(study), load_cluster(cluster)


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


def _unused(plan: Plan, outcome: SweepOutcome, anything: Any) -> None: ...
