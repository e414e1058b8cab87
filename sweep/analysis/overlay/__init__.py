"""Which configuration of each layer is best for several devices at once. Pure; takes times, measures nothing.

`layer_table` reads layers from the table of tuning records, `layer_times` holds a layer's times, `metric` chooses a
configuration, `merged` puts a model's choices together, `leave_one_out` computes what they cost a device that had no
say, `k_configurations` how few configurations are enough, `missing` which times are lacking, `csv_tables` writes CSV.
"""

from __future__ import annotations

from sweep.analysis.overlay.csv_tables import detail_rows, reasons_in_words, write_details, write_overlay
from sweep.analysis.overlay.k_configurations import KConfigurations, ModelKConfigurations, few_for_layer, few_for_model
from sweep.analysis.overlay.layer_table import layers_of
from sweep.analysis.overlay.layer_times import LayerTimes
from sweep.analysis.overlay.leave_one_out import LeaveOneOut, ModelLeaveOneOut, leave_one_out, leave_one_out_of_model
from sweep.analysis.overlay.merged import Merged, merge
from sweep.analysis.overlay.metric import Criterion, Judgement, judge

__all__ = [
    "Criterion",
    "Judgement",
    "KConfigurations",
    "LayerTimes",
    "LeaveOneOut",
    "Merged",
    "ModelKConfigurations",
    "ModelLeaveOneOut",
    "detail_rows",
    "few_for_layer",
    "few_for_model",
    "judge",
    "layers_of",
    "leave_one_out",
    "leave_one_out_of_model",
    "merge",
    "reasons_in_words",
    "write_details",
    "write_overlay",
]
