"""One test of the onnx package: what becomes of it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sweep.errors import SweepError
from sweep.toolchain.compile_job import CompileJob
from sweep.toolchain.compile_workers.compile_pool import CompilePool
from tests.corpus.trial import try_network
from tests.onnx_backend.cases_of_onnx import BackendTest

__all__ = ["VERDICTS", "Finding", "find"]

VERDICTS = ("right", "wrong", "refused", "unclear", "crashed")
"""unclear: refused, but in the words of an internal error."""

_COMPARE = CompileJob("tests.onnx_backend.recorded:compare")
_ENDED = re.compile(r"crashed with|timed out after|ended with exit code|worker was killed")
_INTERNAL = re.compile(
    r"NoneType|has no attribute|Check failed|object is not|InternalError|Mismatched type|metadata\[|In ir\.Op\("
    r"|ir\.Type\(|(?:Key|Index|Type|Attribute|Value)Error|CodeGenVM|R\.Callable|does not foresee|Traceback|Error code"
    r"|LLVM module"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of a test."""

    test: BackendTest
    verdict: str
    """One of VERDICTS."""
    words: str = ""
    left_out: Mapping[int, Sequence[str]] = field(default_factory=dict)
    """By level, the passes that were left out."""


def find(pool: CompilePool, test: BackendTest, levels: Sequence[int], folder: Path, inputs: str) -> Finding:
    """Write a test into `folder`, try it, and remove what was made."""
    try:
        sizes = test.write(folder, inputs)
        arguments = {"recorded": str(folder), "rtol": test.rtol, "atol": test.atol}
        outcome = try_network(pool, folder / "model.onnx", levels, folder, inputs=sizes, against=(_COMPARE, arguments))
    except SweepError as error:  # of the import: the child is gone, or a bug came out
        return Finding(test, "crashed", f"{type(error).__name__}: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if outcome.refused is not None:
        return Finding(test, _of_refusal(outcome.refused), outcome.refused)
    if not outcome.wrong:
        return Finding(test, "right", "", outcome.left_out)
    words = "; ".join(f"O{level} {why}" for level, why in outcome.wrong.items())
    refusals = [re.match(r"(?:Lower|Build)Failed: ", why) for why in outcome.wrong.values()]
    if _ENDED.search(words):
        return Finding(test, "crashed", words)
    if all(refusals):
        return Finding(test, _of_refusal(words), words)
    return Finding(test, "wrong", words)


def _of_refusal(words: str) -> str:
    if _ENDED.search(words):
        return "crashed"
    return "unclear" if _INTERNAL.search(words) else "refused"
