"""Small networks of PyTorch, and their import as a study asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.study.importers.importer import ModelImporter
from sweep.study.importers.importer_registry import importer_named
from sweep.study.model_file import read_model
from sweep.study.model_form import ModelForm
from sweep.toolchain.models.network_import import import_network

Import = Callable[..., dict[str, Any]]


@pytest.fixture
def importing(tmp_path: Path) -> Import:
    """Imports a model, by its `path:` and what else an entry of a study says, into `tmp_path / "import"`."""

    def import_(path: str, batch: int | None = None, **entry: Any) -> dict[str, Any]:
        model = read_model(ModelForm(path=path, **entry), tmp_path / "study.yaml", "models[0]")
        importer: ModelImporter = importer_named(model.importer)
        options: Mapping[str, Any] = {
            "inputs": {name: list(shape) for name, shape in model.inputs.items()},
            "seed": 0,
            "batch": batch,
            **model.options,
        }
        folder = tmp_path / "import"
        folder.mkdir(exist_ok=True)
        hints = {"path": str(model.path), "loader": importer.loader}
        return import_network(options, hints, folder)

    return import_


def arrays(folder: Path, name: str) -> list[Any]:
    """Of a file of an import, in order."""
    stored = np.load(folder / name)
    return [stored[key] for key in stored.files]
