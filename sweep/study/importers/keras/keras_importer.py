"""Models in Keras's own format, and those that keras.applications makes; Keras's PyTorch backend runs them. Files of
earlier formats are refused with the mend.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sweep.study.importers.importer import (
    FileImporter,
    ModelFiles,
    ModelInput,
    WrittenModel,
    file_of,
    hash_of,
    hashed_files,
)
from sweep.study.importers.keras.keras_archive import read_archive
from sweep.study.importers.pytorch.torch_importers import PROGRAM
from sweep.suggestions import hint, listed

__all__ = ["APPLICATIONS", "KERAS", "KerasImporter"]

APPLICATIONS = "keras-applications:"
"""Starts the name of a network of keras.applications, which is made with seeded random weights."""
_EXPORTED = re.compile(r"^from keras\.src\.applications\.\w+ import ([A-Z]\w+) as \1$", re.MULTILINE)
_SIDE = 224
_SIDES = {"Xception": 299, "InceptionV3": 299, "InceptionResNetV2": 299, "NASNetLarge": 331}
_SIDES |= {f"EfficientNetB{size}": side for size, side in enumerate((224, 240, 260, 300, 380, 456, 528, 600))}
_SIDES |= {f"EfficientNetV2B{size}": side for size, side in enumerate((224, 240, 260, 300))}
_SIDES |= {"EfficientNetV2S": 384, "EfficientNetV2M": 480, "EfficientNetV2L": 480}
"""Of the pictures that a network takes by default, where they are not 224 wide."""

_SAVE = "keras.saving.load_model(FILE).save('net.keras')"


@dataclass(frozen=True, kw_only=True)
class KerasImporter(FileImporter):
    """The importer of `.keras` files."""

    own_runtime: str
    """Its backend here."""

    def identify(self, written: WrittenModel) -> ModelFiles:
        """The file and its hash. Raises StudyError for older formats, and for archives that bring code."""
        if written.source.startswith(APPLICATIONS):
            return _application(written)
        path = file_of(written, self)
        if path.suffix.lower() != ".keras":
            raise written.refused("is of an earlier format of Keras", f"a .keras file: {_SAVE}")
        _require(written)
        try:
            code = read_archive(path).foreign_code()
        except ValueError:
            raise written.refused("is damaged, or something else", f"{self.title}, whole") from None
        except OSError as error:
            raise written.refused(f"cannot be read: {error.strerror}") from None
        if code is not None:
            problem = f"has {code}, which is not run"
            raise written.refused(problem, "a model of Keras's own layers, or module:function that makes it in PyTorch")
        return hashed_files(path, written)

    def inputs_of(self, path: Path) -> Sequence[ModelInput]:
        """What a caller feeds. Raises ValueError, OSError."""
        try:
            return read_archive(path).inputs()
        except (LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"names no inputs: {error}") from error

    def known_names(self) -> Iterable[str]:
        """Those of keras.applications."""
        return [APPLICATIONS + name for name in _applications()]


def _require(written: WrittenModel) -> None:
    for package in ("keras", "torch"):
        if importlib.util.find_spec(package) is None:
            raise written.refused(f"needs {package}, which is not installed", "pip install 'tvm-sweep[keras]'")


def _application(written: WrittenModel) -> ModelFiles:
    _require(written)
    name, files = written.source.removeprefix(APPLICATIONS), _applications()
    if name not in files:
        problem = f"is no network of keras.applications{hint(name, files)}"
        raise written.refused(problem, APPLICATIONS + listed(files))
    side = _SIDES.get(name, _SIDE)
    return ModelFiles(
        files[name],
        hash_of([files[name]], written),
        is_installed=True,
        options={"application": name, "weights": "random"},
        inputs=[ModelInput("image", ("?", side, side, 3), "float32")],
    )


@cache
def _applications() -> Mapping[str, Path]:
    """By name the file that lists it, found without importing Keras."""
    spec = importlib.util.find_spec("keras")
    if spec is None or not spec.submodule_search_locations:
        return {}
    listing = Path(next(iter(spec.submodule_search_locations))) / "applications" / "__init__.py"
    try:
        return dict.fromkeys(sorted(_EXPORTED.findall(listing.read_text(encoding="utf-8"))), listing)
    except OSError:
        return {}


KERAS = KerasImporter(
    name="keras",
    title="a Keras model",
    suffixes=(".keras", ".h5", ".hdf5"),
    prefixes=(APPLICATIONS,),
    distributions=("keras", *PROGRAM.distributions),
    formats=PROGRAM.formats,
    own_runtime="torch",
    loader="sweep.toolchain.models.keras.keras_loader:KerasLoader",
)
