"""The command that sends a run to a Ray cluster: submit."""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.arguments import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, StudyArgument
from sweep.cli.speaking import say
from sweep.plain_text import visible

if TYPE_CHECKING:
    from sweep.engine.ray.ray_jobs import JobEnd, RayJobs

__all__ = ["submit_command"]

_DECIDE_S = 10.0
"""Between the first Ctrl-C and leaving the job to itself."""


def submit_command(
    study: StudyArgument,
    cluster: Annotated[Path, typer.Option("--cluster", "-c", help="Cluster file (YAML).", show_default=False)],
    run_options: Annotated[
        list[str] | None, typer.Argument(metavar="[-- RUN OPTIONS]", help="After --: options of `sweep run`.")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="The cluster's dashboard, http://HOST:8265; default: RAY_API_SERVER_ADDRESS, or this host."),
    ] = None,
    out: Annotated[
        str | None, typer.Option(help="Sweep directory there: a path that all nodes see; default sweeps/<study>.")
    ] = None,
    python: Annotated[str, typer.Option(help="How Python with sweep is started there.")] = "python",
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Show its log until it ends.")] = True,
) -> int:
    """Run a study on a Ray cluster, as a job, and follow its log; the same again follows or resumes it.

    Example: sweep submit study.yaml --cluster lab.yaml --address http://127.0.0.1:8265
    """
    from sweep.api.commands.submit import submit

    job = submit(study, cluster, address=address, out=out, options=run_options or (), python=python)
    say(f"{job.id} {'is running already' if job.was_running else 'was sent'}; it works in {job.out}", err=True)
    return _follow(job.jobs, job.id) if follow else EXIT_DONE


def _follow(jobs: RayJobs, job_id: str) -> int:
    """Show the log. The first Ctrl-C asks what is meant; a second one cancels, and none leaves the job to itself."""
    presses = _Presses()
    before = signal.signal(signal.SIGINT, presses.take)
    try:
        following = _Following(jobs, job_id)
        following.start()
        leave_s, answered = 0.0, 0
        while not following.has_ended.wait(0.2):
            if answered == 0 and presses.count:
                answered, leave_s = 1, time.monotonic() + _DECIDE_S
                say(
                    f"\nCtrl-C again cancels {job_id}; without it this command ends in {_DECIDE_S:.0f} s and the job "
                    "goes on: the same command follows it again",
                    err=True,
                )
            elif answered == 1 and presses.count > 1:
                answered = 2
                say(f"cancelling {job_id}: what it has done is kept", err=True)
                jobs.stop(job_id)
            elif answered == 1 and time.monotonic() > leave_s:
                say(f"{job_id} goes on without this command", err=True)
                return EXIT_INTERRUPTED
            elif presses.count > 2:
                return EXIT_INTERRUPTED
        return _exit_code(following.end(), job_id)
    finally:
        signal.signal(signal.SIGINT, before)


class _Presses:
    """Counts presses of Ctrl-C: an exception for each would come in the middle of answering the one before."""

    def __init__(self) -> None:
        self.count = 0

    def take(self, number: int, frame: FrameType | None) -> None:
        self.count += 1


def _exit_code(end: JobEnd, job_id: str) -> int:
    if end.status == "STOPPED":
        say(f"{job_id} was stopped; the same command resumes it", err=True)
        return EXIT_INTERRUPTED
    if end.exit_code is None:
        say(f"{job_id} ended without an exit code: {end.message[:300]}", err=True)
        return EXIT_FAILED
    return end.exit_code


class _Following(threading.Thread):
    """Follows the job's log in a thread of its own, since Ctrl-C comes to the main one."""

    def __init__(self, jobs: RayJobs, job_id: str) -> None:
        super().__init__(name="follow", daemon=True)
        self._jobs, self._job_id = jobs, job_id
        self._end: JobEnd | None = None
        self._error: Exception | None = None
        self.has_ended = threading.Event()
        """Set when there is an end, or an error."""

    def run(self) -> None:
        try:
            self._end = self._jobs.follow(self._job_id, _show)
        except Exception as error:  # noqa: BLE001 - raised in the main thread
            self._error = error
        finally:
            self.has_ended.set()

    def end(self) -> JobEnd:
        if self._end is None:
            raise self._error or RuntimeError("the log was not followed")
        return self._end


def _show(text: str) -> None:
    sys.stdout.write("\r".join(map(visible, text.split("\r"))))
    sys.stdout.flush()
