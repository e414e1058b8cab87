"""The command that takes the logs of older tuners: import-logs, once `import`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from sweep.cli.arguments import EXIT_DONE, JsonOption
from sweep.cli.speaking import say

__all__ = ["import_logs_command", "import_logs_under_old_name"]


def import_logs_command(
    logs: Annotated[
        list[str],
        typer.Argument(metavar="LOG", help="AutoTVM or Ansor logs; KEY=LOG names a device.", show_default=False),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the table and the logs; an earlier import's is extended.")],
    device: Annotated[str | None, typer.Option(help="Key of the device that logs without KEY= are of.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Turn old AutoTVM and Ansor logs into a table of tuning records.

    Example: sweep import-logs rasp4=rasp4.log tx2=tx2.log --out sweeps/published
    """
    from sweep.api.commands.import_logs import import_logs, sources_of

    done = import_logs(sources_of(logs, device), out)
    say(json.dumps(done.as_dict(), indent=2) if as_json else done.as_text())
    return EXIT_DONE


def import_logs_under_old_name(
    logs: Annotated[list[str], typer.Argument(metavar="LOG", show_default=False)],
    out: Annotated[Path, typer.Option()],
    device: Annotated[str | None, typer.Option()] = None,
    as_json: JsonOption = False,
) -> int:
    """Do what `sweep import-logs` does."""
    sys.stderr.write("sweep: note: `sweep import` is now `sweep import-logs`; this name goes on working\n")
    return import_logs_command(logs, out, device, as_json)
