"""A folder of a zoo that is named as a model: which file in it is the network, and what the network is called."""

from __future__ import annotations

import json
from pathlib import Path

from sweep.files.confined import OutsideFolder, below
from sweep.study.importers.importer import WrittenModel, path_of
from sweep.study.model_form import ModelForm

__all__ = ["FORMAT", "MANIFEST", "VERSION", "from_zoo", "is_zoo_folder"]

FORMAT, VERSION, MANIFEST = "tvm-sweep-zoo", 1, "manifest.json"


def is_zoo_folder(folder: Path) -> bool:
    """Whether a folder has a manifest of a zoo, of whichever version."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("format") == FORMAT


def from_zoo(form: ModelForm, at: WrittenModel) -> ModelForm:
    """The same with the file of the network in place of its folder; as it is where it names no folder of a zoo.

    Raises StudyError where the folder is a newer version's or lacks the file.
    """
    folder = path_of(at)
    if not (folder / MANIFEST).is_file():
        return form
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest.get("format") != FORMAT:
            return form
        version, network, name = manifest["version"], str(manifest["network"]), str(manifest["model"])
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise at.refused(f"has a {MANIFEST} that cannot be read: {error!r}", "a folder of a zoo") from error
    if version != VERSION:
        raise at.refused(f"is of version {version} of the zoo's form", f"version {VERSION}")
    try:
        is_there = below(folder, network).is_file()
    except OutsideFolder:
        is_there = False
    if not is_there:
        raise at.refused(f"has no file {network!r}, which its {MANIFEST} names", "a whole folder of a zoo")
    return form.model_copy(update={"path": str(Path(form.path) / network), "name": form.name or name})
