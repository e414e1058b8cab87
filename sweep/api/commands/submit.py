"""A run on a Ray cluster: what it needs is packed into one folder, which travels as a job's.

The study goes along with its networks, the modules of its own tuners, runtimes and importers, and the cluster file. It
is loaded again from the packed copy and compared, so that what runs there is what was checked here.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shlex
import shutil
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.api.session.claim import default_sweep_dir
from sweep.api.session.connectivity import check_dashboard
from sweep.api.session.stored_sweep import is_uri
from sweep.errors import StudyError
from sweep.redaction import redacted_arguments
from sweep.study.calibration_table import HISTOGRAMS, RANGES, SavedTable
from sweep.study.cluster.cluster_form import ClusterForm
from sweep.study.gate import load_study
from sweep.study.importers.importer_registry import importer_named, is_path
from sweep.study.reading.validation_errors import fill_in
from sweep.study.reading.yaml_file import read_yaml
from sweep.study.spec import Model, Study

if TYPE_CHECKING:
    from sweep.engine.ray.ray_jobs import RayJobs

__all__ = ["SubmittedJob", "jobs_at", "pack", "submit"]

_ENVIRONMENT = "RAY_API_SERVER_ADDRESS"
_MOST_BYTES = 500 * 2**20
"""Ray keeps a job's folder in the memory of its head node, and refuses more."""
_CLUSTER, _MODELS, _DATASETS = "cluster-of-the-job.yaml", "models-of-the-job", "datasets-of-the-job"
_TABLES = "tables-of-the-job"


@dataclass(frozen=True, slots=True)
class SubmittedJob:
    """A run that a cluster has."""

    id: str
    was_running: bool
    """Whether it was sent before, and runs still."""
    out: str
    """The sweep directory there, or the URI of one."""
    jobs: RayJobs
    """The cluster's jobs: follows this one's log, and stops it."""


def jobs_at(address: str | None) -> RayJobs:
    """The jobs of the cluster whose dashboard is at this address; None: where RAY_API_SERVER_ADDRESS says, or here.

    Raises:
        StudyError: it is no address of a dashboard, or nobody answers there.
        EngineError: it cannot be reached, or does not take the token.
    """
    from sweep.engine.ray.ray_jobs import RayJobs

    if address is not None:
        check_dashboard(address, "--address")
    elif address := os.environ.get(_ENVIRONMENT):
        check_dashboard(address, _ENVIRONMENT)
    return RayJobs(address)


def submit(
    study_file: Path | str,
    cluster_file: Path | str,
    *,
    address: str | None = None,
    out: str | None = None,
    options: Sequence[str] = (),
    python: str = "python",
) -> SubmittedJob:
    """Send the run of a study to a Ray cluster, or find the one there that works on the same sweep.

    `address`: the cluster's dashboard, http://HOST:8265; None: where RAY_API_SERVER_ADDRESS says, or this host. `out`:
    the sweep directory there, a path or a URI, by default `sweeps/<study>` of the current folder's path; the same again
    resumes. `options`: further ones of `sweep run`. `python`: how Python with this package is started there.

    Raises:
        StudyError: the files are wrong, or cannot be sent, or nobody answers at the address.
        EngineError: the cluster cannot be reached.
    """
    study_file, cluster_file = Path(study_file), Path(cluster_file)
    _check_no_secrets(out, python, options)
    if out is None or not is_uri(out):
        out = str(Path(out or default_sweep_dir(load_study(study_file))).absolute())
    jobs = jobs_at(address)
    with tempfile.TemporaryDirectory(prefix="sweep-job-") as folder:
        study, engine = pack(study_file, cluster_file, Path(folder))
        about = {"sweep_study": study.name, "sweep_out": out}
        if (job_id := jobs.running(about)) is not None:
            return SubmittedJob(job_id, was_running=True, out=out, jobs=jobs)
        command = [python, "-m", "sweep", "run", study.path.name, "--cluster", _CLUSTER, "--out", out]
        command += ["--address", "auto"] if engine == "ray" else []
        name = f"sweep-{study.name}-{hashlib.sha256(out.encode()).hexdigest()[:8]}"
        job_id = jobs.send(shlex.join([*command, *options]), Path(folder), name, about)
        return SubmittedJob(job_id, was_running=False, out=out, jobs=jobs)


def _check_no_secrets(out: str | None, python: str, options: Sequence[str]) -> None:
    """Ray shows a job's command to everybody who sees the cluster's dashboard, and so do its logs."""
    for key, value in [("--out", out or ""), ("--python", python), *(("RUN OPTIONS", option) for option in options)]:
        (shown,) = redacted_arguments([value])
        if shown != value:
            allowed = (
                "a URI without login and keys: nodes are started with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in "
            )
            allowed += "their environment, or have a role (docs/operations.md)"
            raise StudyError("has a secret, which a job would show", key=key, value=shown, allowed=allowed)


def pack(study_file: Path, cluster_file: Path, folder: Path) -> tuple[Study, str]:
    """Copy all that a run needs into a folder; the study as it is there, and the engine that the cluster file names.

    Of the cluster file only the form is checked: its cores, programs and paths are the cluster's.

    Raises:
        StudyError: the files are wrong, or cannot be sent.
    """
    engine = fill_in(ClusterForm, read_yaml(cluster_file, "cluster file"), cluster_file).engine
    study = load_study(study_file)
    shutil.copyfile(cluster_file, folder / _CLUSTER)
    text = study_file.read_text(encoding="utf-8")
    for number, model in enumerate(study.models):
        if not model.is_installed:
            text = _pack_model(model, number, study_file.parent, folder, text)
        for place, one in enumerate(model.given.values()):
            if one.file is not None:  # of several inputs each has a folder: files of two folders may have one name
                text = _pack_file(one.file, one.source, Path(_MODELS, str(number), f"input-{place}"), folder, text)
    for name, dataset in study.datasets.items():
        for key, file in dataset.files.items():
            text = _pack_file(Path(file), str(dataset.written[key]), Path(_DATASETS, name), folder, text)
    for place, table in enumerate(study.calibration.tables.values()):
        text = _pack_table(table, Path(_TABLES, str(place)), folder, text)
    for name in dict.fromkeys(path.partition(":")[0].partition(".")[0] for path in _own_import_paths(study)):
        _pack_module(name, folder)
    packed = folder / study_file.name
    packed.write_text(text, encoding="utf-8")
    _check_size(folder, study_file)
    there = _loaded(packed)
    if there is None or [_content(model) for model in there.models] != [_content(model) for model in study.models]:
        allowed = "paths of models written plainly, such as models/net.onnx"
        raise StudyError("cannot be sent as it is written", file=study_file, key="models", allowed=allowed)
    if there.calibration.tables != study.calibration.tables:
        allowed = "a path written plainly, such as tables/ranges.json"
        raise StudyError("cannot be sent as it is written", file=study_file, key="calibration.table", allowed=allowed)
    if there.datasets != study.datasets:
        allowed = "paths written plainly, such as data/digits.npz"
        raise StudyError("cannot be sent as it is written", file=study_file, key="datasets", allowed=allowed)
    return there, engine


def _own_import_paths(study: Study) -> Iterator[str]:
    """`module:attribute` of each tuner, runtime and importer that the study names so, and of the loaders of these."""
    named = [*(tuner.name for tuner in study.tuners), *study.runtimes]
    yield from (name for name in named if ":" in name)
    for model in study.models:
        if model.is_installed and ":" in str(model.options.get("factory", "")):
            yield str(model.options["factory"])
        if ":" in model.importer:
            yield from (model.importer, importer_named(model.importer).loader)


def _pack_model(model: Model, number: int, study_folder: Path, folder: Path, text: str) -> str:
    """Copy a network and what belongs to it; the study's text, in which a path that leads elsewhere is a new one."""
    if not is_path(model.source):  # code beside the study
        _pack_file(model.path, os.path.relpath(model.path, study_folder.absolute()), Path(_MODELS), folder, text)
        return text
    text = _pack_file(model.path, model.source, Path(_MODELS, str(number)), folder, text)
    target = folder / _packed_path(model.path, model.source, Path(_MODELS, str(number)))
    for companion in model.companions:
        copy = target.parent / companion.relative_to(model.path.parent)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(companion, copy)
    return text


def _packed_path(path: Path, source: str, elsewhere: Path) -> Path:
    """Where a file lies in the packed folder: as it is written, unless that leads out of it."""
    written = Path(source)
    leads_out = written.is_absolute() or ".." in written.parts or source.startswith("~")
    return elsewhere / path.name if leads_out else written


def _pack_file(path: Path, source: str, elsewhere: Path, folder: Path, text: str) -> str:
    """Copy a file, or a folder, of a study; its text, in which a path that leads elsewhere is a new one."""
    packed = _packed_path(path, source, elsewhere)
    if packed != Path(source):
        text = text.replace(source, str(packed))
    target = folder / packed
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, target, dirs_exist_ok=True)
    else:
        shutil.copyfile(path, target)
    return text


def _pack_table(table: SavedTable, elsewhere: Path, folder: Path, text: str) -> str:
    """Copy the files of a table, and not the network that may lie beside them; the study's text as of `_pack_file`."""
    if not table.is_named_by_folder:
        text = _pack_file(table.ranges, table.written, elsewhere, folder, text)
        place = (folder / _packed_path(table.ranges, table.written, elsewhere)).parent
    else:
        packed = _packed_path(table.ranges.parent, table.written, elsewhere)
        text = text if packed == Path(table.written) else text.replace(table.written, str(packed))
        place = folder / packed
        place.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(table.ranges, place / RANGES)
    if table.has_histograms:
        shutil.copyfile(table.ranges.parent / HISTOGRAMS, place / HISTOGRAMS)
    return text


def _pack_module(name: str, folder: Path) -> None:
    """A module of a person's own; what is installed is taken to be installed there too."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        return
    origin = Path(spec.origin)
    installed = [Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib", "stdlib")]
    if any(origin.is_relative_to(folder) for folder in installed):
        return
    if spec.submodule_search_locations:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(origin.parent, folder / name, ignore=ignore, dirs_exist_ok=True)
    else:
        shutil.copyfile(origin, folder / origin.name)


def _check_size(folder: Path, study_file: Path) -> None:
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if total > _MOST_BYTES:
        raise StudyError(
            f"come to {total / 2**20:.0f} MB, more than a job can carry",
            file=study_file,
            key="models",
            allowed=f"{_MOST_BYTES / 2**20:.0f} MB; for larger ones, `sweep run --address auto` on the cluster itself",
        )


def _loaded(packed: Path) -> Study | None:
    try:
        return load_study(packed)
    except StudyError:  # it was well-formed a moment ago: something did not come along
        return None


def _content(model: Model) -> tuple[object, ...]:
    return model.name, model.sha256, model.inputs, {name: one.values for name, one in model.given.items()}
