"""Every slip in a study file is one line: the file, the key, the value and what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sweep.errors import StudyError
from sweep.study.cluster.cluster import Cluster
from sweep.study.grid import cells
from sweep.study.spec import Study
from tests.study.written_lines import line_at

BASE = "study: s\nmodels: [onnx-light:squeezenet]\n"
TUNER_OPTIONS = "label, trials_per_task, trials_total, hours"
TUNERS = "none, random, gridsearch, ga, droplet, xgb, mlp, optuna or module:attribute"
ONE_MODEL = "study: s\nmodels: [{path: onnx-light:squeezenet, inputs: %s}]\n"

# what is written; the key named; a part of the problem; a part of what is allowed
CASES: list[tuple[str, str, str, str]] = [
    # keys, at every level
    (BASE + "tuner: [none]", "tuner", "did you mean 'tuners'?", "study, question, models"),
    (BASE + "axes: {precison: [float32]}", "axes.precison", "did you mean 'precision'?", "layout, precision, batch"),
    (BASE + "measure: {repeats: 3}", "measure.repeats", "did you mean 'repeat'?", "repeat, max_repeat"),
    (BASE + "budget: {hour: 3}", "budget.hour", "did you mean 'hours'?", "hours"),
    (BASE + "exclude: [{tunr: none}]", "exclude[0].tunr", "did you mean 'tuner'?", "model, target, tuner"),
    (BASE + "tuners: [{name: xgb, trial_per_task: 3}]", "tuners[0].trial_per_task", "did you mean", TUNER_OPTIONS),
    (BASE + "targets: [{kind: llvm, num_cores: 4}]", "targets[0].num_cores", "did you mean 'num-cores'?", "mtriple"),
    (
        "study: s\nmodels: [{path: onnx-light:squeezenet, input: {}}]",
        "models[0].input",
        "'inputs'?",
        "path, name, inputs",
    ),
    # what must be there
    ("models: [onnx-light:squeezenet]", "study", "is missing", "small letters, digits and dashes"),
    ("study: s", "models", "is missing", "a list with"),
    ("study: s\nmodels: [{name: x}]", "models[0].path", "is missing", "onnx-light:squeezenet"),
    ("study: s\nmodels:", "models", "has no value", "a list with"),
    # names
    (
        "study: My Study\nmodels: [onnx-light:squeezenet]",
        "study",
        "(got 'My Study')",
        "small letters, digits and dashes",
    ),
    ("study: 5\nmodels: [onnx-light:squeezenet]", "study", "wrong type (got 5)", "small letters"),
    ("study: true\nmodels: [onnx-light:squeezenet]", "study", "wrong type (got True)", "small letters"),
    (BASE + f"question: {'x' * 3000}", "question", "too long", "up to 2000 characters"),
    # models
    ("study: s\nmodels: []", "models", "is empty", "a list with"),
    ("study: s\nmodels: onnx-light:squeezenet", "models", "wrong type", "a list with"),
    ("study: s\nmodels: [onnx-light:squeezene]", "models[0]", "did you mean 'squeezenet'?", "resnet50"),
    ("study: s\nmodels: [squeezenet]", "models[0]", "did you mean 'onnx-light:squeezenet'?", ".onnx"),
    ("study: s\nmodels: [nope.onnx]", "models[0]", "does not exist (got 'nope.onnx')", "nope.onnx"),
    ("study: s\nmodels: [{path: nope.onnx}]", "models[0].path", "does not exist", "nope.onnx"),
    ("study: s\nmodels: [net.caffemodel]", "models[0]", "is not a model file", ".onnx"),
    ("study: s\nmodels: [/]", "models[0]", "is a directory", ".onnx"),
    ("study: s\nmodels: [3]", "models[0]", "wrong type (got 3)", "path, name, inputs"),
    ("study: s\nmodels: [onnx-light:resnet50, onnx-light:resnet50]", "models[1]", "same as models[0]", "`name:`"),
    (ONE_MODEL % "{data: [1, -3]}", "models[0].inputs.data[1]", "out of range (got -3)", "from 1"),
    (ONE_MODEL % "{data: [1, 0]}", "models[0].inputs.data[1]", "out of range (got 0)", "from 1"),
    (ONE_MODEL % "{data: '1,3,224,224'}", "models[0].inputs.data", "wrong type", "a list with a whole number"),
    (ONE_MODEL % "[1, 3]", "models[0].inputs", "wrong type (got [1, 3])", "a mapping"),
    (ONE_MODEL % "{data: [1, 60000, 60000]}", "models[0].inputs.data", "too large", "2^31"),
    (
        ONE_MODEL % "{data_0: [2, 3, 9, 9]}" + "axes: {batch: [1]}\n",
        "models[0].inputs.data_0",
        "has 2 where the batch stands",
        "axes: {batch: [2]}",
    ),
    # targets
    (BASE + "targets: [opencl]", "targets[0]", "kind 'opencl' cannot be built here", "llvm, native"),
    (BASE + "targets: [{kind: vulkan}]", "targets[0].kind", "kind 'vulkan' cannot be built here", "llvm, native"),
    (BASE + "targets: [nvidia/nvidia-a100]", "targets[0]", "kind 'cuda' cannot be built here", "llvm, native"),
    (BASE + "targets: [{kind: lvm}]", "targets[0].kind", "did you mean 'llvm'?", "llvm, native"),
    (BASE + "targets: [{kind: llvm, mcpu: core-avx3}]", "targets[0].mcpu", "did you mean 'core-avx2'?", "more"),
    (BASE + "targets: ['llvm -mcpu=haswel']", "targets[0]", "did you mean 'haswell'?", "haswell"),
    (
        BASE + "targets: [{kind: llvm, mtriple: aarch64-linux-gnu, mcpu: haswell}]",
        "targets[0].mcpu",
        "not a CPU that LLVM knows for aarch64",
        "more",
    ),
    (BASE + "targets: [{kind: llvm, mcpu: 3}]", "targets[0].mcpu", "wrong type (got 3)", "text"),
    (BASE + "targets: [{kind: llvm, mattr: avx2}]", "targets[0].mattr", "did you mean '+avx2'?", "+avx2 or -fma"),
    (BASE + "targets: [{kind: llvm, mattr: [+avx22]}]", "targets[0].mattr", "did you mean '+avx2'?", "+avx2 or -fma"),
    (BASE + "targets: [{kind: llvm, mattr: [+fma, -fma]}]", "targets[0].mattr", "both +fma and -fma", "one of them"),
    (BASE + "targets: [{kind: llvm, mtriple: foo-bar}]", "targets[0].mtriple", "no architecture", "aarch64-linux-gnu"),
    (BASE + "targets: [{kind: llvm, num-cores: 0}]", "targets[0].num-cores", "out of range (got 0)", "from 1 to 1024"),
    (BASE + "targets: [{mcpu: nehalem}]", "targets[0]", "neither a kind nor a tag", "native, a tag"),
    (BASE + "targets: [{kind: native, mcpu: nehalem}]", "targets[0].mcpu", "native takes no options", "kind alone"),
    (BASE + "targets: [{tag: arm/rasp4b66}]", "targets[0].tag", "did you mean 'arm/rasp4b64'?", "arm/rasp4b64"),
    (BASE + "targets: [{tag: arm/rasp4b64, kind: cuda}]", "targets[0].kind", "not the kind of the tag", "llvm"),
    (BASE + "targets: [arm/rasp4b65]", "targets[0]", "did you mean 'arm/rasp4b64'?", "native, a tag"),
    (BASE + "targets: ['']", "targets[0]", "is empty", "text"),
    (BASE + "targets: ['  ']", "targets[0]", "is empty", "native, a tag"),
    (BASE + "targets: ['llvm -mcpu core-avx2']", "targets[0]", "no option: '-mcpu'", "-mcpu=core-avx2"),
    (BASE + "targets: ['llvm -mcp=core-avx2']", "targets[0]", "did you mean 'mcpu'?", "-mcpu, -mattr"),
    (BASE + "targets: ['llvm -mcpu=']", "targets[0]", "no option: '-mcpu='", "-mcpu=core-avx2"),
    (BASE + "targets: ['llvm -num-cores=four']", "targets[0]", "is no number: 'four'", "a whole number"),
    (BASE + "targets: ['llvm -num-cores=0']", "targets[0]", "bad value for -num-cores", "from 1 to 1024"),
    (BASE + "targets: ['llvm -mcpu=nehalem -mcpu=haswell']", "targets[0]", "-mcpu twice", "each option once"),
    (BASE + "targets: [true]", "targets[0]", "wrong type (got True)", "text"),
    (BASE + "targets: [native, native]", "targets[1]", "same as targets[0]", "`name:`"),
    (
        BASE + "targets: [{name: a, kind: llvm, mcpu: haswell}, {name: b, kind: llvm, mcpu: haswell}]",
        "targets[1]",
        "same target as a",
        "each target once",
    ),
    # tuners
    (BASE + "tuners: [xgbb]", "tuners[0]", "did you mean 'xgb'?", TUNERS),
    (BASE + "tuners: [gridserch]", "tuners[0]", "did you mean 'gridsearch'?", TUNERS),
    (BASE + "tuners: [{name: droplets}]", "tuners[0]", "did you mean 'droplet'?", "none, random, gridsearch"),
    (
        BASE + "tuners: [{name: random, population: 3}]",
        "tuners[0].population",
        "an option of ga, xgb, mlp",
        "trials_per_task",
    ),
    (BASE + "tuners: [{name: ga, generations: 3}]", "tuners[0].generations", "an option of xgb, mlp", "population"),
    (BASE + "tuners: [{name: ga, population: 1}]", "tuners[0].population", "out of range (got 1)", "from 2 to 65536"),
    (BASE + "tuners: [{name: xgb, population: 0}]", "tuners[0].population", "out of range (got 0)", "from 2 to 65536"),
    (BASE + "tuners: [{name: droplet, round: 0}]", "tuners[0].round", "out of range (got 0)", "from 1 to 1024"),
    (
        BASE + "tuners: [{name: gridsearch, early_stopping: 0}]",
        "tuners[0].early_stopping",
        "out of range (got 0)",
        "from 1",
    ),
    (
        BASE + "tuners: [{name: ga, trials_per_task: null}]",
        "tuners[0].trials_per_task",
        "has no end without trials_total or hours",
        "null beside trials_total or hours",
    ),
    (BASE + "tuners: [mlp]", "tuners[0]", "needs torch, which is not installed (got 'mlp')", "another tuner"),
    (BASE + "tuners: [{name: mlp}]", "tuners[0]", "needs torch, which is not installed", "pip install torch"),
    (BASE + "tuners: [optuna]", "tuners[0]", "needs optuna, which is not installed", "pip install 'tvm-sweep[optuna]'"),
    (BASE + "tuners: [{name: optuna, sampler: tp}]", "tuners[0].sampler", "(got 'tp')", "tpe, nsgaii, qmc, random"),
    (
        BASE + "tuners: [{name: none, trials_per_task: 3}]",
        "tuners[0].trials_per_task",
        "an option of random, gridsearch, ga",
        "label",
    ),
    (BASE + "tuners: [{trials_per_task: 3}]", "tuners[0]", "has no name", TUNERS),
    (BASE + "tuners: [{name: xgb, trials_per_task: 0}]", "tuners[0].trials_per_task", "out of range (got 0)", "from 1"),
    (
        BASE + "tuners: [{name: xgb, trials_per_task: '8'}]",
        "tuners[0].trials_per_task",
        "wrong type (got '8')",
        "from 1",
    ),
    (
        BASE + "tuners: [{name: xgb, trials_per_task: 8.5}]",
        "tuners[0].trials_per_task",
        "wrong type (got 8.5)",
        "whole",
    ),
    (BASE + "tuners: [{name: xgb, hours: 0}]", "tuners[0].hours", "out of range (got 0)", "above 0"),
    (BASE + "tuners: [{name: xgb, label: a b}]", "tuners[0].label", "(got 'a b')", "letters, digits"),
    (BASE + "tuners: [{name: 3}]", "tuners[0]", "wrong type", TUNERS),
    (BASE + "tuners: xgb", "tuners", "wrong type (got 'xgb')", "a list with"),
    (BASE + "tuners: []", "tuners", "is empty", TUNERS),
    (BASE + "tuners: [xgb, {name: xgb, round: 8}]", "tuners[1]", "same as tuners[0]", "`label:`"),
    # other axes
    (BASE + "opt_levels: [5]", "opt_levels[0]", "out of range (got 5)", "from 0 to 4"),
    (BASE + "opt_levels: [-1]", "opt_levels[0]", "out of range (got -1)", "from 0 to 4"),
    (BASE + "opt_levels: [true]", "opt_levels[0]", "wrong type (got True)", "from 0 to 4"),
    (BASE + "opt_levels: 3", "opt_levels", "wrong type (got 3)", "a list with"),
    (BASE + "opt_levels: []", "opt_levels", "is empty", "a list with"),
    (BASE + "opt_levels: [3, 3]", "opt_levels[1]", "same as opt_levels[0]", "once"),
    (BASE + "axes: {layout: [NCWH]}", "axes.layout[0]", "did you mean 'NCHW'?", "NCHW, NHWC"),
    (BASE + "axes: {precision: [int9]}", "axes.precision[0]", "'int9'", "float32, float16"),
    (BASE + "axes: {batch: [0]}", "axes.batch[0]", "out of range (got 0)", "from 1"),
    (BASE + "axes: {batch: [1, 1]}", "axes.batch[1]", "same as axes.batch[0]", "once"),
    (BASE + "axes: [1]", "axes", "wrong type (got [1])", "layout, precision, batch"),
    (BASE + "devices: []", "devices", "is empty", "a list with"),
    (BASE + "devices: [local, local]", "devices[1]", "same as devices[0]", "once"),
    (BASE + "devices: [loca]", "devices[0]", "did you mean 'local'?", "local"),
    # rules
    (BASE + "exclude: [{tuner: xgb}]", "exclude[0].tuner", "not a value of this axis (got 'xgb')", "none"),
    (BASE + "exclude: [{opt_level: [3, 2]}]", "exclude[0].opt_level", "not a value of this axis (got 2)", "3"),
    (BASE + "exclude: [{opt_level: 7}]", "exclude[0].opt_level", "out of range (got 7)", "from 0 to 4"),
    (BASE + "exclude: [{device: loca}]", "exclude[0].device", "did you mean 'local'?", "local"),
    (BASE + "exclude: [{}]", "exclude[0]", "names no axis", "model, target"),
    (BASE + "exclude: [{tuner: null}]", "exclude[0].tuner", "has no value", "a value of this axis"),
    (BASE + "exclude: [{tuner: []}]", "exclude[0].tuner", "is empty", "a list with"),
    (BASE + "exclude: {tuner: none}", "exclude", "wrong type", "a list with"),
    (BASE + "exclude: [{tuner: none, runtime: onnxruntime}]", "exclude[0]", "matches no cell", "tvm alone"),
    (BASE + "include: [{tuner: random}]", "include[0].tuner", "not a value of this axis (got 'random')", "none"),
    (BASE + "reference: []\nexclude: [{tuner: none}]", "exclude", "leaves no cell", "some cells"),
    # the rest
    (BASE + "reference: [tflite]", "reference[0]", "'tflite'", "onnxruntime"),
    (BASE + "measure: {repeat: 0}", "measure.repeat", "out of range (got 0)", "from 1 to 10000"),
    (BASE + "measure: {repeat: 1000000}", "measure.repeat", "out of range (got 1000000)", "from 1 to 10000"),
    (BASE + "measure: {warmup: -1}", "measure.warmup", "out of range (got -1)", "from 0"),
    (BASE + "measure: {max_repeat: 0}", "measure.max_repeat", "out of range (got 0)", "from 1 to 10000"),
    (BASE + "measure: {max_repeat: 9}", "measure.max_repeat", "is less than repeat (got 9)", "from 10 to 10000"),
    (BASE + "measure: {repeat: 20, max_repeat: 15}", "measure.max_repeat", "less than repeat (got 15)", "from 20"),
    (BASE + "measure: {relative_interval: 2}", "measure.relative_interval", "out of range (got 2)", "from 0"),
    (BASE + "measure: {relative_interval: 2 %}", "measure.relative_interval", "wrong type (got '2 %')", "a number"),
    (BASE + "measure: {time_limit_s: 0}", "measure.time_limit_s", "out of range (got 0)", "above 0"),
    (BASE + "measure: {time_limit_s: .inf}", "measure.time_limit_s", "not a finite number", "above 0"),
    (BASE + "measure: {cache_flush: 1}", "measure.cache_flush", "wrong type (got 1)", "true or false"),
    (BASE + "measure: {cache_flush: true, number: 5}", "measure.number", "does not go with cache_flush", "1, or null"),
    (BASE + "measure: {max_repeats: 5}", "measure.max_repeats", "did you mean 'max_repeat'?", "repeat, max_repeat"),
    (BASE + "measure: {timeout_s: .inf}", "measure.timeout_s", "not a finite number", "above 0"),
    (BASE + "measure: {timeout_s: .nan}", "measure.timeout_s", "not a finite number", "above 0"),
    (BASE + "measure: {retakes: -1}", "measure.retakes", "out of range (got -1)", "from 0"),
    (BASE + "measure: 3", "measure", "wrong type (got 3)", "repeat, max_repeat"),
    (BASE + "budget: {hours: 0}", "budget.hours", "out of range (got 0)", "above 0"),
    (BASE + "budget: {hours: -1}", "budget.hours", "out of range (got -1)", "above 0"),
    (BASE + "budget: {hours: 2 hours}", "budget.hours", "wrong type (got '2 hours')", "a number"),
    (BASE + "seed: -1", "seed", "out of range (got -1)", "from 0"),
    (BASE + "seed: 1.5", "seed", "wrong type (got 1.5)", "a whole number"),
    (BASE + "seed: 99999999999999999999", "seed", "out of range", "from 0"),
]


@pytest.mark.parametrize(("text", "key", "problem", "allowed"), CASES)
def test_a_slip_is_one_line_that_says_where_what_and_what_else(
    text: str,
    key: str,
    problem: str,
    allowed: str,
    study_of: Callable[[str], Study],
    cluster_of: Callable[[], Cluster],
    no_torch: None,
) -> None:
    with pytest.raises(StudyError) as caught:
        list(cells(study_of(text), cluster_of()))
    line = str(caught.value)
    assert "\n" not in line
    assert f"study.yaml:{line_at(text, key)}: {key}: " in line
    said, _, offered = line.partition("; allowed: ")
    assert problem in said
    assert allowed in offered


def test_several_slips_are_counted_and_the_first_is_told(study_of: Callable[[str], Study]) -> None:
    with pytest.raises(StudyError, match=r"opt_levels\[0\].*\(and 2 more\)"):
        study_of(BASE + "opt_levels: [9]\nseed: -1\nmeasure: {repeat: 0}")


def test_a_grid_beyond_a_million_cells_is_taken_for_a_slip(
    study_of: Callable[[str], Study], cluster_of: Callable[[], Cluster]
) -> None:
    tuners = ", ".join(f"{{name: random, label: r{i}}}" for i in range(500))
    text = BASE + f"tuners: [{tuners}]\nopt_levels: [0, 1, 2, 3, 4]\naxes: {{batch: {list(range(1, 501))}}}"
    with pytest.raises(StudyError, match=r"grid too large .*1,250,500 cells.*up to 1,000,000"):
        cells(study_of(text), cluster_of())


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("arm/rasp4b64", "local: it is for aarch64, the device is x86-64"),
        ("llvm -mcpu=skylake-avx512", "local: the device lacks avx512bw, avx512cd, avx512dq, avx512f, avx512vl"),
        ("llvm -mcpu=nehalem -mattr=+avx512vnni", "local: the device lacks avx512f, avx512vnni"),
        ("llvm -mcpu=nehalem -num-cores=4", "local: it is for 4 cores, the device runs 1 thread"),
    ],
)
def test_a_target_that_fits_no_device_is_refused_with_the_reason(
    target: str, reason: str, study_of: Callable[[str], Study], cluster_of: Callable[[], Cluster]
) -> None:
    with pytest.raises(StudyError) as caught:
        cells(study_of(BASE + f"targets: [{target}]"), cluster_of())
    assert reason in str(caught.value)
    assert "targets[0]" in str(caught.value)


def test_errors_survive_the_way_between_processes(study_of: Callable[[str], Study]) -> None:
    import pickle

    with pytest.raises(StudyError) as caught:
        study_of(BASE + "seed: -1")
    again: Any = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
