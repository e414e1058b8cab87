"""The one gate: a person's files come in here, and frozen data comes out or one line that says what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sweep.errors import StudyError
from sweep.files.schema_ids import schema_id
from sweep.redaction import redacted
from sweep.study.advised_precisions import check_advised
from sweep.study.axes import axis_names, axis_of, listed_axes
from sweep.study.axis import Axis
from sweep.study.calibration_options import read_calibration
from sweep.study.cluster.cluster import Cluster
from sweep.study.cluster.cluster_file import local_cluster, read_cluster
from sweep.study.cluster.cluster_form import ClusterForm
from sweep.study.datasets import read_datasets
from sweep.study.evaluate_options import read_evaluate
from sweep.study.final_options import read_final
from sweep.study.measure_options import read_measure
from sweep.study.notify import read_notify
from sweep.study.objective import read_objective
from sweep.study.planner_options import read_planner
from sweep.study.profile_options import observed, read_profile
from sweep.study.reading.form import VersionedForm
from sweep.study.reading.line_numbers import tells_lines
from sweep.study.reading.validation_errors import fill_in
from sweep.study.reading.yaml_file import read_yaml
from sweep.study.run_budget import read_budget
from sweep.study.runtime_choice import read_runtimes
from sweep.study.spec import Model, Rule, Study, Target
from sweep.study.study_form import RuleForm, StudyForm, study_form
from sweep.study.tags import Tags
from sweep.study.targets.written_target import read_target
from sweep.study.tuners.tuner_entry import read_tuner
from sweep.study.variants.variant_models import read_models
from sweep.suggestions import hint, listed

__all__ = ["cluster_json_schema", "load_cluster", "load_study", "local_cluster", "study_json_schema", "study_of"]

_NO_FILE = "<study>"
"""Stands in errors where the name of a study file would."""


@tells_lines
def load_study(path: Path) -> Study:
    """A study file, checked, with every default filled in.

    Raises StudyError, one line, about the first thing that is wrong. What depends on the devices there are is checked
    when the grid meets a cluster, in `sweep.study.grid`.
    """
    path = Path(path)
    return _study(read_yaml(path, "study file"), path)


def study_of(document: Mapping[str, Any], folder: Path) -> Study:
    """A study as a mapping, with the keys of a study file; `folder`: where relative paths in it start.

    Raises StudyError as `load_study` does, without a line.
    """
    return _study(dict(document), folder / _NO_FILE)


def _study(document: dict[str, Any], path: Path) -> Study:
    form = fill_in(study_form(), document, path)
    datasets = read_datasets(form.datasets, path)
    models, places = read_models(form.models, datasets, path)
    models = _with_batches(models, places, form, path)
    targets = tuple(read_target(entry, path, f"targets[{i}]") for i, entry in enumerate(form.targets))
    tuners = tuple(read_tuner(entry, form.seed, path, f"tuners[{i}]") for i, entry in enumerate(form.tuners))
    _refuse_duplicates("models", [model.name for model in models], path, "a `name:` of its own for each", places)
    _check_originals(models, places, path)
    _refuse_duplicates("targets", [target.name for target in targets], path, "a `name:` of its own for each")
    _refuse_equal_targets(targets, path)
    _refuse_duplicates("tuners", [tuner.label for tuner in tuners], path, "a `label:` of its own for each")
    runtimes, baseline = read_runtimes(form, path, models)
    _refuse_duplicates("runtimes", form.runtimes, path, "each runtime once")
    _refuse_duplicates("reference", form.reference or (), path, "each runtime once")
    choices = {axis.name: _distinct(axis.study_key, form.names_of(axis), path) for axis in listed_axes()}
    study = Study(
        name=form.study,
        question=" ".join(form.question.split()),
        models=models,
        targets=targets,
        tuners=tuners,
        choices=observed(form.profile, choices, form.axes.model_fields_set, path),
        devices=None if form.devices is None else _distinct("devices", form.devices, path),
        exclude=tuple(_rule(rule) for rule in form.exclude),
        include=tuple(_rule(rule) for rule in form.include),
        measure=read_measure(form.measure),
        budget=read_budget(form.budget),
        seed=form.seed,
        runtimes=runtimes,
        baseline=baseline,
        path=path,
        tags=_tags(form),
        notify=read_notify(form.notify),
        final=read_final(form.final, "final" in form.model_fields_set),
        planner=read_planner(form.planner),
        profile=read_profile(form.profile),
        objective=read_objective(form.objective, form.evaluate is not None, path),
        described=form.described(),
        calibration=read_calibration(
            form.calibration,
            datasets,
            form.described().get("precision", {}),
            [model.name for model in models],
            path,
        ),
        tells_layer_errors=form.evaluate is not None and form.evaluate.layer_error,
        tells_layer_latencies=form.evaluate is not None and form.evaluate.layer_latency,
        datasets=datasets,
        evaluate=read_evaluate(form.evaluate, datasets, [model.name for model in models], path),
    )
    _check_rules(study)
    check_advised(study)
    return study


@tells_lines
def load_cluster(path: Path) -> Cluster:
    """A cluster file, checked: every default filled in, cores and the CPU of this host resolved.

    Raises StudyError, one line, about the first thing that is wrong.
    """
    return read_cluster(Path(path))


def study_json_schema() -> dict[str, Any]:
    """The JSON schema of a study file, for editors."""
    return _json_schema(study_form(), "study")


def cluster_json_schema() -> dict[str, Any]:
    """The JSON schema of a cluster file, for editors."""
    return _json_schema(ClusterForm, "cluster")


def _json_schema(form: type[VersionedForm], what: str) -> dict[str, Any]:
    schema = form.model_json_schema(by_alias=True)
    schema["properties"]["version"]["maximum"] = form.newest
    dialect, its_id = "https://json-schema.org/draft/2020-12/schema", schema_id(what, form.newest)
    return {"$schema": dialect, "$id": its_id, **schema, "title": f"A sweep {what}"}


def _tags(form: StudyForm) -> Tags:
    """A text may be a URI with a login, and tags go everywhere."""
    rules = tuple((_rule(entry.cells), _shown(entry.tags)) for entry in form.cell_tags)
    return Tags(_shown(form.tags), rules)


def _shown(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: redacted(text) for name, text in tags.items()}


def _rule(form: RuleForm) -> Rule:
    written = form.model_dump(exclude_none=True)
    return {axis: tuple(value) if isinstance(value, list) else (value,) for axis, value in written.items()}


def _distinct(key: str, values: list[Any], file: Path) -> tuple[Any, ...]:
    _refuse_duplicates(key, values, file, "each value once")
    return tuple(values)


def _check_originals(models: Sequence[Model], places: Sequence[int], path: Path) -> None:
    """Raises StudyError for an original that is no other model of the study."""
    for model, place in zip(models, places, strict=True):
        others = [other.name for other in models if other.name != model.name]
        if model.original is not None and model.original not in others:
            problem, key = f"is no other model of the study{hint(model.original, others)}", f"models[{place}].original"
            allowed = listed(others) if others else "a second model, in float32"
            raise StudyError(problem, file=path, key=key, value=model.original, allowed=allowed)


def _refuse_duplicates(
    key: str, names: Sequence[Any], file: Path, allowed: str, places: Sequence[int] | None = None
) -> None:
    """places: the number of the entry that each comes from, where that is not its own."""
    seen: dict[Any, int] = {}
    for index, name in zip(places or range(len(names)), names, strict=True):
        if name in seen:
            raise StudyError(
                f"is the same as {key}[{seen[name]}]", file=file, key=f"{key}[{index}]", value=name, allowed=allowed
            )
        seen[name] = index


def _refuse_equal_targets(targets: tuple[Target, ...], file: Path) -> None:
    for index, target in enumerate(targets):
        for earlier in targets[:index]:
            if target.attrs == earlier.attrs:
                raise StudyError(
                    f"is the same target as {earlier.name}",
                    file=file,
                    key=f"targets[{index}]",
                    value=target.name,
                    allowed="each target once",
                )


def _with_batches(models: tuple[Model, ...], places: Sequence[int], form: StudyForm, file: Path) -> tuple[Model, ...]:
    """The models with the batches of their cells.

    Raises StudyError where a study lists one that a model cannot take, or gives an input another size where it stands.
    """
    batches, is_listed = form.values_of(axis_of("batch")), "batch" in form.axes.model_fields_set
    found = []
    for index, model in zip(places, models, strict=True):
        if is_listed and model.batch.takes_axis:
            _check_batches(model, index, batches, file)
        own = model.batch.values(batches, is_listed=is_listed)
        batch = replace(model.batch, batches=None if own == tuple(batches) else own)
        found.append(replace(model, batch=batch))
    return tuple(found)


def _check_batches(model: Model, number: int, batches: Sequence[int], file: Path) -> None:
    refused = [batch for batch in batches if batch != model.batch.only]
    if model.batch.refusal and refused:
        raise StudyError(model.batch.refusal, file=file, key="axes.batch", value=refused[0], allowed=model.batch.mend)
    for name, shape in model.inputs.items():
        for index, size in enumerate(shape):
            if model.batch.sets(name, index) and size not in batches:
                raise StudyError(
                    f"has {size} where the batch stands, which is no value of axes.batch",
                    file=file,
                    key=f"models[{number}].inputs.{name}",
                    value=list(shape),
                    allowed=f"{listed(batches)}, or axes: {{batch: [{size}]}}",
                )


def _has_form(axis: Axis) -> bool:
    return axis.described is not None and axis.described.form is not None


def _check_rules(study: Study) -> None:
    """Rules may speak only of what the study has; devices are known later."""
    known = study.axes
    # A rule that adds cells may go beyond the axes, but not name what is defined nowhere
    # Of an axis whose values a study may define, those that it has and those that there are anyway
    named = {axis.name: (*known[axis.name], *axis.choices) for axis in listed_axes() if _has_form(axis)}
    defined = {axis: values for axis, values in known.items() if axis not in study.choices} | named
    tagged = tuple(rule for rule, _ in study.tags.rules)
    for key, rules, values in (
        ("exclude{}", study.exclude, known),
        ("include{}", study.include, defined),
        ("cell_tags{}.cells", tagged, defined),
    ):
        for index, rule in enumerate(rules):
            for axis in axis_names():
                for value in rule.get(axis, ()) if axis in values else ():
                    if value not in values[axis]:
                        near = hint(value, map(str, values[axis])) if isinstance(value, str) else ""
                        raise StudyError(
                            f"is not a value of this axis{near}",
                            file=study.path,
                            key=f"{key.format(f'[{index}]')}.{axis}",
                            value=value,
                            allowed=listed(values[axis]),
                        )
