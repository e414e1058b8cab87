"""Measures on a device: takes a library or an artifact, returns its times or raises the reason why there are none."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.analysis.formatting import plural
from sweep.devices.leasing.boards import Boards
from sweep.devices.leasing.cores import core_lock
from sweep.devices.leasing.lease import myself
from sweep.devices.leasing.register import boards_of
from sweep.devices.measuring.blocks import MeasuringPlace
from sweep.devices.measuring.candidate import time_candidate, time_functions, time_in_turns
from sweep.devices.measuring.kernel_history import KernelHistory
from sweep.devices.measuring.sentinel_kernel import SentinelKernel
from sweep.devices.measuring.timing import Sampling
from sweep.devices.rpc.tracker_client import TrackerClient
from sweep.devices.runtimes.answering.samples_asked import START_LIMIT_S, Answered, Asked, answer_in_child, answer_on
from sweep.devices.runtimes.artifact import load_artifact, measure_on, memory_on, observe_on
from sweep.devices.runtimes.child_process import LoadedRuntimes, measure_in_child
from sweep.devices.runtimes.duel_on import DuelContender, duel_on
from sweep.devices.side_by_side.meeting_on import meeting_on
from sweep.errors import DeviceLost, MeasureFailed
from sweep.study.profile_options import USUAL_POINT, ProfilePoint
from sweep.study.runtimes import title_of

if TYPE_CHECKING:
    from types import TracebackType

    from sweep.study.cluster.cluster import Device

__all__ = ["DeviceSession"]

OPEN_TIMEOUT_S = 30.0
"""For one session's handshake when proving that a device is there."""
FREE_TIMEOUT_S = 60.0
"""How long another holder of the device may keep us waiting for it."""
THIS_HOST = "this host"
"""In place of a board: no server had a part in it."""
CORE_TIMEOUT_S = 1800.0
"""How long devices with a core in common may keep us waiting: the longest measurement of theirs."""


class DeviceSession:
    """Measures on one device; on each of its boards one thing at a time. For as many threads as there are boards."""

    def __init__(
        self,
        device: Device,
        tracker_host: str,
        tracker_port: int,
        lock_dir: Path,
        free_timeout_s: float = FREE_TIMEOUT_S,
        sweep: Path | None = None,
    ) -> None:
        """`lock_dir`: where all processes of this host agree who uses what. `sweep`: on behalf of which directory."""
        self.device = device
        self.tracker = TrackerClient(tracker_host, tracker_port)
        self.lock_dir = lock_dir
        self.best_kernel_s: dict[str, float] = {}
        """Least median of the sentinel kernel in this session, by board, or by key where all boards are this host;
        later measurements are judged by it."""
        self._history = KernelHistory(lock_dir)
        self._sweep = sweep
        register = boards_of(lock_dir, f"{tracker_host}:{tracker_port}", device.key)
        self._boards = Boards(device, self.tracker, register, sweep, free_timeout_s)
        self._runtimes = LoadedRuntimes()
        self._is_open = self._is_closed = False

    def __enter__(self) -> DeviceSession:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Prove with a first session that the device is there and answers. Raises DeviceLost."""
        with self._boards.session(OPEN_TIMEOUT_S) as remote:
            remote.device.sync()
        self._is_open, self._is_closed = True, False

    def close(self) -> None:
        """No measurement after this. The board itself was given back after each one."""
        self._is_open, self._is_closed = False, True
        self._runtimes.close()

    def measure_candidate(
        self,
        lib: Path,
        args: Iterable[Mapping[str, Any]],
        number: int = 3,
        repeat: int = 1,
        min_repeat_ms: float = 100,
        timeout_s: float = 30.0,
        slow_s: float | None = None,
    ) -> dict[str, Any]:
        """Time the entry function of the shared library `lib` on random arguments of the given shapes and dtypes.

        Gives `run_secs`, `repeat` values in seconds, each a mean over at least `number` calls and at least
        `min_repeat_ms`; and `seconds`, what the measurement cost without the wait for the cores. One call is all for a
        candidate that is slower than `slow_s`. Raises MeasureTimeout, MeasureFailed (it crashed or raised), DeviceLost.
        """
        self._boards.let_rest()
        with self._cores():
            began = time.monotonic()
            with self._boards.session(timeout_s) as remote:
                run_secs = time_candidate(remote, lib, list(args), number, repeat, min_repeat_ms, slow_s)
            return {"run_secs": run_secs, "seconds": time.monotonic() - began}

    def compare_candidates(
        self,
        candidates: Sequence[tuple[Path, Sequence[Mapping[str, Any]]]],
        *,
        rounds: int,
        number: int,
        repeat: int,
        min_repeat_ms: float,
        timeout_s: float,
    ) -> dict[str, Any]:
        """Time several (library, arguments) in turns, `rounds` times, so that drift hits all alike.

        Gives `run_secs`, for each library `rounds * repeat` values in seconds, and `seconds`. Raises as
        `measure_candidate` does.
        """
        self._boards.let_rest()
        with self._cores():
            began = time.monotonic()
            with self._boards.session(timeout_s) as remote:
                run_secs = time_in_turns(remote, candidates, rounds, number, repeat, min_repeat_ms)
            return {"run_secs": run_secs, "seconds": time.monotonic() - began}

    def measure_artifact(
        self,
        artifact_dir: Path,
        import_dir: Path,
        measure: Mapping[str, Any],
        threshold: float | None,
        kernel: SentinelKernel | None = None,
        point: ProfilePoint = USUAL_POINT,
    ) -> dict[str, Any]:
        """The measure stage of a built model: its output is checked against the expected one first, then it is timed.

        artifact_dir: lib.so, metadata.json. import_dir: inputs.npz and, unless ONNX Runtime failed on the model,
        reference.npz with the expected output. measure: the options of a study. See `output_check.check_outputs` for
        the threshold. kernel: the sentinel kernel for this device, whose times tell a disturbed measurement.
        Raises OutputMismatch, MeasureTimeout, MeasureFailed, DeviceLost.
        """
        artifact, sampling = load_artifact(artifact_dir, import_dir), Sampling.of(measure)
        if measure.get("outputs_file"):
            artifact = replace(artifact, outputs_file=Path(measure["outputs_file"]))
        self._boards.let_rest()
        with self._cores(), self._boards.session(sampling.timeout_s) as remote:
            place = self._place(self.device.threads, remote.board)
            result = measure_on(remote, artifact, sampling, threshold, place, kernel, point.limits)
        return self._noted(result, remote.board)

    def observe_memory(
        self,
        artifact_dir: Path,
        import_dir: Path,
        measure: Mapping[str, Any],
        threshold: float | None,
        point: ProfilePoint,
    ) -> dict[str, Any]:
        """The measure stage of a built model whose memory is observed. Raises OutOfMemory, OverTimeLimit, and as
        `measure_artifact` does.
        """
        artifact = load_artifact(artifact_dir, import_dir)
        self._boards.let_rest()
        with self._cores(), self._boards.session(float(measure["timeout_s"])) as remote:
            result = memory_on(remote, artifact, threshold, point.limits)
        result["conditions"]["board"] = remote.board
        return result

    def measure_runtime(
        self,
        runtime: str,
        import_dir: Path,
        measure: Mapping[str, Any],
        threads: int,
        threshold: float | None,
        kernel: SentinelKernel | None = None,
        point: ProfilePoint = USUAL_POINT,
    ) -> dict[str, Any]:
        """The measure stage of another runtime on the imported network, on this device's cores and with `threads`. No
        board has a part in it: the session need not be open.

        Raises OutputMismatch, MeasureTimeout, MeasureFailed (also where the device is not this host).
        """
        if not self.device.is_this_host:
            raise MeasureFailed(f"no {title_of(runtime)} on {self.device.key}: the device is not this host")
        loaded = self._runtimes.ready(runtime, threads)  # before the cores are held
        with self._cores(is_host_enough=True):
            place = self._place(threads, THIS_HOST)
            result = measure_in_child(runtime, import_dir, measure, place, threshold, kernel, point, loaded)
        return self._noted(result, THIS_HOST)

    def load_runtime(self, runtime: str, threads: int) -> None:
        """Begin to load another runtime's library, where measurements share that; nobody waits for it."""
        if self.device.is_this_host:
            self._runtimes.begin(runtime, threads)

    def time_kernels(
        self, lib: Path, kernels: Sequence[Mapping[str, Any]], *, repeat: int, min_repeat_ms: int, timeout_s: float
    ) -> dict[str, Any]:
        """Time functions of one library, each on random arguments of its `args`. Gives `run_secs`, for each `repeat`
        values in seconds or an error in words, and the `conditions` that were seen. Raises as `measure_candidate` does.
        """
        self._boards.let_rest()
        with self._cores(), self._boards.session(timeout_s) as remote:
            seen = observe_on(remote)
            run_secs = time_functions(remote, lib, kernels, repeat, min_repeat_ms)
            return {"run_secs": run_secs, "conditions": {**seen, "board": remote.board}}

    def observe(self) -> Mapping[str, Any]:
        """The conditions of the board; nothing where a stock TVM server runs it."""
        with self._cores(), self._boards.session(OPEN_TIMEOUT_S) as remote:
            return observe_on(remote)

    def answer_artifact(
        self, artifact_dir: Path, import_dir: Path, asked: Asked, start: int, seconds: float
    ) -> Answered:
        """The classes that a built model gives samples, from `start` on, for some seconds under the lease.

        Raises MeasureTimeout, MeasureFailed, DeviceLost.
        """
        artifact = load_artifact(artifact_dir, import_dir)
        self._boards.let_rest()
        with self._cores(), self._boards.session(seconds + START_LIMIT_S) as remote:
            told = answer_on(remote, artifact, asked, start, seconds)
            return replace(told, conditions={**told.conditions, "board": remote.board})

    def answer_runtime(self, runtime: str, import_dir: Path, asked: Asked, threads: int) -> Answered:
        """The same in another runtime, of all samples. Raises MeasureTimeout, MeasureFailed, WorkerKilled."""
        if not self.device.is_this_host:
            raise MeasureFailed(f"no {title_of(runtime)} on {self.device.key}: the device is not this host")
        with self._cores():
            told = answer_in_child(runtime, import_dir, asked, self._place(threads, THIS_HOST).cores, threads)
            return replace(told, conditions={**told.conditions, "board": THIS_HOST})

    def duel(
        self,
        contenders: Sequence[DuelContender],
        seconds: float,
        timeout_s: float,
        kernel: SentinelKernel | None = None,
        side_by_side: bool = False,
        loading_cores: tuple[int, ...] = (),
    ) -> dict[str, Any]:
        """A final: contenders meet, at most `seconds` long, and keep the cores; each heat leases a board.

        timeout_s: for each heat, loading included. The last two: as of `meeting_on`. Raises MeasureFailed where fewer
        than two can be loaded, MeasureTimeout, DeviceLost.
        """
        meeting, refused = meeting_on(
            self.device, contenders, timeout_s, side_by_side=side_by_side, loading_cores=loading_cores
        )
        self._boards.let_rest()
        with self._cores(), closing(meeting):
            told = duel_on(lambda: self._boards.session(timeout_s), contenders, meeting, seconds, kernel)
        return {**told, "in_turns_because": refused}

    def _place(self, threads: int, board: str) -> MeasuringPlace:
        cores = self.device.cores if self.device.managed else ()
        where = self._where(board)
        return MeasuringPlace(
            cores, threads, self.best_kernel_s.get(where), self._history.usual_s(self._kernel_on(where))
        )

    def _noted(self, result: dict[str, Any], board: str) -> dict[str, Any]:
        if result.get("reference_best_s") is not None:  # nothing was timed where memory is observed
            self.best_kernel_s[self._where(board)] = result["reference_best_s"]
            self._history.add(self._kernel_on(self._where(board)), result)
        result["conditions"]["board"] = board
        return result

    def _kernel_on(self, where: str) -> str:
        """The kernel is another one for another target or number of threads."""
        target = json.dumps(dict(self.device.target), sort_keys=True, default=str)
        return f"{where}, {plural(self.device.threads, 'thread')}, {target}"

    def _where(self, board: str) -> str:
        return self.device.key if self.device.managed else board

    def _cores(self, *, is_host_enough: bool = False) -> AbstractContextManager[None]:
        """Of this device, alone. is_host_enough: for what needs no board, so no proof that one is there."""
        if self._is_closed or not (self._is_open or is_host_enough):
            raise DeviceLost(f"the session with {self.device.key} is not open")
        # The cores of a board that we do not serve are not this host's: the tracker alone keeps others off it.
        cores = self.device.cores if self.device.managed else ()
        return core_lock(self.lock_dir, cores, CORE_TIMEOUT_S, myself(self._sweep))
