"""The command that looks at a model without compiling it: inspect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from sweep.cli.arguments import EXIT_DONE, JsonOption, shape_of, shown
from sweep.cli.speaking import say
from sweep.errors import StudyError

__all__ = ["inspect_command"]


def inspect_command(
    model: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="A model's file, or onnx-light:NAME.", show_default=False),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", "--inputs", help="Shape of an input: NAME=1,3,224,224", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "--dump",
            metavar="DIR",
            help="Also write its graph (JSON, SVG, PNG) and parameters there.",
        ),
    ] = None,
    layers: Annotated[bool, typer.Option("--layers", help="Show every layer, not those with the most MACs.")] = False,
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Show which operators the importers take, of no model.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Show a model's inputs, operators and who lacks which, parameters, and the MACs of its layers; compile nothing.

    Example: sweep inspect onnx-light:resnet50
    """
    if coverage == (model is not None):
        raise StudyError("inspect: give a model, or --coverage alone")
    if coverage:
        return _show_coverage(as_json)
    from sweep.api.inspecting.inspected_model import inspect
    from sweep.api.inspecting.inspection_text import inspection_text

    found = inspect(str(model), dict(shape_of("--input", text) for text in inputs or []))
    if out is not None:
        for path in found.dump(out):
            say(f"written: {shown(path)}", err=True)
    say(json.dumps(found.to_json(), indent=2) if as_json else inspection_text(found, all_layers=layers))
    return EXIT_DONE


def _show_coverage(as_json: bool) -> int:
    from sweep.api.inspecting.inspection_text import coverage_text
    from sweep.api.inspecting.operator_tables import operator_tables

    tables = operator_tables()
    if as_json:
        told = {each.importer: {"counts": each.counts(), "operators": each.rows()} for each in tables}
        say(json.dumps(told, indent=2))
    else:
        say(coverage_text(tables))
    return EXIT_DONE
