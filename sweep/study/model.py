"""A network of a study: the files that it is made of, and what a person says of its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweep.study.datasets import Dataset
from sweep.study.importers.batch_dimension import BatchDimension
from sweep.study.importers.given_inputs import GivenInput

__all__ = ["Model"]


@dataclass(frozen=True, slots=True)
class Model:
    """A network to compile."""

    name: str
    source: str
    """As written: `onnx-light:squeezenet`, or a path."""
    path: Path
    sha256: str
    """Of the file, and of the files that belong to it where there are any."""
    inputs: Mapping[str, tuple[int, ...]]
    """Shapes that replace the file's own; inputs that are not named keep theirs."""
    importer: str = "onnx"
    """The name of its importer, or `module:attribute`."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What else decides the result of its import, by its importer."""
    formats: tuple[str, ...] = ("onnx",)
    """The forms in which its import leaves the network for other runtimes than TVM."""
    companions: tuple[Path, ...] = ()
    """Further files that belong to it, each in the folder of `path` or below."""
    is_hashed: bool = False
    """Whether the hash is of `path` and then of `companions`, and of nothing else: its import looks again."""
    is_installed: bool = False
    """Whether a package brings its files, so that a run elsewhere has them too."""
    given: Mapping[str, GivenInput] = field(default_factory=dict)
    """What inputs hold when it is compared and measured, where a person says it."""
    batch: BatchDimension = field(default_factory=BatchDimension)
    """How it takes the batch axis."""
    base: Model | None = None
    """The model that it is a variant of."""
    original: str | None = None
    """The name of the model that its file was quantised from; None where nobody says."""
    training: Dataset | None = None
    """Of a variant that is trained, what it learns from."""

    @property
    def trained(self) -> Model | None:
        """The nearest model that is trained, of this one and those that it is made of."""
        if self.training is not None:
            return self
        return None if self.base is None else self.base.trained
