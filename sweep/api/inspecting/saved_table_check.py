"""Holds the saved tables that a study is calibrated by against its networks, before anything is done."""

from __future__ import annotations

from sweep.errors import StudyError
from sweep.planning.stage import Plan
from sweep.study.reading.line_numbers import tells_lines
from sweep.study.spec import Model, Study

__all__ = ["check_saved_tables"]


@tells_lines
def check_saved_tables(study: Study, plan: Plan) -> None:
    """Raises StudyError where the table of a network that is quantised says that it is another one's, or there is none
    and no samples either. Of a network whose files tell nothing of its weights, the stage `calibrate` tells.
    """
    if not study.calibration.tables:
        return
    models = {model.name: model for model in study.models}
    cells = (one.cell for one in plan.cells if not one.refusal and study.is_quantised(one.cell.precision))
    for name in dict.fromkeys(cell.model for cell in cells):
        _check(study, models[name])


def _check(study: Study, model: Model) -> None:
    table = study.calibration.table_of(model.name)
    if table is None:
        if not study.calibration.has_samples:
            problem, allowed = f"has none for {model.name}", f"{{{model.name}: PATH}}, or dataset: NAME beside it"
            names = ", ".join(study.calibration.tables)
            raise StudyError(problem, file=study.path, key="calibration.table", value=names, allowed=allowed)
        return
    if table.network_sha256 is not None and model.is_hashed and table.network_sha256 != model.sha256:
        whose = f" ({table.network})" if table.network else ""
        problem, key = f"is of another network{whose} than {model.name}", study.calibration.key_of(model.name)
        allowed = f"a table of {model.path.name} as it is now"
        raise StudyError(problem, file=study.path, key=key, value=table.written, allowed=allowed)
