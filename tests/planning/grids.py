"""Studies and clusters made directly, without files, for the planner's tests."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from sweep.study.cluster.cluster import Cluster, Device, RayOptions, Simulate, Tracker
from sweep.study.spec import Budget, Measure, Model, Study, Target, TunerSpec

TARGETS = {
    "native": {"kind": "native"},
    "nehalem": {"kind": "llvm", "mcpu": "nehalem"},
    "avx2": {"kind": "llvm", "mcpu": "core-avx2"},
    "same-as-avx2": {"kind": "llvm", "mcpu": "core-avx2", "num-cores": 1},
}
TUNERS = {
    "none": TunerSpec("none", "none", {}),
    "random": TunerSpec("random", "random", {"trials_per_task": 8, "trials_total": None}),
    "xgb": TunerSpec("xgb", "xgb", {"trials_per_task": 64, "trials_total": 100}),
    "twin": TunerSpec("twin", "random", {"trials_per_task": 8, "trials_total": None}),
}


def model(name: str, content: str | None = None) -> Model:
    """A model of this content, by default its own."""
    sha256 = hashlib.sha256((content or name).encode()).hexdigest()
    path, inputs = Path(f"/models/{name}.onnx"), {"data": (1, 3, 8, 8)}
    return Model(name, path.name, path, sha256, inputs, options={"weights": "as-is"})


LISTED = {"opt_levels": "opt_level", "layouts": "layout", "precisions": "precision", "batches": "batch"}


def study(**changes: Any) -> Study:
    """A small study, changed; values of a listed axis by its plural."""
    changes = {**changes, "choices": dict(changes.get("choices", {}))}
    changes["choices"] |= {axis: changes.pop(plural) for plural, axis in LISTED.items() if plural in changes}
    plain = Study(
        name="s",
        question="?",
        models=(model("a"),),
        targets=(Target("native", TARGETS["native"]),),
        tuners=(TUNERS["none"],),
        choices={},
        devices=None,
        exclude=(),
        include=(),
        measure=Measure(),
        budget=Budget(),
        seed=0,
        runtimes=("tvm", "onnxruntime"),
        baseline="onnxruntime",
        path=Path("s.yaml"),
    )
    return dataclasses.replace(plain, **changes)


def device(key: str, mcpu: str = "core-avx2", threads: int = 1, *, managed: bool = True) -> Device:
    """A device of this CPU."""
    return Device(key, {"kind": "llvm", "mcpu": mcpu}, threads, (0,), managed)


def cluster(*devices: Device) -> Cluster:
    """A cluster of these devices, by default two that differ."""
    simulate = Simulate(1, 1, {}, 0.0, 0, 0.0)
    chosen = devices or (device("one"), device("two", "skylake-avx512"))
    return Cluster("c", "ray", Tracker("127.0.0.1", 0, True), chosen, RayOptions(), None, simulate, Path("c.yaml"))


def _some(values: Any, most: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(st.sampled_from(list(values)), min_size=1, max_size=most, unique=True).map(tuple)


@st.composite
def studies(draw: st.DrawFn) -> Study:
    """Studies without rules; some models, targets and tuners are the same under two names."""
    names = draw(_some("abcd"))
    return study(
        models=tuple(model(name, draw(st.sampled_from([None, "shared"]))) for name in names),
        targets=tuple(Target(name, TARGETS[name]) for name in draw(_some(TARGETS))),
        tuners=tuple(TUNERS[label] for label in draw(_some(TUNERS))),
        choices={
            "opt_level": draw(_some(range(5))),
            "layout": draw(_some(["NCHW", "NHWC"], 2)),
            "precision": draw(_some(["float32", "float16"], 2)),
            "batch": draw(_some([1, 2, 8], 2)),
        },
        seed=draw(st.integers(0, 3)),
        runtimes=draw(st.sampled_from([("tvm",), ("tvm", "onnxruntime")])),
    )


@st.composite
def rules(draw: st.DrawFn, of: Study) -> dict[str, tuple[Any, ...]]:
    """A rule about some of a study's values."""
    axes = {
        "model": [each.name for each in of.models],
        "target": [each.name for each in of.targets],
        "tuner": [each.label for each in of.tuners],
        **{axis: of.axes[axis] for axis in LISTED.values()},
        "device": ["one", "two"],
    }
    return {axis: draw(_some(axes[axis], 2)) for axis in draw(_some(axes))}
