"""Models in Keras's own format, which its PyTorch backend runs; files of earlier formats are refused with the mend."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sweep.study.importers.importer import FileImporter, ModelFiles, ModelInput, WrittenModel, file_of, hash_of
from sweep.study.importers.keras.keras_archive import read_archive

__all__ = ["KERAS", "KerasImporter"]

_SAVE = "keras.saving.load_model(FILE).save('net.keras')"


@dataclass(frozen=True, kw_only=True)
class KerasImporter(FileImporter):
    """The importer of `.keras` files."""

    own_runtime: str
    """Its backend here."""

    def identify(self, written: WrittenModel) -> ModelFiles:
        """The file and its hash. Raises StudyError for older formats, and for archives that bring code."""
        path = file_of(written, self)
        if path.suffix.lower() != ".keras":
            raise written.refused("is of an earlier format of Keras", f"a .keras file: {_SAVE}")
        for package in ("keras", "torch"):
            if importlib.util.find_spec(package) is None:
                raise written.refused(f"needs {package}, which is not installed", "pip install 'tvm-sweep[keras]'")
        try:
            code = read_archive(path).foreign_code()
        except ValueError:
            raise written.refused("is damaged, or something else", f"{self.title}, whole") from None
        except OSError as error:
            raise written.refused(f"cannot be read: {error.strerror}") from None
        if code is not None:
            problem = f"has {code}, which is not run"
            raise written.refused(problem, "a model of Keras's own layers, or module:function that makes it in PyTorch")
        return ModelFiles(path, hash_of([path], written))

    def inputs_of(self, path: Path) -> Sequence[ModelInput]:
        """What a caller feeds. Raises ValueError, OSError."""
        try:
            return read_archive(path).inputs()
        except (LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"names no inputs: {error}") from error


KERAS = KerasImporter(
    name="keras",
    title="a Keras model",
    suffixes=(".keras", ".h5", ".hdf5"),
    distributions=("keras", "torch"),
    formats=("pt2",),
    own_runtime="torch",
    loader="sweep.toolchain.models.keras.keras_loader:KerasLoader",
)
