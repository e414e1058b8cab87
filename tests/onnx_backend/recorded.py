"""Runs in a compile worker's child: the outputs of compiled code for recorded inputs, against the recorded outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["compare", "difference"]

_THRESHOLD = 1e-3
_ULPS = 4
"""Units in the last place of the largest value expected, which rounding may cost."""


def compare(artifact_dir: str, import_dir: str, recorded: str, rtol: float, atol: float) -> dict[str, Any]:
    """{check: what the product's own check says for its own inputs, differs: how the outputs for the recorded inputs
    differ from the recorded ones, None where they do not}.
    """
    from sweep.devices.runtimes.artifact import load_artifact
    from tests.corpus.compared import own_check, run_artifact

    artifact = load_artifact(Path(artifact_dir), Path(import_dir))
    check = own_check(artifact, run_artifact(artifact, artifact.inputs), _THRESHOLD)
    sets = [folder for folder in sorted(Path(recorded).glob("set_*")) if not (folder / "no_tensors").exists()]
    if not sets:
        return {"check": check, "differs": "nothing was recorded as tensors alone"}
    for folder in sets:
        inputs, expected = (_read(folder, side) for side in ("input", "output"))
        if problem := _misfit(inputs, artifact.inputs):
            return {"check": check, "differs": problem}
        if differs := difference(run_artifact(artifact, inputs), expected, rtol, atol):
            return {"check": check, "differs": differs}
    return {"check": check, "differs": None}


def difference(outputs: list[Any], expected: list[Any], rtol: float, atol: float) -> str | None:
    """In words; None where the outputs are the expected ones."""
    if len(outputs) != len(expected):
        return f"{len(outputs)} outputs for {len(expected)}"
    for index, (found, right) in enumerate(zip(outputs, expected, strict=True)):
        if (found.shape, found.dtype) != (right.shape, right.dtype):
            return f"output {index} is {found.dtype} {found.shape} for {right.dtype} {right.shape}"
        close = _close(found, right, rtol, atol) if right.dtype.kind not in "iub" else found == right
        if not close.all():
            at = tuple(np.argwhere(~close)[0])
            return f"output {index}: {np.count_nonzero(~close)} of {close.size} differ, as {found[at]} for {right[at]}"
    return None


def _close(found: Any, right: Any, rtol: float, atol: float) -> Any:
    import ml_dtypes

    one, other = found.astype(np.float64), right.astype(np.float64)
    finite = np.isfinite(other)
    scale = float(np.abs(other[finite]).max(initial=0.0))
    margin = atol + _ULPS * float(ml_dtypes.finfo(right.dtype).eps) * scale
    with np.errstate(invalid="ignore"):
        near = finite & (np.abs(one - other) <= margin + rtol * np.abs(other))
    return near | (one == other) | (np.isnan(one) & np.isnan(other))


def _misfit(inputs: list[Any], taken: list[Any]) -> str | None:
    kinds = [[f"{array.dtype} {array.shape}" for array in arrays] for arrays in (inputs, taken)]
    return None if kinds[0] == kinds[1] else f"takes {', '.join(kinds[1])} where the test feeds {', '.join(kinds[0])}"


def _read(folder: Path, side: str) -> list[Any]:
    from onnx import TensorProto, numpy_helper

    paths = sorted(folder.glob(f"{side}_*.pb"), key=lambda path: int(path.stem.partition("_")[2]))
    return [numpy_helper.to_array(TensorProto.FromString(path.read_bytes())) for path in paths]
