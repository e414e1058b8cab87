"""Arguments and options that several commands take, and how they are loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweep.cli.completion import device_keys, selections
from sweep.cli.speaking import say
from sweep.errors import StudyError
from sweep.study.cluster.cluster import DEFAULT_FILE
from sweep.suggestions import listed

if TYPE_CHECKING:
    from sweep.study.cluster.cluster import Cluster
    from sweep.study.spec import Study

__all__ = [
    "EXIT_BAD_INPUT",
    "EXIT_DONE",
    "EXIT_FAILED",
    "EXIT_INTERRUPTED",
    "EXIT_UNTOLD",
    "ClusterArgument",
    "ClusterOption",
    "JsonOption",
    "KeyOption",
    "LogOption",
    "OnlyOption",
    "OutOption",
    "StudyArgument",
    "SweepDirArgument",
    "key_of",
    "load_both",
    "load_cluster",
    "place_of",
    "shape_of",
    "shown",
    "sweep_dir_of",
]

EXIT_DONE, EXIT_FAILED, EXIT_BAD_INPUT, EXIT_UNTOLD, EXIT_INTERRUPTED = 0, 1, 2, 3, 130

StudyArgument = Annotated[Path, typer.Argument(metavar="STUDY", help="Study file (YAML).", show_default=False)]


def sweep_dir_of(text: str) -> Path:
    """A sweep directory; of a URI a copy of what is there now."""
    from sweep.api.session.stored_sweep import fetched, is_uri

    return fetched(text) if is_uri(text) else Path(text)


def place_of(text: str) -> Path | str:
    """A sweep directory, or the URI of one as it is."""
    from sweep.api.session.stored_sweep import is_uri

    return text if is_uri(text) else Path(text)


SweepDirArgument = Annotated[
    Path,
    typer.Argument(metavar="DIR", help="Sweep directory, or the URI of one.", show_default=False, parser=sweep_dir_of),
]
OutOption = Annotated[
    Any,
    typer.Option(
        "--out",
        metavar="DIR",
        parser=place_of,
        help="Sweep directory, or a URI to keep it at; default sweeps/<study>.",
    ),
]
_CLUSTER_HELP = f"Cluster file (YAML); default {DEFAULT_FILE}, or without it one device on this machine."
ClusterArgument = Annotated[Path | None, typer.Argument(metavar="CLUSTER", help=_CLUSTER_HELP)]
ClusterOption = Annotated[Path | None, typer.Option("--cluster", "-c", help=_CLUSTER_HELP)]
KeyOption = Annotated[
    str | None,
    typer.Option(help="Device of the cluster file, by its key; default: its only one.", autocompletion=device_keys),
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


def load_both(study: Path, cluster: Path | None) -> tuple[Study, Cluster]:
    from sweep.study.gate import load_study

    return load_study(study), load_cluster(cluster)


def load_cluster(path: Path | None) -> Cluster:
    """The cluster of a file. Where none was named and the default one is not there: one local device, and a line says
    so.
    """
    from sweep.study import gate

    if path is not None or DEFAULT_FILE.exists():
        return gate.load_cluster(path or DEFAULT_FILE)
    cluster = gate.local_cluster()
    (device,) = cluster.devices
    where = f"this machine is the only device: `{device.key}`, on core {device.cores[0]}"
    say(f"sweep: note: there is no {DEFAULT_FILE}, so {where}", err=True)
    return cluster


def key_of(key: str | None, cluster: Cluster) -> str:
    """The key that was given, or that of the only device. Raises StudyError where there are several."""
    if key is not None:
        return key
    keys = [device.key for device in cluster.devices]
    if len(keys) > 1:
        raise StudyError("is missing, and the cluster has several devices", key="--key", allowed=listed(keys))
    return keys[0]


def shown(path: Path) -> str:
    """Relative to the current folder where it lies below it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def shape_of(option: str, text: str) -> tuple[str, tuple[int, ...]]:
    """Reads the shape of an input, as `data=1,3,224,224`.

    Raises:
        StudyError: it is not written so.
    """
    name, found, dims = text.partition("=")
    numbers = dims.split(",")
    if not name or not found or not all(part.strip().isdigit() and int(part) > 0 for part in numbers):
        raise StudyError(f"{option}: {text!r}; allowed: a name, =, and whole numbers with commas, as data=1,3,224,224")
    return name, tuple(int(part) for part in numbers)
