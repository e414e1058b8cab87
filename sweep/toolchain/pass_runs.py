"""Runs the passes of a recipe over a module, and leaves out those that refuse it.

A pass meets networks that it cannot take. What level 0 runs, every level runs: a pass that may be left out is left out
for such a network, and its name and reason are kept, for the cell is not what its level says.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sweep.errors import LowerFailed, in_one_line
from sweep.toolchain.crash_notes import Crash, note

__all__ = ["LeftOut", "PassRun", "run_passes"]

_PASS_CONTEXT_LEVEL = 3
_NO_REASON = "it gave no reason"
_REASON_LENGTH = 200


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What was not done to a module, and why."""

    name: str
    reason: str

    @classmethod
    def because(cls, name: str, error: Exception | str) -> LeftOut:
        """Of a pass by its name in a recipe."""
        reason = in_one_line(error) if isinstance(error, Exception) else error
        return cls(name.rpartition(":")[2], (reason or _NO_REASON)[:_REASON_LENGTH])

    def __str__(self) -> str:
        return f"{self.name} ({self.reason})"


@dataclass(frozen=True, slots=True)
class PassRun:
    """How passes are run: all that is not their order."""

    target: Any
    needed: frozenset[str] = frozenset()
    """Passes whose refusal is an error."""
    pairs: Mapping[str, str] = field(default_factory=dict)
    """A pass, and an earlier one that makes no sense without it: neither is done where it refuses."""
    place: str = ""
    """What is noted of where a pass is run, before its name."""
    crashes: Sequence[Crash] = ()
    """In earlier tries of this job: a pass that has crashed is not tried again."""
    without: Mapping[str, str] = field(default_factory=dict)
    """Passes that are not run, and why."""


def run_passes(passes: Sequence[str], module: Any, run: PassRun) -> tuple[Any, list[LeftOut]]:
    """The module after the passes, and those that were left out.

    passes: in order; a name with no colon is of `tvm.relax.transform`, another is `module:name`.
    Raises LowerFailed where a needed one refuses the module.
    """
    tvm = importlib.import_module("tvm")
    left_out: list[LeftOut] = []
    before: dict[str, Any] = {}
    crashed = {crash.at: crash.how for crash in run.crashes}
    with run.target, tvm.transform.PassContext(opt_level=_PASS_CONTEXT_LEVEL):
        for name in passes:
            before[name] = module
            at = f"{run.place}{name}"
            try:
                if reason := crashed.get(at) or run.without.get(name):
                    raise LowerFailed(reason)
                note(at)
                module = _make(name)(module.clone())  # some change what they are given, and then refuse it
            except (MemoryError, OSError):
                raise  # says nothing of the network
            except Exception as error:
                if name in run.needed:
                    reason = in_one_line(error) or _NO_REASON
                    raise LowerFailed(f"pass {name.rpartition(':')[2]} failed: {reason}") from error
                module = before[run.pairs.get(name, name)]
                left_out.append(LeftOut.because(name, error))
    return module, left_out


def _make(name: str) -> Any:
    module, _, attribute = name.rpartition(":")
    return getattr(importlib.import_module(module or "tvm.relax.transform"), attribute)()
