"""The files of a dump, written and read: graph.json, parameters.npz, graph.svg, graph.png."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.errors import StudyError, in_one_line
from sweep.files.npz import load_arrays, save_arrays
from sweep.inspection.counting.complexity import Complexity
from sweep.inspection.drawing.boxes import boxes_of
from sweep.inspection.drawing.layered_layout import laid_out
from sweep.inspection.drawing.png_picture import write_png
from sweep.inspection.drawing.svg_picture import svg_of
from sweep.inspection.dumping.graph_document import document_of
from sweep.inspection.dumping.onnx_document import onnx_document, onnx_of
from sweep.inspection.network_graph import NetworkGraph

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["GRAPH", "PARAMETERS", "load_dump", "write_dump"]

GRAPH, PARAMETERS, SVG, PNG = "graph.json", "parameters.npz", "graph.svg", "graph.png"


def write_dump(path: Path, title: str, graph: NetworkGraph, complexity: Complexity, folder: Path) -> list[Path]:
    """Writes a network of a file into a folder, which is made; returns the files.

    Raises StudyError: the folder has other files, or cannot be written.
    """
    try:
        if folder.exists() and any(each.name not in {GRAPH, PARAMETERS, SVG, PNG} for each in folder.iterdir()):
            raise StudyError(
                "has other files in it", key="--out", value=str(folder), allowed="a new or an empty folder"
            )
        folder.mkdir(parents=True, exist_ok=True)
        document, arrays = _document(path, graph)
        document["layers"] = [asdict(layer) for layer in complexity.layers]
        document["totals"] = complexity.totals()
        (folder / GRAPH).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        save_arrays(folder / PARAMETERS, arrays)
        layout = laid_out(boxes_of(graph, complexity.layers))
        (folder / SVG).write_text(svg_of(layout, title), encoding="utf-8")
        write_png(layout, folder / PNG)
    except OSError as error:
        raise StudyError(f"cannot be written: {error.strerror}", key="--out", value=str(folder)) from error
    return [folder / name for name in (GRAPH, PARAMETERS, SVG, PNG)]


def load_dump(folder: Path | str) -> Any:
    """The network of a dump as the onnx package has it: an `onnx.ModelProto` with its weights.

    Raises StudyError: it is no dump, a damaged one, or one of another format, which is for reading alone.
    """
    place = Path(folder)
    try:
        document = json.loads((place / GRAPH).read_text(encoding="utf-8"))
        arrays = load_arrays(place / PARAMETERS)
    except (OSError, ValueError) as error:
        raise StudyError(f"{place}: is no dump of a network: {in_one_line(error)}") from error
    if not isinstance(document, dict) or "onnx" not in document:
        known = document.get("format") if isinstance(document, dict) else None
        raise StudyError(f"{place}: is a dump of the format {known}; allowed: one of an ONNX model")
    try:
        return onnx_of(document["onnx"], arrays)
    except Exception as error:
        raise StudyError(f"{place}: is a damaged dump: {in_one_line(error)}") from error


def _document(path: Path, graph: NetworkGraph) -> tuple[dict[str, Any], Mapping[str, NDArray[Any]]]:
    document = document_of(graph)
    if graph.format == "onnx":
        document["onnx"], arrays = onnx_document(path)
        return document, arrays
    return document, {name: constant.read() for name, constant in graph.constants.items()}
