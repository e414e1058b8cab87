"""A study of one network on one device, written for whoever asks for no more than that."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sweep.errors import StudyError
from sweep.files.atomic import write_text
from sweep.files.sweep_dir import SweepDir
from sweep.study.importers.importer_registry import claimant, is_path, stem_of

__all__ = ["SingleModelStudy", "write_study"]

_HEADER = "# Written by `sweep tune`: what it asked for, as a study. Add to it, and `sweep run` does the difference.\n"


@dataclass(frozen=True, slots=True)
class SingleModelStudy:
    """What is asked for."""

    model: str
    """As a study has it: `onnx-light:NAME`, or the path of a model."""
    target: str
    tuner: str
    device: str
    trials_per_task: int | None = None
    """None: what the tuner has by default."""
    opt_level: int = 3
    precision: str = "float32"

    @property
    def name(self) -> str:
        """Of the study and of its folder: small letters, digits and dashes."""
        model = stem_of(self.model, claimant(self.model))
        words = re.sub(r"[^a-z0-9]+", "-", f"tune-{model}-{self.device}".lower()).strip("-")
        return words[:80].strip("-")

    def as_study(self) -> dict[str, Any]:
        """The study: the network untuned, tuned, and ONNX Runtime where the device has it."""
        tuner: dict[str, Any] = {"name": self.tuner}
        if self.trials_per_task is not None:
            tuner["trials_per_task"] = self.trials_per_task
        tuners: list[Any] = ["none"] if self.tuner == "none" else ["none", tuner]
        model = str(Path(self.model).absolute()) if is_path(self.model) else self.model
        return {
            "study": self.name,
            "question": f"What does tuning with {self.tuner} buy on {self.device}?",
            "models": [model],
            "targets": [self.target],
            "tuners": tuners,
            "opt_levels": [self.opt_level],
            "axes": {"precision": [self.precision]},
            "devices": [self.device],
        }


def write_study(asked: SingleModelStudy, folder: Path | str) -> Path:
    """Write the study beside the folder of its sweep, as `<folder>.yaml`; the same again changes nothing.

    Raises:
        StudyError: there is another study of that name that was run, or that a person wrote.
    """
    folder = Path(folder)
    path = folder.with_name(f"{folder.name}.yaml")
    text = _HEADER + yaml.safe_dump(asked.as_study(), sort_keys=False, allow_unicode=True)
    try:
        there = path.read_text(encoding="utf-8") if path.exists() else text
        is_kept = SweepDir(folder).is_sweep or not there.startswith(_HEADER)
        if there != text and is_kept:
            raise StudyError(
                "is another study", key="--out", value=str(path), allowed=f"another --out, or `sweep run {path}`"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        raise StudyError(f"cannot be written: {error.strerror}", key="--out", value=str(path)) from error
    return path
