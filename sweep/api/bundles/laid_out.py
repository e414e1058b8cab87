"""A bundle laid out as the artifacts of a sweep, so that a device measures it as it would a stage of a run."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.api.bundles.reading import opened
from sweep.files.sweep_dir import OUTPUTS_FILE, stage_folder
from sweep.planning.results.compiling import BuildResult, ImportResult

__all__ = ["LaidOut", "laid_out"]

_ID = "bundle"


@dataclass(frozen=True, slots=True)
class LaidOut:
    """The folder, and the results of the stages that would have made it."""

    sweep_dir: Path
    """Gone afterwards."""
    built: BuildResult
    imported: ImportResult
    manifest: dict[str, Any]


@contextmanager
def laid_out(path: Path) -> Iterator[LaidOut]:
    """The bundle of a folder or a zip file. Raises StudyError where it is none, of a newer version, or damaged."""
    with opened(path) as bundle, tempfile.TemporaryDirectory(prefix="bundle-") as scratch:
        sweep_dir, manifest = Path(scratch), bundle.manifest
        built = BuildResult(
            dir=stage_folder("build", _ID), lib=manifest["library"], target_json=json.dumps(manifest["target"])
        )
        imported = ImportResult(dir=stage_folder("import", _ID), outputs=tuple(manifest["outputs"]))
        for result in (built, imported):
            (sweep_dir / result.folder()).mkdir(parents=True)
        computed_in = manifest.get("computed_in") or manifest["axes"]["precision"]
        metadata = json.dumps({"inputs": manifest["inputs"], "lowering": {"precision": computed_in}})
        (sweep_dir / built.folder() / "metadata.json").write_text(metadata, encoding="utf-8")
        outputs = [
            {
                "name": output.get("name", ""),
                "is_quantised": bool(output.get("is_quantised")),
                **{name: output[name] for name in ("step", "tolerance") if name in output},
            }
            for output in manifest["outputs"]
        ]
        (sweep_dir / imported.folder() / OUTPUTS_FILE).write_text(json.dumps(outputs), encoding="utf-8")
        copies = {
            manifest["library"]: f"{built.folder()}/lib.so",
            "inputs.npz": f"{imported.folder()}/inputs.npz",
            "expected.npz": f"{imported.folder()}/reference.npz",
        }
        for name, place in copies.items():
            if name in manifest["files"]:
                shutil.copyfile(bundle.folder / name, sweep_dir / place)
        yield LaidOut(sweep_dir, built, imported, manifest)
