"""Models of PyTorch: exported programs, and what makes a module: torchvision's and timm's names, and functions."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
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
from sweep.study.importers.pytorch.factory_sources import (
    cached_weights,
    function_names,
    module_file,
    timm_names,
    torchvision_names,
    usual_inputs,
)
from sweep.study.importers.pytorch.pt2_archive import ArchiveKind, kind_of, pt2_inputs
from sweep.suggestions import hint, listed

__all__ = ["FUNCTION", "PROGRAM", "TIMM", "TORCHVISION", "FactoryImporter", "FunctionImporter", "ProgramImporter"]

_EXPORT = "torch.export.save(torch.export.export(module.eval(), inputs), 'net.pt2')"
_FACTORY = "module:function that returns the module and example inputs"
_MENDS = {
    ArchiveKind.TORCHSCRIPT: f"an exported program of the module it was made of: {_EXPORT}",
    ArchiveKind.COMPILED: f"the exported program that it was compiled from: {_EXPORT}",
    ArchiveKind.MODULE: f"an exported program: {_EXPORT}; or {_FACTORY}",
    ArchiveKind.WEIGHTS: f"{_FACTORY}, which loads them; or {_EXPORT}",
}
_FORMATS = ("pt2", "onnx") if importlib.util.find_spec("onnxscript") else ("pt2",)
"""Torch writes ONNX by the package onnxscript. What it cannot write has a row that says so."""
_PACKAGES = ("torch", "onnxscript")
"""What any network of PyTorch is imported by. The second is in the id of an import also where it is absent: an import
that was made without it left no ONNX, and is done again once it is there.
"""
_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


@dataclass(frozen=True, kw_only=True)
class ProgramImporter(FileImporter):
    """The importer of what `torch.export.save` writes."""

    runs_code: bool = True
    """Torch evaluates expressions of an archive and unpickles what is in it."""

    def identify(self, written: WrittenModel) -> ModelFiles:
        """The file and its hash. Raises StudyError for other files of torch, with the way to an exported program."""
        path = file_of(written, self)
        _require("torch", written)
        try:
            kind = kind_of(path)
        except OSError as error:
            raise written.refused(f"cannot be read: {error.strerror}") from None
        if kind in _MENDS:
            raise written.refused(f"is {kind.value}", _MENDS[kind])
        return hashed_files(path, written)

    def inputs_of(self, path: Path) -> Sequence[ModelInput]:
        """What a caller feeds. Raises ValueError, OSError."""
        return pt2_inputs(path)


@dataclass(frozen=True, kw_only=True)
class FactoryImporter(FileImporter):
    """The importer of the networks that a package of factories has by name."""

    package: str
    """That has them, which is the extra's name too where that is not `torch`."""
    extra: str

    def identify(self, written: WrittenModel) -> ModelFiles:
        """The file of the factory. Weights that its package has kept on this machine are taken; else random ones."""
        _require("torch", written)
        _require(self.package, written, self.extra)
        name, names = written.source.removeprefix(self.prefixes[0]), self._names()
        base = name.partition(".")[0] if self.package == "timm" else name
        if base not in names:
            near = hint(base, names)
            allowed = f"{self.prefixes[0]}NAME, one of {len(names)}: {listed(_near_first(base, names))}, ..."
            raise written.refused(f"is no network of {self.package}{near}", allowed)
        weights = cached_weights(names[base], base) if self.package == "torchvision" else None
        options = {"factory": written.source, "weights": "random" if weights is None else weights.stem}
        files = [names[base]] if weights is None else [names[base], weights]
        inputs = usual_inputs(base, names[base]) if self.package == "torchvision" else None
        return ModelFiles(names[base], hash_of(files, written), is_installed=True, options=options, inputs=inputs)

    def known_names(self) -> Iterable[str]:
        """Those of the installed package."""
        return [self.prefixes[0] + name for name in self._names()]

    def _names(self) -> dict[str, Path]:
        return torchvision_names() if self.package == "torchvision" else timm_names()


@dataclass(frozen=True, kw_only=True)
class FunctionImporter(FileImporter):
    """The importer of what a person's function makes: `module:function`."""

    runs_code: bool = True
    gives_batch: bool = True
    """Its example inputs have the batch that the network is measured at where a study lists none."""

    def claims(self, source: str) -> bool:
        """Whether a model as written has the form of one."""
        return _FUNCTION.fullmatch(source) is not None

    def identify(self, written: WrittenModel) -> ModelFiles:
        """The module's file, in the study's folder or on the path, and its hash; what it imports does not count."""
        module, _, function = written.source.partition(":")
        found = module_file(module, written.study_file.parent)
        if found is None:
            place = f"{module.replace('.', '/')}.py beside the study, or a module on PYTHONPATH"
            raise written.refused(f"is no model: there is no module {module!r}", place)
        _require("torch", written)
        path, is_beside = found
        names = function_names(path)
        if names is not None and function not in names:
            known = [name for name in names if not name.startswith("_")]
            raise written.refused(f"is not in {path.name}{hint(function, known)}", listed(known) or "a function")
        options = {"factory": written.source, "weights": "as-is"}
        files = hashed_files(path, written, options=options)
        return replace(files, is_hashed=is_beside, is_installed=not is_beside)


def _require(package: str, written: WrittenModel, extra: str = "torch") -> None:
    if importlib.util.find_spec(package) is None:
        raise written.refused(f"needs {package}, which is not installed", f"pip install 'tvm-sweep[{extra}]'")


def _near_first(name: str, names: Iterable[str]) -> list[str]:
    """A few, those first that begin as it does."""
    start = name[:3].lower()
    return sorted(names, key=lambda other: (not other.startswith(start), other))[:8]


PROGRAM = ProgramImporter(
    name="torch",
    title="an exported program of PyTorch",
    suffixes=(".pt2", ".pt", ".pth"),
    distributions=_PACKAGES,
    formats=_FORMATS,
    loader="sweep.toolchain.models.pytorch.torch_loader:ProgramLoader",
)
TORCHVISION = FactoryImporter(
    name="torchvision",
    title="a network of torchvision",
    suffixes=(),
    prefixes=("torchvision:",),
    distributions=(*_PACKAGES, "torchvision"),
    formats=_FORMATS,
    loader="sweep.toolchain.models.pytorch.torch_loader:FactoryLoader",
    package="torchvision",
    extra="torch",
)
TIMM = FactoryImporter(
    name="timm",
    title="a network of timm",
    suffixes=(),
    prefixes=("timm:",),
    distributions=(*_PACKAGES, "timm"),
    formats=_FORMATS,
    loader="sweep.toolchain.models.pytorch.torch_loader:FactoryLoader",
    package="timm",
    extra="timm",
)
FUNCTION = FunctionImporter(
    name="torch-function",
    title="a function that makes a PyTorch module",
    suffixes=(),
    distributions=_PACKAGES,
    formats=_FORMATS,
    loader="sweep.toolchain.models.pytorch.torch_loader:FactoryLoader",
)
