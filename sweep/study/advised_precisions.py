"""Precisions that keep the advised layers in float32: each needs the one beside it that keeps none, which is judged."""

from __future__ import annotations

from collections.abc import Callable

from sweep.errors import StudyError
from sweep.study.precisions import precision_of
from sweep.study.spec import Study

__all__ = ["ADVISED", "WORST", "advised_in", "check_advised", "whole_of"]

ADVISED = "float32_advised"
"""The option of a precision that keeps so many layers in float32: those that gain most for what they cost."""
WORST = "float32_worst"
"""The option of a precision that keeps so many layers in float32: those whose quantisation costs most."""


def whole_of(study: Study, name: str, without: str = ADVISED) -> str | None:
    """The name of the precision of a study that is another but for keeping no layers by an option; None without one."""
    wanted = {key: value for key, value in precision_of(name, study.described).options.items() if key != without}
    others = (one for one in study.axes["precision"] if one != name and study.is_quantised(one))
    return next((one for one in others if dict(precision_of(one, study.described).options) == wanted), None)


def advised_in(study: Study) -> Callable[[str], bool]:
    """What tells whether a precision of the study keeps advised layers."""
    return lambda name: study.is_quantised(name) and bool(precision_of(name, study.described).options.get(ADVISED))


def check_advised(study: Study) -> None:
    """Raises StudyError for one whose layers nobody would be advised on."""
    for name in study.axes["precision"]:
        if advised_in(study)(name) and whole_of(study, name) is None:
            problem = f"keeps layers by the advice on the same precision without {ADVISED}, which the study has not"
            allowed = f"that precision too, beside {name}"
            raise StudyError(problem, file=study.path, key="axes.precision", value=name, allowed=allowed)
