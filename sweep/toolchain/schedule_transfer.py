"""Makes a recorded schedule again for another target, as an overlay carries schedules from device to device.

A configuration is a trace, post-processing included: a native log holds it, and MetaSchedule applies it as it stands.
So it is replayed without its post-processing, the target's own follows, and both must come to the same trace. They do
wherever a target's kind and features ask for the same rules; a trace of tensor intrinsics that the target lacks is
another schedule there. Numbers in a trace stay as they are: the number of chunks of a parallel loop comes from the
cores of the device that found it, and a device with other cores runs those chunks.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sweep.errors import BuildFailed, in_one_line
from sweep.toolchain.artifacts import compile_candidate
from sweep.toolchain.candidates.service import CandidateSource
from sweep.toolchain.compile_job import BUILD_CANDIDATE
from sweep.toolchain.native_log import NativeRecord
from sweep.toolchain.tvm_loader import load_tvm, resolve_target

__all__ = ["build_candidate_from_record", "recorded_schedule", "replay"]


def recorded_schedule(native: NativeRecord) -> CandidateSource:
    """A candidate that is made again from its record."""
    job = replace(BUILD_CANDIDATE, function=f"{__name__}:{build_candidate_from_record.__name__}")
    return CandidateSource(job, {"workload": native.workload, "record": native.record})


def build_candidate_from_record(
    workload: str, record: str, target: Mapping[str, Any], out_path: str, linker: str | None = None
) -> dict[str, Any]:
    """Compile the schedule of a native tuning record for a target into `out_path`.

    workload, record: lines of a MetaSchedule database. Returns {args, artifact_bytes, build_s}, args as
    `measure_candidate` takes them. `linker` links for another architecture than this host's. Raises BuildFailed.
    """
    resolved = resolve_target(target)
    schedule = replay(workload, record, resolved)
    from tvm.s_tir.meta_schedule.arg_info import ArgInfo

    info = ArgInfo.from_entry_func(schedule.mod, remove_preproc=True)
    args = [{"shape": [int(n) for n in one.shape], "dtype": str(one.dtype)} for one in info]
    return {"args": args, **compile_candidate(schedule.mod, resolved, Path(out_path), linker)}


def replay(workload: str, record: str, target: Any) -> Any:
    """The schedule (`tvm.s_tir.Schedule`) of a record for a resolved target. Raises BuildFailed."""
    load_tvm(())
    from tvm.s_tir import Schedule
    from tvm.s_tir.meta_schedule import TuneContext
    from tvm.s_tir.meta_schedule.database import Workload
    from tvm.s_tir.schedule import Trace

    _, (trace_json, *_rest) = json.loads(record)
    try:
        module = Workload.from_json(json.loads(workload)).mod
        recorded = Schedule(module, error_render_level="none")
        Trace.apply_json_to_schedule(trace_json, recorded)
        again = Schedule(module, error_render_level="none")
        recorded.trace.apply_to_schedule(again, True)
        again.enter_postproc()
        context = TuneContext(mod=module, target=target, space_generator="post-order-apply", num_threads=1)
        refused = next((one for one in context.space_generator.postprocs if not one.apply(again)), None)
    except _refusals() as error:
        raise BuildFailed(f"the trace does not fit the workload: {in_one_line(error)}") from error
    if refused is not None:
        raise BuildFailed(f"{_name(refused)} refuses the trace for {target.export().get('mcpu', target.kind.name)}")
    if str(again.trace) != str(recorded.trace):
        raise BuildFailed("the post-processing for this target makes another schedule of the trace")
    return again


def _refusals() -> tuple[type[Exception], ...]:
    """What TVM raises where a trace and a workload do not go together."""
    return (importlib.import_module("tvm").error.InternalError, ValueError, TypeError, RuntimeError, LookupError)


def _name(postprocessor: Any) -> str:
    return str(postprocessor).rpartition(".")[2]
