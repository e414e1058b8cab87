"""Takes normalisations apart by TVM's own pass, those that normalise by their batch too.

TVM's decomposition for inference takes every batch norm for one that normalises by stored statistics, whatever it says.
"""

from __future__ import annotations

from typing import Any

from tvm import relax
from tvm.ir.transform import module_pass

from sweep.toolchain.passes.call import operator_of

__all__ = ["DecomposeOpsForInference"]


@module_pass(opt_level=0, name="DecomposeOpsForInference")
class DecomposeOpsForInference:
    """The pass. A network that has batch norms of both kinds keeps them whole: TVM takes all apart alike."""

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The module with its normalisations in simpler operators."""
        kinds: set[bool] = set()

        def visit(value: Any) -> None:
            if operator_of(value) == "relax.nn.batch_norm":
                kinds.add(bool(value.attrs.training))

        for _, function in module.functions_items():
            if isinstance(function, relax.Function):
                relax.analysis.post_order_visit(function, visit)
        if len(kinds) > 1:
            return module
        name = "DecomposeOpsForTraining" if True in kinds else "DecomposeOpsForInference"
        return getattr(relax.transform, name)()(module)
