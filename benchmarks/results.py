"""What a benchmark leaves: a table on the screen, and JSON with the conditions in a folder."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from sweep.devices.measuring.conditions import observe

__all__ = ["RESULTS", "conditions", "latest_folder", "new_folder", "print_table", "read_json", "save"]

RESULTS = Path("bench-results")
_PACKAGES = ("apache-tvm", "apache-tvm-ffi", "onnx", "onnxruntime", "xgboost-cpu", "ray", "numpy")


def new_folder(name: str, out: Path | None) -> Path:
    """`out`, or a folder of this moment under `bench-results`; it is there when this returns."""
    folder = out or RESULTS / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder.absolute()


def latest_folder(name: str, out: Path | None) -> Path | None:
    """`out`, or the newest folder of a benchmark; None when there is none."""
    return out.absolute() if out else max((path.absolute() for path in RESULTS.glob(f"{name}-*")), default=None)


def conditions(**budget: Any) -> dict[str, Any]:
    """This machine now, the versions of what works, and what the benchmark was given."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        **observe(),
        "cores_online": os.cpu_count(),
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions,
        "budget": budget,
    }


def save(folder: Path, name: str, data: Mapping[str, Any]) -> Path:
    """Write `<name>.json` into the folder, whole or not at all."""
    path = folder / f"{name}.json"
    part = path.with_suffix(".part")
    part.write_text(json.dumps(data, indent=1, default=str), encoding="utf-8")
    part.replace(path)
    return path


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table in plain text; the first column is flush left, None is a dash."""
    cells = [[_text(value) for value in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    print(f"\n{title}")
    for row in cells:
        print(
            "  ".join(
                text.rjust(width) if at else text.ljust(width)
                for at, (text, width) in enumerate(zip(row, widths, strict=True))
            )
        )


def _text(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
