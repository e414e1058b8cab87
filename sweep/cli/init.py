"""The command that writes a person's first study and cluster file: init."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.arguments import EXIT_DONE, JsonOption, shown
from sweep.cli.speaking import say

if TYPE_CHECKING:
    from sweep.api.commands.init import FirstFiles

__all__ = ["init_command"]


def init_command(
    model: Annotated[
        str,
        typer.Argument(
            metavar="[MODEL]", help="A model's file, or onnx-light:NAME.", show_default="onnx-light:squeezenet"
        ),
    ] = "onnx-light:squeezenet",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the two files.")] = Path(),
    as_json: JsonOption = False,
) -> int:
    """Write a study of a model and a cluster file for this machine, with comments; nothing is overwritten.

    Example: sweep init onnx-light:squeezenet --out first
    """
    from sweep.api.commands.init import init

    written = init(model, out)
    if as_json:
        files = {"study": str(written.study), "cluster": str(written.cluster), "guesses": written.guesses}
        say(json.dumps(files, indent=2))
        return EXIT_DONE
    say(f"study:   {shown(written.study)}")
    kept = "" if written.is_cluster_new else " (was there, and stays as it is)"
    say(f"cluster: {shown(written.cluster)}{kept}")
    for guess in written.guesses:
        say(f"guessed: {guess}; the file leaves it open, so look at `inputs:` in the study")
    _tell_next(written, out)
    return EXIT_DONE


def _tell_next(written: FirstFiles, out: Path) -> None:
    """In the current folder the cluster file is found by itself."""
    study, cluster = (shlex.quote(shown(path)) for path in (written.study, written.cluster))
    where = "" if out.resolve() == Path.cwd() else f" --cluster {cluster}"
    say(f"next:    sweep plan {study}{where}    shows what a run would do")
    say(f"         sweep run {study}{where}")
