"""The first two files of a person: a study of one network, and a cluster file of this machine, both with comments.

A dimension that the network leaves open gets a value that usually fits, and a comment says that it is a guess.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sweep.api.written_studies.init_texts import CLUSTER, STUDY
from sweep.errors import StudyError
from sweep.files.atomic import write_text
from sweep.study.cluster.cluster import DEFAULT_FILE
from sweep.study.importers.batch_dimension import batch_dimension
from sweep.study.importers.importer import ModelInput, WrittenModel
from sweep.study.importers.importer_registry import is_path
from sweep.study.model_file import find_model
from sweep.study.runtime_choice import usual_runtime
from sweep.study.runtimes import title_of
from sweep.study.spec import Model
from sweep.study.targets import host

__all__ = ["EXAMPLE", "STUDY_FILE", "FirstFiles", "init"]

EXAMPLE = "onnx-light:squeezenet"
"""The network of a person who names none: it is inside the onnx package."""
STUDY_FILE = Path("study.yaml")

_LEADING, _CHANNELS, _SIDE, _LENGTH = 1, 3, 224, 128
"""Guesses for open dimensions: of a batch, of a picture, of a sequence."""


@dataclass(frozen=True, slots=True)
class FirstFiles:
    """What was written, and what of it a person should look at."""

    study: Path
    cluster: Path
    is_cluster_new: bool
    """False: there was one already, and it stays as it is."""
    inputs: tuple[ModelInput, ...]
    """Those of the network, as far as its header tells them."""
    guesses: tuple[str, ...]
    """Dimensions that the network leaves open, each with the value it got: `ids[1] (sequence) = 128`."""


def init(model: str = EXAMPLE, out: Path | str = ".") -> FirstFiles:
    """Write a study of a model and a cluster file for this machine into a folder, which is made.

    Raises:
        StudyError: there is no such model, or it is damaged; the study is there already, or cannot be written.
    """
    folder = Path(out)
    study, cluster = folder / STUDY_FILE, folder / DEFAULT_FILE
    if study.exists():
        raise StudyError("is there already", file=study, allowed="another folder: --out DIR")
    network, inputs = _read(model)
    source = os.path.relpath(network.path, folder.resolve()) if is_path(model) else model
    text, guesses = _study_text(network, source, inputs)
    is_cluster_new = not cluster.exists()
    try:
        cluster.parent.mkdir(parents=True, exist_ok=True)
        write_text(study, text)
        if is_cluster_new:
            write_text(cluster, _cluster_text())
    except OSError as error:
        raise StudyError(f"cannot be written: {error.strerror}", key="--out", value=str(folder)) from error
    return FirstFiles(study, cluster, is_cluster_new, tuple(inputs), tuple(guesses))


def _read(model: str) -> tuple[Model, Sequence[ModelInput]]:
    try:
        network, declared = find_model(model, Path(), "MODEL")
    except StudyError as error:
        raise StudyError(error.problem, key="MODEL", value=error.value, allowed=error.allowed) from error
    return network, declared or ()


def _study_text(network: Model, source: str, inputs: Sequence[ModelInput]) -> tuple[str, list[str]]:
    """The study, and the guesses in it."""
    name, runtime = network.name, title_of(usual_runtime(network))
    lines, shapes, guesses = [], {}, []
    for declared in inputs:
        lines.append(f"  # input {_word(declared.name)}: {_shown(declared)}")
        shapes[declared.name] = sizes = _filled(declared)
        for index, dimension in enumerate(declared.shape or ()):
            if isinstance(dimension, str) and index > 0:  # the axis `batch` sets the leading one
                guesses.append(f"{declared.name}[{index}] ({_word(dimension)}) = {sizes[index]}")
    takes_batch = batch_dimension(None, inputs, {}, WrittenModel(source, Path(), "MODEL"), name).takes_default
    entry = f"  - {_word(source)}"
    if guesses:
        entry = f"  - path: {_word(source)}\n    inputs:                            # open in the file: look at these"
        for input_name, sizes in shapes.items():
            if sizes:
                entry += f"\n      {_word(input_name)}: {sizes}"
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:80].strip("-") or "first"
    axis = (
        {"batch": f", batch: [{_LEADING}]", "more": ", further batches"} if takes_batch else {"batch": "", "more": ""}
    )
    return STUDY.format(slug=slug, runtime=runtime, model="\n".join([entry, *lines]), **axis), guesses


def _filled(declared: ModelInput) -> list[int]:
    """Its shape with guesses where it is open."""
    shape = declared.shape or ()
    is_picture = len(shape) == 4
    guesses = [_LEADING, _CHANNELS, _SIDE, _SIDE] if is_picture else [_LEADING, *[_LENGTH] * 7]
    return [size if isinstance(size, int) else guess for size, guess in zip(shape, guesses, strict=False)]


def _cluster_text() -> str:
    cores = host.usable_cores()
    return CLUSTER.format(cpu=host.cpu_id(), cores=", ".join(map(str, cores)), last=cores[-1])


def _shown(declared: ModelInput) -> str:
    if declared.shape is None:
        return "the file does not say its shape"
    return f"[{', '.join(_word(str(size)) for size in declared.shape)}]"


def _word(text: str) -> str:
    """A text as YAML reads it back."""
    is_plain = re.fullmatch(r"[A-Za-z0-9_./][A-Za-z0-9_./+:-]*(?<!:)|\?", text)
    return text if is_plain else json.dumps(text, ensure_ascii=False)
