"""Small tuning tasks, and a laboratory whose answers a test chooses. Search and records are TVM's own."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from sweep.toolchain.candidates.service import CandidateSource
from sweep.toolchain.tuning.job import TuneJob, TuningTask
from sweep.toolchain.tuning.tuning_session import TuningSession
from sweep.toolchain.tvm_loader import load_tvm

TARGET = {"kind": "llvm", "mcpu": "core-avx2", "num-cores": 1}
RANDOM = {"trials_per_task": 6, "trials_total": None, "round": 3, "builder_timeout_s": 30.0}
XGB = {
    "trials_per_task": 6,
    "trials_total": None,
    "round": 3,
    "population": 8,
    "generations": 1,
    "builder_timeout_s": 30.0,
}

Answer = Callable[[int], list[float] | Exception]


class ChosenLaboratory:
    """Answers at once: every build works, and the n-th measurement (from 1) is what `answer` says."""

    def __init__(self, answer: Answer, build_error: Exception | None = None) -> None:
        self.answer, self.build_error = answer, build_error
        self.modules: list[str] = []
        self.compared: list[int] = []
        self.expected: list[tuple[int, float]] = []
        """After so many measurements, for how many seconds."""
        self.again: Callable[[int], list[float]] = lambda number: [1e-3 + 1e-6 * number] * 5
        self.measured = 0

    def build(self, source: CandidateSource, lib: Path, timeout_s: float) -> Future[dict[str, Any]]:
        self.modules.append(source.arguments["module_json"])
        lib.touch()
        return _settled(self.build_error or {"build_s": 0.25})

    build_slots = 1

    def expect(self, seconds: float) -> None:
        self.expected.append((self.measured, seconds))

    def compare(
        self, candidates: Sequence[tuple[Path, list[dict[str, Any]]]], options: Mapping[str, Any]
    ) -> Future[dict[str, Any]]:
        self.compared.append(len(candidates))
        return _settled({"run_secs": [self.again(number) for number in range(len(candidates))], "seconds": 0.1})

    def measure(self, lib: Path, args: list[dict[str, Any]], options: Mapping[str, Any]) -> Future[dict[str, Any]]:
        self.measured += 1
        answer = self.answer(self.measured)
        return _settled(answer if isinstance(answer, Exception) else {"run_secs": answer, "seconds": 0.5})


class GatedLaboratory(ChosenLaboratory):
    """Holds what is built back until the test opens the gate."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self._lock = threading.Lock()
        self._held: list[Future[dict[str, Any]]] | None = []

    def build(self, source: CandidateSource, lib: Path, timeout_s: float) -> Future[dict[str, Any]]:
        with self._lock:
            settled = super().build(source, lib, timeout_s)
            if self._held is None:
                return settled
            held: Future[dict[str, Any]] = Future()
            self._held.append(held)
            return held

    def open(self) -> None:
        with self._lock:
            held, self._held = self._held or [], None
        for future in held:
            future.set_result({"build_s": 0.25})


class HashLaboratory(ChosenLaboratory):
    """A candidate's time is a function of its module's text, however often and in whatever order it is measured."""

    def __init__(self) -> None:
        super().__init__(lambda number: [1e-3])
        self._seconds: dict[Path, float] = {}

    def build(self, source: CandidateSource, lib: Path, timeout_s: float) -> Future[dict[str, Any]]:
        self._seconds[lib] = 1e-3 + 1e-9 * int(
            hashlib.sha256(source.arguments["module_json"].encode()).hexdigest()[:5], 16
        )
        return super().build(source, lib, timeout_s)

    def measure(self, lib: Path, args: list[dict[str, Any]], options: Mapping[str, Any]) -> Future[dict[str, Any]]:
        self.measured += 1
        return _settled({"run_secs": [self._seconds[lib]] * 3, "seconds": 0.001})

    def compare(
        self, candidates: Sequence[tuple[Path, list[dict[str, Any]]]], options: Mapping[str, Any]
    ) -> Future[dict[str, Any]]:
        self.compared.append(len(candidates))
        return _settled({"run_secs": [[self._seconds[lib]] * 5 for lib, _ in candidates], "seconds": 0.001})


def _settled(answer: dict[str, Any] | Exception) -> Future[dict[str, Any]]:
    future: Future[dict[str, Any]] = Future()
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
    return future


@pytest.fixture(scope="session")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> list[TuningTask]:
    """A matrix product (weight 2), another, and a trivial relu."""
    tvm = load_tvm(("x86",))
    folder = tmp_path_factory.mktemp("tasks")
    made = []
    for name, size, weight in (("dense32", 32, 2), ("dense64", 64, 1), ("relu", 0, 1)):
        function = _matrix_product(size) if size else _relu()
        module = tvm.IRModule({"main": function.with_attr("global_symbol", "main")})
        path = folder / f"{name}.json"
        path.write_text(str(tvm.ir.save_json(module)), encoding="utf-8")
        made.append(TuningTask(f"w-{name}", name, weight, trivial=not size, module=path))
    return made


def _matrix_product(size: int) -> Any:
    from tvm import te

    a, b = te.placeholder((size, size), name="A"), te.placeholder((size, size), name="B")
    k = te.reduce_axis((0, size), name="k")
    c = te.compute((size, size), lambda i, j: te.sum(a[i, k] * b[k, j], axis=k), name="C")
    return te.create_prim_func([a, b, c])


def _relu() -> Any:
    from tvm import te

    a = te.placeholder((256,), name="A")
    return te.create_prim_func([a, te.compute((256,), lambda i: te.max(a[i], te.const(0.0)), name="C")])


_OPEN: list[TuningSession] = []


def tuner_at(folder: Path, name: str = "random", seed: int = 0) -> TuningSession:
    """A tuner that is closed when the test ends."""
    _OPEN.append(TuningSession(name, XGB if name == "xgb" else RANDOM, TARGET, folder, seed))
    return _OPEN[-1]


@pytest.fixture(autouse=True)
def closed_tuners() -> Iterator[None]:
    yield
    while _OPEN:
        _OPEN.pop().close()


def job_of(tasks: list[TuningTask], name: str = "random", **options: object) -> TuneJob:
    base = XGB if name == "xgb" else RANDOM
    return TuneJob("tune test", tasks, name, "d0", {**base, **options})
