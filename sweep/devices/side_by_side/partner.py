"""A network in a process of its own that runs beside another: opened, put on cores, told when to begin, ended."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sweep.analysis.taint import named_cores
from sweep.devices.measuring.duel import Contestant
from sweep.devices.runtimes.turns_process import TurnsProcess
from sweep.errors import MeasureFailed, SweepError

__all__ = ["Partner", "run_beside"]

LEAD_S = 0.0005
"""From the moment that both are ready until they begin: longer than it takes to tell both."""


class Partner(TurnsProcess):
    """The process of a network, whatever runs it. A context that ends it."""

    module = "sweep.devices.side_by_side.partner_child"

    def __init__(
        self, runtime: str, import_dir: Path, artifact_dir: Path | None, environment: Mapping[str, str], **usual: Any
    ) -> None:
        """artifact_dir: of what was built, where it is compiled. environment: of its process, beside what all have.
        usual: as of `TurnsProcess`.
        """
        super().__init__(runtime, import_dir, **usual)
        self.orders["artifact_dir"] = None if artifact_dir is None else str(artifact_dir.resolve())
        self.environment = {**environment, **self.environment}

    def load(self) -> None:
        """Have it load its network, and do not wait. Where it has ended, `open` says why."""
        with suppress(SweepError):
            self.tell(self.orders)

    def open(self) -> Contestant:
        """Wait for what `load` began. Raises OutputMismatch, MeasureFailed, MeasureTimeout, WorkerKilled."""
        return self.opened(self.hear())

    def go_to(self, cores: Sequence[int]) -> None:
        """Put it on cores. Raises MeasureFailed where it runs on others afterwards."""
        self._check(self.ask({"place": list(cores)}), cores)

    def observe_on(self, cores: Sequence[int]) -> Mapping[str, Any]:
        """Its conditions there."""
        self.go_to(cores)
        return self.observe()

    def prepare(self, number: int, cores: Sequence[int]) -> None:
        """Have it stand ready on cores for a slot of so many calls; does not wait."""
        self.tell({"slot": number, "place": list(cores)})

    def wait_until_ready(self) -> None:
        """Until it stands ready."""
        self.hear()

    def begin(self, at_s: float) -> None:
        """Tell it when, of the monotonic clock that all processes share."""
        self.tell({"at_s": at_s})

    def seconds(self, cores: Sequence[int]) -> float:
        """Seconds a call of the slot, once it is over. It goes on calling until it is to rest. Raises MeasureFailed
        where it ran on other cores.
        """
        answer = self.hear()
        self._check(answer, cores)
        return float(answer["seconds"])

    def rest(self) -> None:
        """Have it stand still."""
        self.tell({"rest": True})

    def _check(self, answer: Mapping[str, Any], cores: Sequence[int]) -> None:
        if sorted(answer["place"]) != sorted(cores):
            there, told = named_cores(answer["place"]), named_cores(cores)
            raise MeasureFailed(f"{self.about.title} ran on {there} instead of {told}")


def run_beside(pair: Sequence[Partner], numbers: Sequence[int], groups: Sequence[Sequence[int]]) -> tuple[float, float]:
    """Seconds a call of two networks that run so many calls at the same moment, each on its group of cores.

    Raises what the processes raised, and MeasureFailed where one of them ran elsewhere.
    """
    running = list(zip(pair, numbers, groups, strict=True))
    for partner, number, cores in running:
        partner.prepare(number, cores)
    for partner in pair:
        partner.wait_until_ready()
    at_s = time.monotonic() + LEAD_S
    for partner in pair:
        partner.begin(at_s)
    first, second = (partner.seconds(cores) for partner, _, cores in running)
    for partner in pair:
        partner.rest()
    return first, second
