"""Takes normalisations apart by TVM's own pass, those that normalise by their batch too.

TVM's decomposition for inference takes every batch norm for one that normalises by stored statistics, whatever it says.
"""

from __future__ import annotations

from typing import Any

from tvm import relax
from tvm.ir.transform import module_pass

from sweep.toolchain.passes.call import calls_of, operator_of

__all__ = ["DecomposeHalfNorms", "DecomposeOpsForInference"]

_WHOLE = ("float32", "float64")
"""Number types of batch norms whose program is right."""


@module_pass(opt_level=0, name="DecomposeOpsForInference")
class DecomposeOpsForInference:
    """The pass. A network that has batch norms of both kinds keeps them whole: TVM takes all apart alike."""

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The module with its normalisations in simpler operators."""
        return _decomposed(module)


@module_pass(opt_level=0, name="DecomposeHalfNorms")
class DecomposeHalfNorms:
    """The pass, for levels that take nothing apart: TVM's program of a whole batch norm of float16 gives float32."""

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The module as it is, unless it has such batch norms."""
        if all(str(norm.args[0].ty.dtype) in _WHOLE for norm in _batch_norms(module)):
            return module
        return _decomposed(module)


def _decomposed(module: Any) -> Any:
    kinds = {bool(norm.attrs.training) for norm in _batch_norms(module)}
    if len(kinds) > 1:
        return module
    name = "DecomposeOpsForTraining" if True in kinds else "DecomposeOpsForInference"
    return getattr(relax.transform, name)()(module)


def _batch_norms(module: Any) -> list[Any]:
    return [call for call in calls_of(module) if operator_of(call) == "relax.nn.batch_norm"]
