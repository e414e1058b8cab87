"""Files as somebody writes them who has read half a page: each slip is one line with the file, the line and the key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from onnx import TensorProto, helper

from sweep.errors import StudyError
from sweep.study.cluster.cluster import Cluster
from sweep.study.grid import cells
from sweep.study.spec import Study
from tests.networks import write_corrupt, write_tiny
from tests.study.later_slips import LATER
from tests.study.more_slips import HEAD, INPUTS, MORE, NET

OPEN = HEAD + "models:\n  - path: open.onnx\n"
"""Its input is data: [N, 3, height, width]."""

STUDIES = {
    # the text itself
    "a tab": (NET + "opt_levels:\n\t- 3\n", "5: is not valid YAML: a tab where spaces are needed (column 1)"),
    "no space behind the colon": (NET + "seed:3\n", "5: is not valid YAML"),
    "a quote that is not closed": (NET + 'question: "which one\ntuners: [none]\n', "6: is not valid YAML"),
    "a bracket that is not closed": (NET + "tuners: [none, random\nseed: 1\n", "5: is not valid YAML"),
    "a list and a mapping at once": (HEAD + "models:\n  - net.onnx\n  name: net\n", "4: is not valid YAML"),
    "an indent that is off": (NET + "measure:\n  repeat: 3\n   warmup: 1\n", "6: is not valid YAML"),
    "a star that is no alias": (NET + "exclude:\n  - model: *net\n", "5: is not valid YAML: found undefined alias"),
    "a percent sign at the start": (HEAD + "models: [net.onnx]\nquestion: %speed\n", "3: is not valid YAML"),
    "two documents": (NET + "---\nstudy: other\n", "4: is not valid YAML"),
    "a key twice": (NET + "seed: 1\ntuners: [none]\nseed: 2\n", "6: the key 'seed' is written twice (first in line 4)"),
    "a key twice further in": (
        NET + "measure:\n  repeat: 3\n  warmup: 1\n  repeat: 5\n",
        "7: the key 'repeat' is written twice (first in line 5)",
    ),
    "a number as a key": (NET + "axes:\n  1: [batch]\n", "5: a key that is not text (got 1)"),
    "a Python tag": (NET + "seed: !!int '3'\ntuners: !!set {none}\n", "5: a tag that is not known here"),
    # keys
    "the singular": (HEAD + "model: net.onnx\n", "2: model: is not a key here, did you mean 'models'?"),
    "a dash for an underscore": (
        NET + "opt-levels: [3]\n",
        "4: opt-levels: is not a key here, did you mean 'opt_levels'?",
    ),
    "a key of the cluster file": (NET + "engine: inline\n", "4: engine: is not a key here"),
    "a key of another's": (NET + "metrics: [latency]\n", "4: metrics: is not a key here"),
    "an axis beside the axes": (
        NET + "batch: [1, 8]\n",
        "4: batch: is not a key here; an axis is written in axes: {batch: [...]}",
    ),
    "a list of axes": (NET + "axes:\n  - batch: [1, 8]\n", "4: axes: has the wrong type"),
    "no study": ("question: which one\nmodels: [net.onnx]\n", "1: study: is missing"),
    "a name with capitals": ("# mine\nstudy: My_Study\nmodels: [net.onnx]\n", "2: study: is not a name of the form"),
    "one value and no list": (HEAD + "models: net.onnx\n", "2: models: has the wrong type (got 'net.onnx')"),
    "a list that is empty": (HEAD + "models:\ntuners: [none]\n", "2: models: has no value"),
    # networks
    "a network that is not there": (HEAD + "models:\n  - net.onxx\n", "3: models[0]: is not a model file"),
    "a folder": (HEAD + "models:\n  - .\n", "3: models[0]: is a directory"),
    "a name for a path": (
        HEAD + "models:\n  - onnx-light:resnet5\n",
        "3: models[0]: is not a network of the onnx package",
    ),
    "a network of another format": (HEAD + "models: [net.onnx,\n  net.mlmodel]\n", "3: models[1]: is not a model file"),
    "a network twice": (NET + "  - net.onnx\n", "4: models[1]: is the same as models[0]"),
    "half a network": (NET + "  - half.onnx\n", "4: models[1]: is damaged, or something else (got 'half.onnx')"),
    "a text in place of a network": (NET + "  - pointer.onnx\n", "4: models[1]: is damaged, or something else"),
    "weights left behind": (
        NET + "  - name: big\n    path: apart.onnx\n",
        "5: models[1].path: has weights in a file that is not there (got 'apart.onnx.data')",
    ),
    "an input of another name": (
        INPUTS + "      X: [1, 3, 8, 8]\n",
        "5: models[0].inputs.X: is no input of the network, did you mean 'x'?",
    ),
    "a shape without the batch": (
        INPUTS + "      x: [3, 8, 8]\n",
        "5: models[0].inputs.x: has the wrong number of dimensions",
    ),
    "a shape with one dimension less": (
        INPUTS + "      x: [1, 8, 8]\n",
        "5: models[0].inputs.x: has the wrong number of dimensions: the network's input has 4",
    ),
    "a shape as text": (INPUTS + "      x: 1x3x8x8\n", "5: models[0].inputs.x: has the wrong type (got '1x3x8x8')"),
    "a shape with a name in it": (
        INPUTS + "      x: [N, 3, 8, 8]\n",
        "5: models[0].inputs.x[0]: has the wrong type (got 'N')",
    ),
    "a shape over lines": (
        INPUTS + "      x:\n        - 1\n        - 3\n        - -1\n        - 8\n",
        "8: models[0].inputs.x[2]: is out of range",
    ),
    "open dimensions": (OPEN, "3: models[0]: leaves dimension 2 of its input 'data' open"),
    "open dimensions, and a shape for another input": (
        OPEN + "    inputs: {x: [1, 3]}\n",
        "4: models[0].inputs.x: is no input",
    ),
    # targets
    "an architecture as a target": (NET + "targets:\n  - native\n  - x86_64\n", "6: targets[1]: "),
    "options and no kind": (NET + "targets:\n  - '-mcpu=core-avx2'\n", "5: targets[0]: "),
    "a CPU that LLVM calls otherwise": (NET + "targets:\n  - kind: llvm\n    mcpu: haswel\n", "6: targets[0].mcpu: "),
    "a misspelt attribute": (
        NET + "targets:\n  - {kind: llvm,\n     mcup: haswell}\n",
        "6: targets[0].mcup: is not a key here, did you mean 'mcpu'?",
    ),
    "the same target twice": (
        NET + "targets:\n  - native\n  - {name: other, kind: native}\n",
        "6: targets[1]: is the same target as native",
    ),
    "a target for no device": (
        NET + "targets:\n  - native\n  - llvm -mtriple=aarch64-linux-gnu\n",
        "6: targets[1]: fits none of the devices",
    ),
    # tuners
    "a tuner of TVM's by its old name": (
        NET + "tuners: [none, XGBTuner]\n",
        "4: tuners[1]: 'XGBTuner' is not known here",
    ),
    "a tuner as the key": (NET + "tuners:\n  - none\n  - xgb: {trials: 32}\n", "6: tuners[1]"),
    "trials without the rest of the name": (
        NET + "tuners:\n  - name: xgb\n    trials: 32\n",
        "6: tuners[0].trials: is not a key here",
    ),
    "trials with a comma": (
        NET + "tuners:\n  - name: xgb\n    trials_per_task: 1,000\n",
        "6: tuners[0].trials_per_task: has the wrong type (got '1,000')",
    ),
    "options of another tuner": (NET + "tuners:\n  - {name: random, population: 8}\n", "5: tuners[0].population: "),
    "two tuners of one label": (
        NET + "tuners:\n  - none\n  - ga\n  - {name: ga, round: 8}\n",
        "7: tuners[2]: is the same as tuners[1]",
    ),
    # levels, axes, rules
    "a level as the compilers write it": (
        NET + "opt_levels: [O0, O3]\n",
        "4: opt_levels[0]: has the wrong type (and 1 more) (got 'O0')",
    ),
    "a level that there is not": (NET + "opt_levels:\n  - 3\n  - 5\n", "6: opt_levels[1]: is out of range (got 5)"),
    "a precision by its short name": (
        NET + "axes:\n  layout: [NHWC]\n  precision: [fp16]\n",
        "6: axes.precision[0]: 'fp16' is not known here",
    ),
    "an axis with one value": (NET + "axes:\n  batch: 8\n", "5: axes.batch: has the wrong type (got 8)"),
    "an axis that there is not": (NET + "axes:\n  threads: [1, 2]\n", "5: axes.threads: is not a key here"),
    "a rule that is no list": (NET + "exclude:\n  tuner: none\n", "4: exclude: has the wrong type"),
    "a rule by the plural": (
        NET + "exclude:\n  - tuners: none\n",
        "5: exclude[0].tuners: is not a key here, did you mean 'tuner'?",
    ),
    "a rule for a tuner that is not in the study": (
        NET + "exclude:\n  - opt_level: 3\n    tuner: xgb\n",
        "6: exclude[0].tuner: is not a value of this axis",
    ),
    "a rule for a device that is not in the cluster": (
        NET + "exclude:\n  - device: pi\n",
        "5: exclude[0].device: is not a device of this grid",
    ),
    "rules that leave nothing": (NET + "exclude:\n  - runtime: [tvm, onnxruntime]\n", "4: exclude: leaves no cell"),
    "rules that leave the baseline alone": (
        NET + "exclude:\n  - runtime: tvm\n",
        "4: exclude: leaves no cell that is compiled, only those of onnxruntime",
    ),
    "rules that leave the baseline alone, one by one": (
        NET + "opt_levels: [0, 3]\nexclude:\n  - opt_level: 0\n  - opt_level: 3\n",
        "5: exclude: leaves no cell that is compiled",
    ),
    # the rest
    "a runtime by the name of its package": (NET + "runtimes: [tvm,\n  onnx-runtime]\n", "5: runtimes[1]: "),
    "a baseline that is not among the runtimes": (NET + "runtimes: [tvm]\nbaseline: onnxruntime\n", "5: baseline: "),
    "a device that there is not": (
        NET + "devices:\n  - loco\n",
        "5: devices[0]: is not a device of cluster c, did you mean 'local'?",
    ),
    "one device and no list": (NET + "devices: local\n", "4: devices: has the wrong type (got 'local')"),
    "a number in quotes": (
        NET + "measure:\n  warmup: 1\n  repeat: '10'\n",
        "6: measure.repeat: has the wrong type (got '10')",
    ),
    "less than the least": (
        NET + "measure:\n  repeat: 20\n\n  max_repeat: 15\n",
        "7: measure.max_repeat: is less than repeat",
    ),
    "what does not go together": (
        NET + "measure:\n  cache_flush: true\n  number: 10\n",
        "6: measure.number: does not go with cache_flush",
    ),
    "a unit": (NET + "budget:\n  hours: 2h\n", "5: budget.hours: has the wrong type (got '2h')"),
    "yes for true": (NET + "measure:\n  cache_flush: yes\n", "5: measure.cache_flush: has the wrong type (got 'yes')"),
    "a key without a value": (NET + "seed:\n", "4: seed: has no value"),
    "a slip in what is merged in": (
        NET + "tuners:\n  - &base {name: random,\n     rounds: 3}\n  - <<: *base\n    label: other\n",
        "6: tuners[0].rounds: is not a key here, did you mean 'round'?",
    ),
    **MORE,
    **LATER,
}


@pytest.fixture
def networks(tmp_path: Path) -> Path:
    write_tiny(tmp_path / "net.onnx")
    write_corrupt(tmp_path / "half.onnx")
    (tmp_path / "pointer.onnx").write_text("version https://git-lfs.github.com/spec/v1\nsize 1234\n")
    data = helper.make_tensor_value_info("data", TensorProto.FLOAT, ["N", 3, "height", "width"])
    within = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    apart = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    apart.external_data.add(key="location", value="apart.onnx.data")
    layer = helper.make_node("Mul", ["data", "w"], ["y"])
    for name, weights in (("open", within), ("apart", apart)):
        model = helper.make_model(helper.make_graph([layer], "g", [data], [], [weights]))
        (tmp_path / f"{name}.onnx").write_bytes(model.SerializeToString())
    return tmp_path


@pytest.mark.parametrize("slip", STUDIES)
def test_a_study(
    slip: str, networks: Path, study_of: Callable[[str], Study], cluster_of: Callable[[], Cluster]
) -> None:
    text, told = STUDIES[slip]
    with pytest.raises(StudyError) as caught:
        cells(study_of(text), cluster_of())
    line = str(caught.value)
    assert line.startswith(f"{networks / 'study.yaml'}:{told}"), line
    assert "\n" not in line
    if "is not valid YAML" not in told and "written twice" not in told:
        assert "; allowed: " in line or "not text" in line or "a tag" in line


CLUSTER = "name: c\ndevices:\n  - key: local\n"
CLUSTERS = {
    "a list of names": (
        "name: c\ndevices: [local, pi]\n",
        "2: devices[0]: has the wrong type (and 1 more) (got 'local')",
    ),
    "devices as a mapping": ("name: c\ndevices:\n  local: {cores: [0]}\n", "2: devices: has the wrong type"),
    "a key with a space": ("name: c\ndevices:\n  - key: my board\n", "3: devices[0].key: is not a name of the form"),
    "a key twice": (CLUSTER + "  - key: local\n", "4: devices[1].key: is there twice"),
    "one core and no list": (CLUSTER + "    cores: 0\n", "4: devices[0].cores: has the wrong type (got 0)"),
    "cores as taskset has them": (
        CLUSTER + "    cores: [0-2]\n",
        "4: devices[0].cores[0]: has the wrong type (got '0-2')",
    ),
    "no threads": (CLUSTER + "    threads: 0\n", "4: devices[0].threads: is out of range (got 0)"),
    "more threads than cores": (
        CLUSTER + "    cores: [0, 1]\n    threads: 4\n",
        "5: devices[0].threads: is more than it has cores",
    ),
    "no for false": (CLUSTER + "    managed: no\n", "4: devices[0].managed: has the wrong type (got 'no')"),
    "a board without its target": (
        CLUSTER + "    managed: false\n",
        "3: devices[0].target: is missing for a device that is not managed",
    ),
    "a target for elsewhere": (
        CLUSTER + "    target:\n      kind: llvm\n      mtriple: aarch64-linux-gnu\n",
        "4: devices[0].target: cannot run here",
    ),
    "a tracker in one text": (CLUSTER + "tracker: 10.0.0.2:9190\n", "4: tracker: has the wrong type"),
    "a tracker elsewhere that is managed": (
        CLUSTER + "tracker:\n  port: 9190\n  host: 10.0.0.2\n",
        "6: tracker.host: is not loopback",
    ),
    "a port in quotes": (CLUSTER + "tracker: {port: '9190'}\n", "4: tracker.port: has the wrong type (got '9190')"),
    "an engine with a capital": (CLUSTER + "engine: Ray\n", "4: engine: 'Ray' is not known here, did you mean 'ray'?"),
    "an address in one text": (CLUSTER + "ray: auto\n", "4: ray: has the wrong type (got 'auto')"),
    "a store that is none": (CLUSTER + "mlflow:\n  tracking_uri: localhost:5000\n", "5: mlflow.tracking_uri: "),
    "labels as a list": (CLUSTER + "    labels: [fast]\n", "4: devices[0].labels: has the wrong type"),
    "a key of the study": (CLUSTER + "models: [net.onnx]\n", "4: models: is not a key here"),
    "no name": ("engine: inline\ndevices:\n  - key: local\n", "1: name: is missing"),
    "no devices": ("name: c\nengine: inline\n", "1: devices: is missing or empty"),
    "no sweep to replay": (CLUSTER + "engine: replay\n", "1: replay: is missing"),
    "a linker that there is not": (CLUSTER + "    linker: no-such-ld\n", "4: devices[0].linker: "),
    "a key twice in a device": (
        CLUSTER + "    cores: [0]\n    cores: [1]\n",
        "5: the key 'cores' is written twice (first in line 4)",
    ),
}


@pytest.mark.parametrize("slip", CLUSTERS)
def test_a_cluster(slip: str, tmp_path: Path, cluster_of: Callable[[str], Cluster]) -> None:
    text, told = CLUSTERS[slip]
    with pytest.raises(StudyError) as caught:
        cluster_of(text)
    line = str(caught.value)
    assert line.startswith(f"{tmp_path / 'cluster.yaml'}:{told}"), line
    assert "\n" not in line
