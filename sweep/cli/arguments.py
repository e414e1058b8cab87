"""Arguments and options that several commands take, and how they are loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweep.cli.completion import DEFAULT_CLUSTER, device_keys, selections

if TYPE_CHECKING:
    from sweep.study.cluster.cluster import Cluster
    from sweep.study.spec import Study

__all__ = [
    "DEFAULT_CLUSTER",
    "EXIT_BAD_INPUT",
    "EXIT_DONE",
    "EXIT_FAILED",
    "EXIT_INTERRUPTED",
    "ClusterArgument",
    "ClusterOption",
    "JsonOption",
    "KeyOption",
    "LogOption",
    "OnlyOption",
    "OutOption",
    "StudyArgument",
    "SweepDirArgument",
    "load_both",
    "load_cluster",
    "shown",
]

EXIT_DONE, EXIT_FAILED, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 0, 1, 2, 130

StudyArgument = Annotated[Path, typer.Argument(metavar="STUDY", help="Study file (YAML).", show_default=False)]


def _read_place(text: str) -> Path:
    """A sweep directory; of a URI a copy of what is there now."""
    from sweep.api.session.stored_sweep import fetched, is_uri

    return fetched(text) if is_uri(text) else Path(text)


def _run_place(text: str) -> Path | str:
    from sweep.api.session.stored_sweep import is_uri

    return text if is_uri(text) else Path(text)


SweepDirArgument = Annotated[
    Path,
    typer.Argument(metavar="DIR", help="Sweep directory, or the URI of one.", show_default=False, parser=_read_place),
]
OutOption = Annotated[
    Any,
    typer.Option(
        "--out",
        metavar="DIR",
        parser=_run_place,
        help="Sweep directory, or a URI to keep it at; default sweeps/<study>.",
    ),
]
ClusterArgument = Annotated[Path, typer.Argument(metavar="CLUSTER", help="Cluster file (YAML).")]
ClusterOption = Annotated[Path, typer.Option("--cluster", "-c", help="Cluster file (YAML).")]
KeyOption = Annotated[
    str,
    typer.Option(help="Device of the cluster file, by its key.", show_default=False, autocompletion=device_keys),
]
OnlyOption = Annotated[
    str | None,
    typer.Option(
        "--only",
        metavar="CELLS",
        help="Some cells: tuner=xgb|ga,model=res*; the others stay as they are.",
        autocompletion=selections,
    ),
]
LogOption = Annotated[
    str | None,
    typer.Option(
        "--log-json", metavar="FILE", help="Log as JSON lines to a file; - is standard error. SWEEP_LOG=json is -."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def load_both(study: Path, cluster: Path) -> tuple[Study, Cluster]:
    from sweep.study.gate import load_cluster, load_study

    return load_study(study), load_cluster(cluster)


def load_cluster(path: Path) -> Cluster:
    from sweep.study import gate

    return gate.load_cluster(path)


def shown(path: Path) -> str:
    """Relative to the current folder where it lies below it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
