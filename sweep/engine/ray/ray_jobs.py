"""Jobs on a Ray cluster, through its Jobs API: sent, found again, followed and stopped.

Ray's client takes the token from where Ray takes it: RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sweep.errors import EngineError, in_one_line
from sweep.redaction import redacted_uri

__all__ = ["JobEnd", "RayJobs"]

_LOOK_EVERY_S = 0.5
_AWAY_S = 120.0
"""How long a head node may be silent before its job is no longer followed; the job itself goes on."""
_CHATTY = ("ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk", "ray._private.runtime_env.packaging")
_STOP_S = 60.0
"""For a run that is stopped, to close what it holds and write its tables; Ray's own 3 s are too short for that."""


@dataclass(frozen=True, slots=True)
class JobEnd:
    """The end of a job: its status, its exit code and its message."""

    status: str
    """SUCCEEDED, FAILED or STOPPED."""
    exit_code: int | None
    """Of its command; None when it was stopped, or ended with its node."""
    message: str


class _ProgressReporter:
    """Passes a log on once, however often it comes."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._told, self._come = say, 0, 0

    def from_the_start(self) -> None:
        """What comes next is the log from its beginning."""
        self._come = 0

    def take(self, text: str) -> None:
        """The next part."""
        self._come += len(text)
        if self._come > self._told:
            self._say(text[self._told - self._come :])
            self._told = self._come


class RayJobs:
    """The jobs of one cluster."""

    def __init__(self, address: str | None) -> None:
        """`address`: of the head node's dashboard, such as http://127.0.0.1:8265; None for RAY_API_SERVER_ADDRESS, or
        the cluster on this host.

        Raises:
            EngineError: it cannot be reached, or does not take the token.
        """
        self._where = redacted_uri(address) if address else "the cluster of RAY_API_SERVER_ADDRESS or of this host"
        with self._translated():
            from ray.job_submission import JobSubmissionClient

            for name in _CHATTY:
                logging.getLogger(name).setLevel(logging.ERROR)
            self._client = JobSubmissionClient(address)

    def send(self, command: str, folder: Path, name: str, about: Mapping[str, str]) -> str:
        """Run a shell command in a copy of a folder, on the head node; the job's id, which is `name-NUMBER`."""
        with self._translated():
            numbers = [
                int(number)
                for job in self._client.list_jobs()
                if (number := str(job.submission_id).removeprefix(f"{name}-")).isdecimal()
            ]
            job_id: str = self._client.submit_job(
                entrypoint=command,
                submission_id=f"{name}-{max(numbers, default=0) + 1}",
                runtime_env={
                    "working_dir": str(folder),
                    "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(int(_STOP_S))},
                },
                metadata=dict(about),
            )
            return job_id

    def running(self, about: Mapping[str, str]) -> str | None:
        """The id of a job that has not ended and of which all this is said; None where there is none."""
        with self._translated():
            for job in self._client.list_jobs():
                said = job.metadata or {}
                if not job.status.is_terminal() and all(said.get(key) == value for key, value in about.items()):
                    return str(job.submission_id)
        return None

    def stop(self, job_id: str) -> None:
        """Ask a job to end, as SIGTERM does; returns at once."""
        with self._translated():
            self._client.stop_job(job_id)

    def end(self, job_id: str) -> JobEnd | None:
        """How a job ended; None while it has not."""
        with self._translated():
            job = self._client.get_job_info(job_id)
        if not job.status.is_terminal():
            return None
        return JobEnd(str(job.status.value), job.driver_exit_code, " ".join((job.message or "").split()))

    def follow(self, job_id: str, say: Callable[[str], None]) -> JobEnd:
        """Pass the log on as it grows, from its beginning, until the job has ended.

        Raises:
            EngineError: the head node has been away for minutes.
        """
        teller = _ProgressReporter(say)
        away_since: float | None = None
        while True:
            try:
                asyncio.run(self._tail(job_id, teller))
                end = self.end(job_id)
            except EngineError:
                now = time.monotonic()
                away_since = away_since or now
                if now - away_since > _AWAY_S:
                    raise
            else:
                away_since = None
                if end is not None:
                    self._tell_rest(job_id, teller)
                    return end
            time.sleep(_LOOK_EVERY_S)

    async def _tail(self, job_id: str, teller: _ProgressReporter) -> None:
        """Until the connection ends. Each one begins with the whole log."""
        teller.from_the_start()
        with self._translated():
            async for text in self._client.tail_job_logs(job_id):
                teller.take(text)

    def _tell_rest(self, job_id: str, teller: _ProgressReporter) -> None:
        """What the log got between the last look of its follower and the end of the job."""
        teller.from_the_start()
        with contextlib.suppress(EngineError), self._translated():
            teller.take(self._client.get_job_logs(job_id))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Whatever keeps the client from its answer, as one line."""
        import ray

        lost: tuple[type[BaseException], ...] = (ConnectionError, RuntimeError, ValueError, OSError, *_http_errors())
        try:
            yield
        except ray.exceptions.AuthenticationError as error:
            raise EngineError(
                f"{self._where} does not take the token: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH to a copy of "
                f"the cluster's ({in_one_line(error)[:120]})"
            ) from error
        except lost as error:
            raise EngineError(f"{self._where} cannot be used: {in_one_line(error)}") from error


def _http_errors() -> tuple[type[BaseException], ...]:
    """Of the libraries that Ray's client speaks HTTP with; without them it says itself which extra is missing."""
    try:
        import aiohttp
        import requests
    except ImportError:
        return ()
    return aiohttp.ClientError, requests.RequestException
