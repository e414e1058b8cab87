"""The workplaces that engines put into processes: one for a tuner, one for a device.

They turn a call into work on the toolchain and the device. An engine decides in which process they live.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sweep.engine.site import Site
from sweep.engine.work import MeasureCall, TuneCall
from sweep.errors import SweepError
from sweep.study.cluster import Device
from sweep.toolchain.tuning.job import Arguments

if TYPE_CHECKING:
    from sweep.devices.kernel import Kernel
    from sweep.devices.session import DeviceSession

__all__ = ["TURNS", "DeviceBench", "FutureLaboratory", "Lane", "TunerBench"]

T = TypeVar("T")

KERNEL_TIME_LIMIT_S = 300.0
"""It compiles in half a second, and may wait for a builder behind a whole network."""


class CandidateBuilder(Protocol):
    """Submits a job to a forge, wherever that is."""

    def __call__(self, job: str, arguments: Mapping[str, Any], timeout_s: float) -> Future[dict[str, Any]]: ...


class CandidateRunner(Protocol):
    """Submits a candidate to a device, wherever that is."""

    def __call__(self, lib: Path, args: Arguments, options: Mapping[str, Any]) -> Future[dict[str, Any]]: ...


class CandidateComparer(Protocol):
    """Submits several candidates to a device, to be measured in turns."""

    def __call__(
        self, candidates: Sequence[tuple[Path, Arguments]], options: Mapping[str, Any]
    ) -> Future[dict[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class FutureLaboratory:
    """A laboratory made of functions that return futures."""

    target: Mapping[str, Any]
    submit: CandidateBuilder
    measure: CandidateRunner
    """Times a candidate on the tuning device."""
    compare: CandidateComparer
    """Times candidates in turns on the tuning device."""
    build_slots: int
    linker: str | None = None

    def build(self, module_json: str, lib: Path, timeout_s: float) -> Future[dict[str, Any]]:
        """Build a candidate in a killable child of the forge."""
        target = dict(self.target)
        arguments = {"module_json": module_json, "target": target, "out_path": str(lib), "linker": self.linker}
        return self.submit("build_candidate", arguments, timeout_s)


class TunerBench:
    """Holds one tuner; used for all tune stages of its key."""

    def __init__(self, sweep_dir: Path, call: TuneCall) -> None:
        from sweep.toolchain.tuning.tuner import Tuner

        self._sweep_dir = sweep_dir
        self._tuner = Tuner(call.name, call.options, call.target, sweep_dir / call.key, call.seed)

    def tune(
        self,
        call: TuneCall,
        laboratory: FutureLaboratory,
        report: Callable[[Mapping[str, Any]], None],
    ) -> dict[str, Any]:
        """Perform a tune stage."""
        from sweep.toolchain.tuning.job import TuneJob, TuningTask

        tasks = [
            TuningTask(
                workload=task["workload"],
                name=task["name"],
                weight=int(task["weight"]),
                trivial=bool(task["trivial"]),
                module=self._sweep_dir / call.lower_dir / "tasks" / f"{task['workload']}.json",
                family=task["family"],
            )
            for task in call.tasks
        ]
        warm_start = [Path(folder) for folder in call.warm_start]
        job = TuneJob(
            call.label,
            tasks,
            call.tuner_label,
            call.device,
            call.seed,
            call.options,
            call.members,
            warm_start,
            call.left_s(),
        )
        return {**self._tuner.tune(job, laboratory, report), "records_dir": call.key}

    def close(self) -> None:
        """Remove what the candidates have left."""
        self._tuner.close()


TURNS = 8
"""Cells that are measured in turns on a device. With more, each waits longer for its answer, and an interrupted run has
more of them to measure again."""


MOST_LANES = 16
"""Boards of a key that are used at once: TVM's client has room for 32 sessions in a process."""


def lanes_of(device: Device) -> int:
    """How many of a device's boards are used at once."""
    return min(device.count, MOST_LANES)


def cells_at_once(device: Device) -> int:
    """How many cells are measured at the time, in turns on each board."""
    return TURNS * lanes_of(device)


class DeviceBench:
    """Holds the session to one device. May be called from several threads: one thing at a time is on a board, first
    come, first served; cells that are measured at the time take turns, a block of repeats each. A cell keeps to one
    lane, and a lane, as far as it can, to one board.
    """

    def __init__(self, device: Device, site: Site, submit: CandidateBuilder) -> None:
        """`submit`: to the forge, which builds the reference kernel: the process that measures does not compile."""
        from sweep.devices.session import DeviceSession

        self._device, self._sweep_dir, self._submit = device, site.sweep_dir, submit
        self._session = DeviceSession(device, site.tracker_host, site.tracker_port, site.lock_dir, sweep=site.sweep_dir)
        self._is_open = False
        self._kernel: Kernel | None = None
        self._no_kernel: str | None = None
        """Why there is none, once it was tried."""
        self._building, self._opening, self._choosing = Lock(), Lock(), Lock()
        self._lanes = [Lane(f"{device.key}-{number}") for number in range(lanes_of(device))]

    def candidate(self, lib: Path, args: Arguments, options: Mapping[str, Any]) -> dict[str, Any]:
        """Time a tuning candidate."""
        with self._lane() as lane:
            return lane.submit(lambda: self._open().measure_candidate(lib, args, **options)).result()

    def compare(self, candidates: Sequence[tuple[Path, Arguments]], options: Mapping[str, Any]) -> dict[str, Any]:
        """Time several tuning candidates in turns."""
        with self._lane() as lane:
            return lane.submit(lambda: self._open().compare_candidates(candidates, **options)).result()

    def measure(self, call: MeasureCall) -> dict[str, Any]:
        """Perform a measure stage. Between its visits to the device others come to theirs."""
        from sweep.devices.rounds import Rounds

        kernel = self._reference_kernel()
        rounds = Rounds(call.measure, self._device.cores if self._device.managed else (), call.threads)
        with self._lane() as lane:
            while (options := rounds.next_visit()) is not None:
                if lane.is_idle:
                    time.sleep(rounds.pause_s)
                told, seconds = lane.submit(self._visit, call, options, kernel).result()
                rounds.take(told, seconds)
        result = rounds.result()
        if kernel is None:
            result["conditions"]["no_reference_kernel"] = self._no_kernel
        return result

    def close(self) -> None:
        """Give the device back."""
        for lane in self._lanes:
            lane.close()
        self._session.close()
        self._is_open = False

    @contextmanager
    def _lane(self) -> Iterator[Lane]:
        """The lane that fewest use."""
        with self._choosing:
            lane = min(self._lanes, key=lambda lane: lane.users)
            lane.users += 1
        try:
            yield lane
        finally:
            with self._choosing:
                lane.users -= 1

    def _visit(
        self, call: MeasureCall, options: Mapping[str, Any], kernel: Kernel | None
    ) -> tuple[dict[str, Any], float]:
        begun, import_dir, session = time.monotonic(), self._sweep_dir / call.import_dir, self._open()
        if call.artifact_dir is None:
            told = session.measure_reference(import_dir, options, call.threads, call.threshold, kernel)
        else:
            artifact_dir = self._sweep_dir / call.artifact_dir
            told = session.measure_artifact(artifact_dir, import_dir, options, call.threshold, kernel)
        return told, time.monotonic() - begun

    def _reference_kernel(self) -> Kernel | None:
        """Built on first use, before the device's cores are held. A device that cannot have one is measured without."""
        with self._building:
            return self._built_kernel()

    def _built_kernel(self) -> Kernel | None:
        from sweep.devices.kernel import Kernel

        if self._kernel is None and self._no_kernel is None:
            device = self._device
            arguments = {
                "target": dict(device.target),
                "threads": device.threads,
                "linker": device.linker,
                "out_path": str(self._sweep_dir / "artifacts" / "kernel" / f"{device.key}.so"),
            }
            try:
                made = self._submit("build_reference_kernel", arguments, KERNEL_TIME_LIMIT_S).result()
                self._kernel = Kernel(Path(made["lib"]), made["args"])
            except SweepError as error:
                self._no_kernel = f"{type(error).__name__}: {error}"
        return self._kernel

    def _open(self) -> DeviceSession:
        with self._opening:
            if not self._is_open:
                self._session.open()
                self._is_open = True
        return self._session


class Lane:
    """Runs calls one after the other in a thread of its own, as futures; in `width` threads where it is wider."""

    def __init__(self, name: str, width: int = 1) -> None:
        self._pool = ThreadPoolExecutor(max_workers=width, thread_name_prefix=name)
        self.users = 0
        """For whoever has several lanes."""
        self._latest: Future[Any] | None = None

    def submit(self, call: Callable[..., T], *args: Any) -> Future[T]:
        """Queue a call."""
        self._latest = answer = self._pool.submit(call, *args)
        return answer

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        return self._latest is None or self._latest.done()

    def close(self) -> None:
        """Let the running call end and drop the rest."""
        self._pool.shutdown(wait=True, cancel_futures=True)
