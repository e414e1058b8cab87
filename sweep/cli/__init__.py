"""The command line: parses, calls, prints, returns an exit code. Nothing is decided here.

Imports of anything slow happen inside the commands, so that `sweep --help` and `sweep plan` answer at once.
Exit codes: 0 done, 1 some cells failed or a rule is broken, 2 bad input, 3 a comparison cannot tell, 130 interrupted
with everything kept.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from sweep.cli import (
    compare,
    exec,
    export,
    import_logs,
    init,
    machine_commands,
    mirror,
    overlay,
    predictor,
    roofline,
    study_commands,
    submit,
    sweep_commands,
)
from sweep.cli.arguments import EXIT_BAD_INPUT, EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED
from sweep.cli.models import inspect
from sweep.cli.speaking import hide_secrets_of_arguments, say, show_log_lines_plainly
from sweep.errors import LedgerError, LedgerUnwritable, StudyError, SweepError
from sweep.files.sweep_dir import is_text
from sweep.installation import __version__
from sweep.plain_text import visible
from sweep.redaction import redacted

__all__ = ["app", "main"]


class _Commands(typer.core.TyperGroup):
    """Prints a line on Ctrl-C, which typer turns into an exit code in silence."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _complain("interrupted")
            raise


def _show_version(is_asked: bool) -> None:
    if is_asked:
        say(f"tvm-sweep {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="sweep",
    cls=_Commands,
    help="Batch sweeps of model x target x tuner x opt-level for Apache TVM, on Ray.\n\n"
    "Example: sweep init && sweep run study.yaml",
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
farm_app = typer.Typer(
    name="farm",
    help="The tracker and local device servers of a cluster file.\n\nExample: sweep farm up",
    rich_markup_mode=None,
)
app.command("init")(init.init_command)
app.command("inspect")(inspect.inspect_command)
app.command("plan")(study_commands.plan_command)
app.command("run")(study_commands.run_command)
app.command("submit")(submit.submit_command)
app.command("tune")(study_commands.tune_command)
app.command("status")(sweep_commands.status_command)
app.command("where")(sweep_commands.where_command)
app.command("report")(sweep_commands.report_command)
app.command("compare")(compare.compare_command)
app.command("gate")(compare.gate_command)
app.command("history")(sweep_commands.history_command)
app.command("mirror")(mirror.mirror_command)
app.command("ui")(sweep_commands.ui_command)
app.command("exec")(exec.exec_command)
app.command("export")(export.export_command)
app.command("overlay")(overlay.overlay_command)
app.command("roofline")(roofline.roofline_command)
app.command("import-logs")(import_logs.import_logs_command)
app.command("import", hidden=True)(import_logs.import_logs_under_old_name)
app.command("schema")(study_commands.schema_command)
app.add_typer(farm_app)
app.add_typer(predictor.predictor_app)
farm_app.command("up")(machine_commands.farm_up)
farm_app.command("status")(machine_commands.farm_status)
farm_app.command("down")(machine_commands.farm_down)
app.command("doctor")(machine_commands.doctor_command)


@app.callback()
def _global_options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    pass


_UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""What the parser raises, of click or of the copy of it that newer typer brings along."""

_REFUSALS = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO),
    *(errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP),
}
"""Of the system, for a person to mend; any other is a bug."""

_LEFT_OUT = frozenset(
    "tvm tvm_ffi ray mlflow onnx onnxruntime tflite xgboost sklearn threadpoolctl tornado psutil cloudpickle".split()
)
"""Modules of the packages that the distribution which reads sweeps does without (`tools/read_wheel.py`)."""

_NO_BRACES = str.maketrans("", "", "{}")


@cache
def _parser() -> Any:
    """Of all commands. Made once: typer makes it anew for each call, which takes longer than most commands."""
    return typer.main.get_command(app)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = _global_options_first(sys.argv[1:] if argv is None else argv) or ["--help"]
    if argv is None:
        hide_secrets_of_arguments()
    _show_what_no_encoding_has()
    show_log_lines_plainly()
    try:
        _check_text(arguments)
        result = _parser()(args=arguments, prog_name="sweep", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else EXIT_DONE
    except typer.Exit as end:
        return int(end.exit_code)
    except _UsageError as error:
        return _complain(_usage_line(error))
    except SweepError as error:
        shown = _located(error) if isinstance(error, StudyError) else error
        kept = "; all that was written before is kept, and the same command goes on from there"
        _complain(f"{type(error).__name__}: {shown}{kept if isinstance(error, LedgerUnwritable) else ''}")
        is_refused = isinstance(error, (StudyError, LedgerError)) and not isinstance(error, LedgerUnwritable)
        return EXIT_BAD_INPUT if is_refused else EXIT_FAILED
    except (KeyboardInterrupt, typer.Abort):
        return EXIT_INTERRUPTED
    except (BrokenPipeError, SystemExit):  # the second is what typer makes of the first
        # `sweep plan ... | head` has read enough; Python writes the rest when it ends, and would complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_DONE
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in _LEFT_OUT:
            raise
        _complain(
            f"needs the package {error.name}, which is not installed here: this part reads sweeps; "
            "allowed: status, where, report, compare; all else with `pip install tvm-sweep`"
        )
        return EXIT_BAD_INPUT
    except OSError as error:
        if error.errno not in _REFUSALS or error.filename is None:
            raise
        return _complain(f"StudyError: {error.filename}: {error.strerror}; allowed: what can be read and written")


def _located(error: StudyError) -> StudyError:
    """With the line of the file that it is about, also where what raised it had no file at hand."""
    from sweep.study.reading.line_numbers import with_line

    return with_line(error)


def _show_what_no_encoding_has() -> None:
    """A letter that the terminal's encoding lacks is shown by its number: a name in a table is no reason to end."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _check_text(arguments: Sequence[str]) -> None:
    """Raises StudyError for bytes that are no UTF-8: tables, stores and the ledger could not hold the names."""
    texts = [("argument", argument) for argument in arguments]
    with suppress(OSError):  # it may be gone, which is no matter to `sweep --version`
        texts.append(("current folder", str(Path.cwd())))
    for key, text in texts:
        if not is_text(text):
            allowed = "names in UTF-8, or a link with such a name"
            raise StudyError("is not UTF-8", key=key, value=text, allowed=allowed)


def _complain(line: str) -> int:
    sys.stderr.write(f"sweep: {visible(redacted(line))}\n")
    return EXIT_BAD_INPUT


def _usage_line(error: Any) -> str:
    """What is wrong and what is allowed, in one line. Not every error says where it happened."""
    said = " ".join(error.format_message().split()).rstrip(".")
    has_said_all = isinstance(error, typer.BadParameter) and error.message
    if error.ctx is None or has_said_all:
        return said
    command = error.ctx.command
    if hasattr(command, "commands"):
        allowed = ", ".join(name for name, each in command.commands.items() if not each.hidden)
    elif hasattr(error, "option_name"):
        allowed = ", ".join(max(part.opts, key=len) for part in command.params if part.opts[0].startswith("-"))
    else:
        allowed = " ".join([error.ctx.command_path, *command.collect_usage_pieces(error.ctx)]).translate(_NO_BRACES)
    return f"{said}; allowed: {allowed} (see `{error.ctx.command_path} --help`)"


def _global_options_first(arguments: list[str]) -> list[str]:
    """`sweep --json plan X` means `sweep plan X --json`."""
    if arguments[:1] == ["--json"] and len(arguments) > 1:
        return [*arguments[1:], "--json"]
    return arguments
