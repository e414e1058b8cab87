"""Opens a network in the process of a runtime that opens networks itself: found by name, blamed by its title."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sweep.devices.measuring.call_clock import timed_calls
from sweep.devices.measuring.timing import Clock
from sweep.errors import MeasureFailed, OutOfMemory, StudyError, SweepError, in_one_line
from sweep.study.profile_options import TRAINING
from sweep.study.runtimes import Runtime, Session, SessionRequest, runtime_of

__all__ = ["blamed_on", "clock_of", "named_runtime", "open_session"]

_WANTS_MEMORY = ("bad_alloc", "can't allocate memory", "cannot allocate memory", "out of memory")
"""What libraries say where an allocation has failed; NumPy and Python raise MemoryError."""


def named_runtime(name: str) -> Runtime:
    """The runtime of a name. Raises MeasureFailed where this process does not find it, or its library."""
    try:
        runtime = runtime_of(name)
    except StudyError as error:  # found where the study was read, and not by this interpreter
        raise MeasureFailed(f"runtime {error}") from error
    if (missing := runtime.missing()) is not None:
        raise MeasureFailed(f"{runtime.title}: {missing}")
    return runtime


def open_session(runtime: Runtime, request: SessionRequest, mode: str) -> Session:
    """The network, to infer or to be trained. Raises MeasureFailed, OutOfMemory."""
    opener = runtime.train if mode == TRAINING else runtime.open
    if opener is None:
        raise MeasureFailed(f"{runtime.title} trains no network")
    with blamed_on(runtime):
        return opener(request)


def clock_of(session: Session, runtime: Runtime, inputs: Mapping[str, Any], flush: Callable[[], None]) -> Clock:
    """The session's own clock, or calls that are timed from outside; what it raises is blamed on the runtime."""
    clock = session.clock(inputs, flush) or timed_calls(lambda: session.run(inputs), flush)

    def blamed(number: int, repeat: int) -> list[float]:
        with blamed_on(runtime):
            return clock(number, repeat)

    return blamed


@contextmanager
def blamed_on(runtime: Runtime) -> Iterator[None]:
    """Exceptions of a runtime, whose classes have nothing in common, as MeasureFailed with the runtime's title; as
    OutOfMemory where that is what it says.
    """
    try:
        yield
    except SweepError:
        raise
    except MemoryError as error:
        raise OutOfMemory(f"{runtime.title}: {in_one_line(error) or 'no memory is left'}") from error
    except Exception as error:
        said = in_one_line(error)
        lacks = any(words in said.lower() for words in _WANTS_MEMORY)
        raise (OutOfMemory if lacks else MeasureFailed)(f"{runtime.title}: {said}") from error
