"""Jobs for the forge's children in these tests: ways to end, and what must be looked at where TVM is loaded."""

from __future__ import annotations

import ctypes
import errno
import importlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sweep.errors import ImportFailed


def echo(**kwargs: Any) -> dict[str, Any]:
    return kwargs


def address_space() -> dict[str, Any]:
    return {"bytes": resource.getrlimit(resource.RLIMIT_AS)[0]}


def crash() -> None:
    ctypes.string_at(0)


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def crash_at(places: list[str], crashes: list[dict[str, str]] | None = None) -> dict[str, Any]:
    """Crash at each of the places in turn."""
    from sweep.toolchain.crash_notes import note

    told = crashes or []
    if len(told) == len(places):
        return {"crashes": told}
    note(places[len(told)])
    crash()
    raise AssertionError("it has crashed")


def leave() -> None:
    os._exit(3)


def refuse() -> None:
    raise ImportFailed("input 'x' has no shape")


def stumble() -> None:
    {}["missing"]


def find_the_disk_full(how: str) -> None:
    if how == "written":
        os.write(2, b"ld: final link failed: No space left on device\n")
        os._exit(1)
    try:
        raise OSError(errno.ENOSPC, "kein Platz")  # numbers are the same in every language
    except OSError as error:
        if how == "raised":
            raise
        raise ImportFailed("the weights cannot be written") from error


def build_forever() -> None:
    time.sleep(600)


def swallow(mb: int) -> dict[str, Any]:
    return {"bytes": len(bytearray(mb * 1_000_000))}


def hang_with_grandchild(pid_file: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(pid_file).write_text(f"{os.getpid()} {child.pid}")
    time.sleep(600)


def burn_with_grandchild(pid_file: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    Path(pid_file).write_text(f"{os.getpid()} {child.pid}")
    while True:
        pass


def burn(cpu_s: float) -> dict[str, Any]:
    end = time.process_time() + cpu_s
    while time.process_time() < end:
        pass
    return {"cores": sorted(os.sched_getaffinity(0))}


def wait_for_file(path: str) -> dict[str, Any]:
    while not Path(path).exists():
        time.sleep(0.005)
    return {}


def note(path: str, text: str) -> dict[str, Any]:
    with Path(path).open("a") as stream:
        stream.write(text)
    return {"cores": sorted(os.sched_getaffinity(0))}


build_candidate = note


def kept_functions() -> dict[str, Any]:
    from sweep.toolchain.compiled_functions import OBJECTS

    return {"folder": os.environ[OBJECTS]}


def litter() -> dict[str, Any]:
    folder = tempfile.mkdtemp()
    Path(folder, "tvm_tmp_mod.tar").write_bytes(b"left behind")
    return {"folder": folder, "tmpdir": os.environ["TMPDIR"]}


def surroundings() -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "cores": sorted(os.sched_getaffinity(0)),
        "threads": sum(1 for _ in Path("/proc/self/task").iterdir()),
        "modules": [name for name in sys.modules if name.startswith("tvm.s_tir.tensor_intrin.")],
    }


def make_tune_context() -> dict[str, Any]:
    from sweep.toolchain.tvm_loader import load_tvm, resolve_target

    tvm = load_tvm(("x86",))
    from tvm import te
    from tvm.s_tir import meta_schedule

    a = te.placeholder((64, 64), name="a")
    b = te.compute((64, 64), lambda i, j: a[i, j] + 1.0, name="b")
    context = meta_schedule.TuneContext(
        mod=tvm.IRModule({"main": te.create_prim_func([a, b])}),
        target=resolve_target({"kind": "llvm", "native": "here", "num-cores": 1}),
        space_generator="post-order-apply",
        search_strategy="evolutionary",
        num_threads=1,
    )
    return {"spaces": len(context.generate_design_space()), **surroundings()}


def resolve(target: dict[str, Any]) -> dict[str, Any]:
    from sweep.toolchain.tvm_loader import resolve_target, target_json

    return dict(json.loads(target_json(resolve_target(target))))


def resolve_native_with_flags(flags: list[str]) -> dict[str, Any]:
    from sweep.toolchain import tvm_loader

    tvm_loader._cpu_flags = lambda: frozenset(flags)
    tvm_loader._native_attrs.cache_clear()
    return resolve({"kind": "llvm", "native": "here"})


def run_artifact(artifact_dir: str, import_dir: str) -> dict[str, Any]:
    """The greatest difference between the library's outputs and the reference."""
    import numpy as np
    import tvm
    from tvm import relax

    vm = relax.VirtualMachine(tvm.runtime.load_module(f"{artifact_dir}/lib.so"), tvm.cpu())
    inputs, reference = np.load(f"{import_dir}/inputs.npz"), np.load(f"{import_dir}/reference.npz")
    answer = vm["main"](*(tvm.runtime.tensor(inputs[name]) for name in inputs.files))
    outputs = [answer.numpy()] if hasattr(answer, "numpy") else [output.numpy() for output in answer]
    expected = [reference[f"output_{index}"] for index in range(len(outputs))]
    assert [o.shape for o in outputs] == [e.shape for e in expected]
    return {
        "difference": max(float(np.abs(o - e).max()) for o, e in zip(outputs, expected, strict=True)),
        "greatest": max(float(np.abs(e).max()) for e in expected),
    }


def invent_records(lower_dir: str, records_dir: str, target: dict[str, Any], seed: int) -> dict[str, Any]:
    """A native database with one random schedule for every task, as if it had been measured; a torn line at its end."""
    from sweep.toolchain.tvm_loader import load_tvm, resolve_target

    tvm = load_tvm(("x86",))
    from tvm.s_tir import meta_schedule

    resolved = resolve_target(target)
    Path(records_dir).mkdir()
    database = meta_schedule.database.JSONDatabase(work_dir=records_dir)
    tasks = sorted(Path(lower_dir, "tasks").iterdir())
    with_record = 0
    for path in tasks:
        module = tvm.ir.load_json(path.read_text())
        context = meta_schedule.TuneContext(
            mod=module,
            target=resolved,
            space_generator="post-order-apply",
            search_strategy=meta_schedule.search_strategy.ReplayTrace(),
            num_threads=1,
            rand_state=seed,
        )
        space = context.generate_design_space()
        context.pre_tuning(1, 1, space, meta_schedule.database.MemoryDatabase(), meta_schedule.cost_model.RandomModel())
        workload = database.commit_workload(module)
        for candidate in context.generate_measure_candidates() or ():
            arguments = meta_schedule.arg_info.ArgInfo.from_entry_func(candidate.sch.mod, remove_preproc=True)
            database.commit_tuning_record(
                meta_schedule.database.TuningRecord(candidate.sch.trace, workload, [0.001], resolved, arguments)
            )
            with_record += 1
    del database
    with Path(records_dir, "database_tuning_record.json").open("a") as stream:
        stream.write('[0, [[["torn')
    return {"tasks": len(tasks), "records": with_record}


def build_recorded(records_dir: str, out_dir: str, target: dict[str, Any]) -> dict[str, Any]:
    """Build the schedule of each record as a tuner's candidate is built."""
    from sweep.toolchain.artifacts import compile_candidate
    from sweep.toolchain.best_records import BestRecords
    from sweep.toolchain.tvm_loader import load_tvm, resolve_target

    load_tvm(("x86",))
    from tvm.s_tir import Schedule
    from tvm.s_tir.meta_schedule.database import JSONDatabase

    Path(out_dir).mkdir()
    with tempfile.TemporaryDirectory() as scratch:
        BestRecords(Path(records_dir), Path(scratch))
        records = list(JSONDatabase(work_dir=scratch).get_all_tuning_records())
    for number, record in enumerate(records):
        schedule = Schedule(record.workload.mod)
        record.trace.apply_to_schedule(schedule, False)
        compile_candidate(schedule.mod, resolve_target(target), Path(out_dir, f"{number}.so"))
    return {"candidates": len(records)}


def choose_records(records_dir: str) -> dict[str, Any]:
    """What BestRecords copies, as lines."""
    from sweep.toolchain.best_records import BestRecords

    with tempfile.TemporaryDirectory() as scratch:
        best = BestRecords(Path(records_dir), Path(scratch), identify=lambda line: str(len(line)))
        text = Path(scratch, "database_tuning_record.json").read_text()
    return {"has": [best.has("8"), best.has("9")], "records": [json.loads(line) for line in text.splitlines()]}


def workload_ids(paths: list[str]) -> dict[str, Any]:
    """Of each serialised module: our id, and TVM's structural hash on this machine."""
    import tvm
    import tvm_ffi

    from sweep.toolchain.workload_id import workload_id

    texts = [Path(path).read_text() for path in paths]
    return {
        "ours": [workload_id(tvm.ir.load_json(text)) for text in texts],
        "again": [workload_id(tvm.ir.load_json(tvm.ir.save_json(tvm.ir.load_json(text)))) for text in texts],
        "structural": [str(tvm_ffi.structural_hash(tvm.ir.load_json(text))) for text in texts],
    }


def packed_weights(lower_dir: str, records_dir: str, level: int, target: dict[str, Any]) -> dict[str, Any]:
    """Weights whose packed form became a constant, and functions that would pack at every run."""
    from sweep.toolchain.best_records import BestRecords
    from sweep.toolchain.lowering import finish
    from sweep.toolchain.module_files import read_module
    from sweep.toolchain.tvm_loader import load_tvm, resolve_target

    tvm = load_tvm(("x86",))
    from tvm.ir import GenericConst

    resolved = resolve_target(target)
    module = read_module(Path(lower_dir))
    with tempfile.TemporaryDirectory() as scratch:
        applied = BestRecords(Path(records_dir), Path(scratch)).apply(module, resolved)
        module, _ = finish(applied.module, level, resolved)
    constants: list[Any] = []
    collect = lambda node: constants.append(node) if isinstance(node, GenericConst) else None  # noqa: E731
    tvm.relax.analysis.post_order_visit(module["main"], collect)
    return {
        "packed": sum(len(constant.value.shape) > 4 for constant in constants),
        "packed_at_run": sum("layout_rewrite_preproc" in str(v.name_hint) for v in module.get_global_vars()),
    }


def calls_of(lower_dir: str, level: int, target: dict[str, Any]) -> dict[str, Any]:
    """The kernels that `main` calls, in order, after lowering and after the passes of the build; the blocks of all."""
    from sweep.toolchain.lowering import finish
    from sweep.toolchain.module_files import read_module
    from sweep.toolchain.tvm_loader import load_tvm, resolve_target

    tvm = load_tvm(())
    module = read_module(Path(lower_dir))

    def called(module: Any) -> list[str]:
        names: list[str] = []

        def look(node: Any) -> None:
            if str(getattr(getattr(node, "op", None), "name", "")).startswith("relax.call_tir"):
                names.append(str(node.args[0].name_hint))

        tvm.relax.analysis.post_order_visit(module["main"], look)
        return names

    blocks = re.findall(r'T\.sblock\("(\w+)"\)', module.script(show_meta=False))
    finished, _ = finish(module, level, resolve_target(target))
    return {"lowered": called(module), "finished": called(finished), "blocks": sorted(set(blocks))}


def run_sentinel_kernel(lib: str, args: list[dict[str, Any]]) -> dict[str, Any]:
    """How often the product is summed up, and its and the stream's largest distance from numpy's."""
    import numpy as np
    import tvm

    generator = np.random.default_rng(0)
    values = [generator.standard_normal(arg["shape"]).astype(arg["dtype"]) for arg in args]
    tensors = [tvm.runtime.tensor(value, tvm.cpu()) for value in values]
    module = tvm.runtime.load_module(lib)
    module[module.entry_name](*tensors)
    left, right, source, *_ = values
    product, stream = (tensor.numpy() for tensor in tensors[3:])
    rounds = float(np.round(np.median(product / (left @ right))))
    return {
        "rounds": rounds,
        "product": float(np.abs(product - rounds * (left @ right)).max()),
        "stream": float(np.abs(stream - source - 1).max()),
    }


def stock_database(folder: str) -> dict[str, Any]:
    """What MetaSchedule's own database finds in a folder, and that each workload has a valid best record there."""
    from sweep.toolchain.tvm_loader import load_tvm
    from sweep.toolchain.workload_id import workload_id

    load_tvm(("x86",))
    from tvm.s_tir import meta_schedule

    database = meta_schedule.database.JSONDatabase(work_dir=folder)
    records = database.get_all_tuning_records()
    modules = [record.workload.mod for record in records]
    assert all(database.query_tuning_record(module, records[0].target, "main") is not None for module in modules)
    return {
        "records": len(records),
        "workloads": [workload_id(module) for module in modules],
        "target_kinds": [str(record.target.kind.name) for record in records],
    }


def replay_record(workload: str, record: str, target: dict[str, Any]) -> dict[str, Any]:
    """A recorded schedule for a target: its hash, its parallel and vector loops, and how far its output is from that of
    the unscheduled program.
    """
    import hashlib

    import numpy as np

    from sweep.toolchain.artifacts import compile_candidate
    from sweep.toolchain.schedule_transfer import build_candidate_from_record, replay
    from sweep.toolchain.tvm_loader import load_tvm, resolve_target

    tvm = load_tvm(())
    from tvm.s_tir.meta_schedule.database import Workload

    resolved = resolve_target(target)
    schedule = replay(workload, record, resolved)
    text = str(schedule.mod.script())
    with tempfile.TemporaryDirectory() as folder:
        made = build_candidate_from_record(workload, record, target, f"{folder}/scheduled.so")
        plain = Workload.from_json(json.loads(workload)).mod
        compile_candidate(plain, resolve_target({"kind": "llvm"}), Path(folder) / "plain.so")
        generator = np.random.default_rng(0)
        values = [generator.standard_normal(arg["shape"]).astype(arg["dtype"]) for arg in made["args"]]
        outputs = []
        for name in ("scheduled", "plain"):
            tensors = [tvm.runtime.tensor(value) for value in values]
            tvm.runtime.load_module(f"{folder}/{name}.so")["main"](*tensors)
            outputs.append(tensors[-1].numpy())
    return {
        "hash": hashlib.sha256(str(schedule.trace).encode()).hexdigest()[:16],
        "parallel": [int(extent) for extent in re.findall(r"T\.parallel\((\d+)\)", text)],
        "vectorized": [int(extent) for extent in re.findall(r"T\.vectorized\((\d+)\)", text)],
        "difference": float(np.abs(outputs[0] - outputs[1]).max()),
    }


def write_whole(from_dir: str, to_dir: str) -> dict[str, Any]:
    """Write the module of a folder as older versions did: all in one file of JSON."""
    from sweep.toolchain.module_files import read_module
    from sweep.toolchain.tvm_loader import load_tvm

    Path(to_dir, "module.json").write_text(load_tvm(()).ir.save_json(read_module(Path(from_dir))))
    return {}


def same_modules(one: str, other: str) -> dict[str, Any]:
    """Whether two folders have the same module, constants included, and how many large constants are in it."""
    import tvm_ffi
    from tvm.ir import GenericConst

    from sweep.toolchain.module_files import read_module
    from sweep.toolchain.tvm_loader import load_tvm

    tvm = load_tvm(())
    modules = [read_module(Path(folder)) for folder in (one, other)]
    sizes: list[int] = []
    collect = lambda node: sizes.append(node.value.numpy().nbytes) if isinstance(node, GenericConst) else None  # noqa: E731
    tvm.relax.analysis.post_order_visit(modules[0]["main"], collect)
    return {
        "same": bool(tvm_ffi.structural_equal(*modules, map_free_vars=True)),
        "constants": sum(size >= 1024 for size in sizes),
        "parameters": len(modules[0]["main"].params),
    }


def lower_with(pass_name: str, level: int, **arguments: Any) -> dict[str, Any]:
    """Lower by a recipe that begins with a further pass, of those below."""
    from dataclasses import replace

    from sweep.toolchain import jobs, lowering

    recipe = lowering.RECIPES[level]
    lowering.RECIPES[level] = replace(recipe, passes=(f"tests.toolchain.forge_jobs:{pass_name}", *recipe.passes))
    return jobs.lower_model(**arguments)


def Refusing() -> Any:
    """A pass that refuses every module."""
    raise ValueError("it is too\n  odd")


def OnAFullDisk() -> Any:
    """A pass that finds no room, as the note of what is done next may."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def Crashing() -> Any:
    """A pass that ends its process."""
    crash()


def build_below(level: int, how: str, **arguments: Any) -> dict[str, Any]:
    """Build with a TVM that crashes on, or refuses, the module of this level and those of higher ones."""
    import tvm

    from sweep.toolchain import artifacts, jobs

    build, note, tried = tvm.relax.build, artifacts.note, []

    def noted(step: str) -> None:
        tried.append(int(step.split()[1]))
        note(step)

    def refusing(*given: Any, **more: Any) -> Any:
        if tried[-1] < level:
            return build(*given, **more)
        if how == "crash":
            crash()
        if how == "no room":
            OnAFullDisk()
        raise RuntimeError("cannot emit this")

    artifacts.note, tvm.relax.build = noted, refusing
    return jobs.build_artifact(**arguments)


def overtaken(stage_job: str, step: str, **arguments: Any) -> dict[str, Any]:
    """A stage's job in whose longest step another attempt at the stage begins and ends."""
    from sweep.files.atomic import replacing_folder
    from sweep.toolchain import jobs

    module_name, _, name = step.partition(":")
    module = importlib.import_module(module_name)
    whole = getattr(module, name)

    def late(*given: Any) -> Any:
        with replacing_folder(Path(arguments["out_dir"])) as folder:
            (folder / "second").touch()
        return whole(*given)

    setattr(module, name, late)
    return getattr(jobs, stage_job)(**arguments)  # type: ignore[no-any-return]


class Spoiler:
    """A pass that changes the module that it is given, and then refuses it."""

    def __call__(self, module: Any) -> Any:
        for name in list(module.functions):
            del module[name]
        raise ValueError("nothing is left")


def spoil(import_dir: str, target: dict[str, Any]) -> dict[str, Any]:
    """Run that pass over an imported network: how many functions the module has that comes out, and that went in."""
    from sweep.toolchain.module_files import read_module
    from sweep.toolchain.pass_runs import PassRun, run_passes
    from sweep.toolchain.tvm_loader import resolve_target

    given = read_module(Path(import_dir))
    made, left_out = run_passes(["tests.toolchain.forge_jobs:Spoiler"], given, PassRun(resolve_target(target)))
    return {"made": len(made.functions), "given": len(given.functions), "left_out": list(map(str, left_out))}
