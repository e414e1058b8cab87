"""The importer of variants: models that are made of another model, which has its own importer."""

from __future__ import annotations

from dataclasses import dataclass

from sweep.study.importers.importer import FileImporter, ModelFiles, WrittenModel

__all__ = ["VARIANT", "VariantImporter"]


@dataclass(frozen=True, kw_only=True)
class VariantImporter(FileImporter):
    """A variant is rewritten in ONNX, which all importers but that of TFLite leave their networks in."""

    def identify(self, written: WrittenModel) -> ModelFiles:
        """Raises StudyError: no file is a variant."""
        raise written.refused("is no variant, which is written otherwise", "{from: MODEL, prune: {...}}")


VARIANT = VariantImporter(
    name="variant",
    title="a variant of another model",
    suffixes=(),
    distributions=("onnx",),
    formats=("onnx",),
    loader="sweep.toolchain.models.variants.variant_loader:VariantLoader",
)
